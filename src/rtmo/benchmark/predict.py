"""How fast poses are found, and where the time goes: ``python -m rtmo.benchmark predict``; see ``--help``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from rtmo import config
from rtmo.benchmark.predict_report import draw, growth, print_rows
from rtmo.benchmark.series import Case, Row, measure_cases, measure_people
from rtmo.benchmark.workload import fresh_config, image_file, is_fresh, parameters_and_gflop, weights_file
from rtmo.data.coco_json import write_json
from rtmo.data.transforms import check_image_size
from rtmo.errors import InputError
from rtmo.hub import model_names
from rtmo.inference.torch_backend import choose_device, named_joints, trained_image_size
from rtmo.targets import did_you_mean
from rtmo.training.callbacks.run_record import environment
from rtmo.weights.checkpoint import find, read_checkpoint

KEYS = frozenset(
    (
        *("checkpoint", "image", "output", "rounds", "device", "image_size", "score_thr", "nms_thr"),
        *("batch_sizes", "cases", "exported"),
        *("exported_cases", "series_case", "sides", "people", "models"),
        *("data", "data_name", "metric", "skeleton", "seed", "phases", "augment", "paths"),
    )
)
PRECISIONS = ("float32", "bfloat16")  # of which the machine's peak is measured

SETTINGS = ("checkpoint", "image", "image_size", "score_thr", "nms_thr", "rounds", "device", "exported", "series_case")
SERIES = ("sides", "people", "models")  # beside that of the cases
WIDTH = 130  # of tables, where the console is narrower or there is none

Rows = dict[str, list[Row]]


@dataclass(frozen=True)
class Bench:
    """What all cases share.

    Attributes:
        checkpoint: A file with weights.
        image: A file.
        image_size: (height, width) in px that it is fitted into.
        device: As torch calls it.
        score_thr: People scored below are not reported.
        nms_thr: IoU over which the lower-scored box of two is dropped.
    """

    checkpoint: Path
    image: Path
    image_size: tuple[int, int]
    device: str
    score_thr: float = 0.3
    nms_thr: float = 0.65

    def case(self, options: Mapping[str, Any]) -> Case:
        """The network, run by torch with options of ``open_backend``."""
        parameters, gflop = parameters_and_gflop(self.checkpoint, self.image_size)
        prepare = {"checkpoint": str(self.checkpoint), "device": self.device, **options}
        return Case(self._prepare(**prepare), parameters=parameters, gflop=gflop)

    def exported(self, file: Path, options: Mapping[str, Any]) -> Case:
        """The network as it was exported."""
        parameters, gflop = parameters_and_gflop(self.checkpoint, self.image_size)
        return Case(self._prepare(checkpoint=str(file), **options), parameters=parameters, gflop=gflop)

    def peaks(self) -> dict[str, Case]:
        """Products of matrices, by precision."""
        product = {"kind": "product", "device": self.device}
        return {precision: Case({**product, "precision": precision}) for precision in PRECISIONS}

    def _prepare(self, **options: Any) -> dict[str, Any]:
        shared = {"image_size": list(self.image_size), "score_thr": self.score_thr, "nms_thr": self.nms_thr}
        return {"kind": "prediction", "image": str(self.image), **shared, **options}


def prepare(cfg: DictConfig) -> None:
    """Fills in image size and joints, which data sets refer to."""
    if is_fresh(cfg.checkpoint):
        size, joints = fresh_config(cfg.checkpoint)["image_size"], "coco17"
    else:
        checkpoint = read_checkpoint(find(cfg.checkpoint))
        size = cfg.image_size or trained_image_size(checkpoint, cfg.checkpoint)
        joints = named_joints(checkpoint).name
    cfg.image_size, cfg.skeleton = cfg.image_size or list(size), joints


@config.main("benchmark_predict", KEYS, prepare=prepare)
def main(cfg: dict[str, Any]) -> None:
    """Measures, prints tables, writes JSON and a picture."""
    check_values(cfg)
    check_cases(cfg)
    output = Path(cfg["output"])
    with TemporaryDirectory() as folder:
        bench = Bench(
            checkpoint=weights_file(cfg["checkpoint"], Path(folder)),
            image=image_file(cfg["image"], Path(folder)),
            image_size=(cfg["image_size"][0], cfg["image_size"][1]),
            device=str(choose_device(cfg["device"])),
            score_thr=cfg["score_thr"],
            nms_thr=cfg["nms_thr"],
        )
        series, rates = measure(bench, cfg, Path(folder))
    console, titles = Console(highlight=False), titles_of(cfg, bench, series)
    console.width = max(console.width, WIDTH)
    for name, rows in series.items():
        print_rows(console, titles[name], rows)
    console.print("peak: " + ", ".join(f"{rate:.0f} GFLOP/s in {precision}" for precision, rate in rates.items()))
    record = {
        **{name: [row.to_plain() for row in rows] for name, rows in series.items()},
        "growth_by_people": growth(series.get("people", [])),
        "peak_gflop_per_second": rates,
        "settings": {name: cfg[name] for name in SETTINGS},
        "environment": environment(),
    }
    write_json(output, record, label=f"output={output}", indent=2)
    draw(series, titles).savefig(output.with_suffix(".png"), dpi=120)
    console.print(f"written to {output} and {output.with_suffix('.png')}")
    if all(row.error is not None for rows in series.values() for row in rows):
        raise InputError(f"nothing could be measured; the reasons are above and in {output}")


def check_values(cfg: Mapping[str, Any]) -> None:
    """Refuses numbers that no case could be measured with, before minutes go by.

    Raises:
        InputError: If there is one.
    """
    if not are_counts([cfg["rounds"]]):
        raise InputError(f"rounds: expected a whole number from 1 on, got {cfg['rounds']!r}")
    for name in ("image_size", "batch_sizes", "sides", "people"):
        if not are_counts(cfg[name]):
            raise InputError(f"{name}: expected a list of whole numbers from 1 on, got {cfg[name]!r}")
    if len(cfg["image_size"]) != 2:
        raise InputError(f"image_size: expected [height,width], got {cfg['image_size']}")
    for size in (cfg["image_size"], *((side, side) for side in cfg["sides"])):
        check_image_size(size)
    if not cfg["batch_sizes"]:
        raise InputError("batch_sizes: names none; 1 is an image at a time")


def check_cases(cfg: Mapping[str, Any]) -> None:
    """Likewise for what is named.

    Raises:
        InputError: If there is something that does not exist.
    """
    for name in ("exported", "models"):
        if not isinstance(cfg[name], list):
            raise InputError(f"{name}: expected a list, got {cfg[name]!r}; write [{cfg[name]}]")
    for name in ("cases", "exported_cases"):
        if not isinstance(cfg[name], dict):
            raise InputError(f"{name}: expected cases by name, got {cfg[name]!r}; leave single ones out: {name}.x=null")
    for file in cfg["exported"]:
        if not Path(file).is_file():
            raise InputError(f"exported: {file}: no such file; write it with python -m rtmo.export")
    for name in cfg["models"]:
        if name not in model_names():
            raise InputError(f"models: {name}: no such size; {did_you_mean(name, model_names())}")
    chosen = [name for name, options in cfg["cases"].items() if options is not None]
    if not chosen and not cfg["exported"]:
        raise InputError("cases: all are left out, and no file is exported; name one")
    if any(cfg[name] for name in SERIES) and cfg["series_case"] not in chosen:
        known = did_you_mean(str(cfg["series_case"]), chosen)
        raise InputError(f"series_case={cfg['series_case']}: no such case; {known}")


def are_counts(values: Any) -> bool:
    """Whether it is a list of whole numbers from 1 on."""
    return isinstance(values, list) and all(type(value) is int and value > 0 for value in values)


def measure(bench: Bench, cfg: Mapping[str, Any], folder: Path) -> tuple[Rows, dict[str, float]]:
    """All series that are asked for, and 10^9 operations a second that the machine can do, by precision.

    Args:
        folder: For random weights.
    """
    rounds, peaks = cfg["rounds"], bench.peaks()
    options = cfg["cases"].get(cfg["series_case"]) or {}  # of the further series
    cases = all_cases(bench, cfg)
    first, *more = cfg["batch_sizes"]
    by_batch = [
        measure_cases(cases, peaks, rounds=rounds, batch=first, score=score_request(cfg)),
        *(measure_cases(cases, peaks, rounds=rounds, batch=batch) for batch in more),
    ]
    sides = {str(side): replace(bench, image_size=(side, side)) for side in cfg["sides"]}
    models = {name: replace(bench, checkpoint=weights_file(name, folder)) for name in cfg["models"]}

    def measured(benches: Mapping[str, Bench]) -> list[Row]:
        cases = {name: each.case(options) for name, each in benches.items()}
        return measure_cases(cases, peaks, rounds=rounds)[0] if cases else []

    series = {
        "cases": [row for rows, _ in by_batch for row in rows],
        "sides": measured(sides),
        "people": measure_people(bench.case(options), cfg["people"], rounds=rounds) if cfg["people"] else [],
        "models": measured(models),
    }
    return {name: rows for name, rows in series.items() if rows}, by_batch[0][1]


def all_cases(bench: Bench, cfg: Mapping[str, Any]) -> dict[str, Case]:
    """What torch runs, and each exported file in each runtime."""
    cases = {name: bench.case(options) for name, options in cfg["cases"].items() if options is not None}
    for file in map(Path, cfg["exported"]):
        for name, options in cfg["exported_cases"].items():
            if options is not None:
                cases[f"{file.name}, {name}"] = bench.exported(file, options)
    return cases


def score_request(cfg: Mapping[str, Any]) -> dict[str, Any] | None:
    """What workers are asked for AP with; None without data."""
    return None if cfg["data"] is None else {"data": cfg["data"]["val"], "metric": cfg["metric"]}


def titles_of(cfg: Mapping[str, Any], bench: Bench, series: Rows) -> dict[str, str]:
    """What each series is about."""
    height, width = bench.image_size
    parameters, gflop = parameters_and_gflop(bench.checkpoint, bench.image_size)
    name, case, size = Path(cfg["checkpoint"]).name, cfg["series_case"], f"{height} x {width} px"
    titles = {
        "cases": f"{name}, {parameters / 1e6:.1f} M parameters, {gflop:.1f} GFLOP, {size}",
        "sides": f"{name} by side of the square image in px, {case}",
        "people": f"{name} by people found, {size}, {case}",
        "models": f"random weights, {size}, {case}",
    }
    if (grown := growth(series.get("people", []))) is not None:
        titles["people"] += f": network and decode {grown:+.1%}"
    return titles


if __name__ == "__main__":
    main()
