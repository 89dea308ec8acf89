"""How fast training steps are, and where the time goes: ``python -m rtmo.benchmark train``; see ``--help``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from rtmo import config
from rtmo.benchmark.predict import PRECISIONS, are_counts
from rtmo.benchmark.series import Case, Row, measure_cases, measure_losses
from rtmo.benchmark.train_report import draw, print_losses, print_steps
from rtmo.benchmark.training import BACKWARD, FORWARD, device_of, step_gflop, steps_config
from rtmo.data.coco_json import write_json
from rtmo.errors import InputError
from rtmo.training.callbacks.run_record import environment

KEYS = frozenset(("output", "rounds", "batch_size", "step_people", "train", "cases", "people"))
WIDTH = 130  # of tables, where the console is narrower or there is none


@config.main("benchmark_train", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Measures, prints tables, writes JSON and a picture."""
    check_values(cfg)
    output, batch, rounds = Path(cfg["output"]), cfg["batch_size"], cfg["rounds"]
    asked = steps_config(cfg["train"])
    device = device_of(asked)
    peaks = {each: Case({"kind": "product", "device": device, "precision": each}) for each in PRECISIONS}
    cases = all_cases(cfg["train"], cfg["cases"], cfg["step_people"])
    steps, rates = measure_cases(cases, peaks, rounds=rounds, batch=batch, work=(FORWARD, BACKWARD))
    losses: list[Row] = []
    if cfg["people"]:
        prepare = {"kind": "losses", "overrides": cfg["train"], "batch": batch}
        losses = measure_losses({"ours": Case(prepare)}, cfg["people"], rounds=rounds, batch=batch)["ours"]
    height, width = asked["image_size"]
    titles = {
        "steps": f"{asked['model_name']}, {batch} images of {height} x {width} px a step",
        "losses": f"{asked['model_name']}, batch {batch}: losses by people in every image, backward left out",
    }
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    print_steps(console, titles["steps"], steps)
    print_losses(console, titles["losses"], losses)
    console.print("peak: " + ", ".join(f"{rate:.0f} GFLOP/s in {precision}" for precision, rate in rates.items()))
    record = {
        "steps": [row.to_plain() for row in steps],
        "losses_by_people": [row.to_plain() for row in losses],
        "peak_gflop_per_second": rates,
        "settings": {name: cfg[name] for name in ("train", "cases", "batch_size", "step_people", "rounds", "people")},
        "environment": environment(),
    }
    write_json(output, record, label=f"output={output}", indent=2)
    draw(titles, steps, losses).savefig(output.with_suffix(".png"), dpi=120)
    console.print(f"written to {output} and {output.with_suffix('.png')}")
    if all(row.error is not None for row in steps):
        raise InputError(f"nothing could be measured; the reasons are above and in {output}")


def check_values(cfg: Mapping[str, Any]) -> None:
    """Refuses what no step could be measured with, before minutes go by.

    Raises:
        InputError: If there is something.
    """
    for name in ("rounds", "batch_size"):
        if not are_counts([cfg[name]]):
            raise InputError(f"{name}: expected a whole number from 1 on, got {cfg[name]!r}")
    if cfg["step_people"] is not None and not are_counts([cfg["step_people"]]):
        raise InputError(f"step_people: expected a whole number from 1 on or null, got {cfg['step_people']!r}")
    if not are_counts(cfg["people"]):
        raise InputError(f"people: expected a list of whole numbers from 1 on, got {cfg['people']!r}")
    if not isinstance(cfg["train"], list):
        raise InputError(f"train: expected a list of overrides of rtmo.train, got {cfg['train']!r}")
    if not isinstance(cfg["cases"], dict) or all(each is None for each in cfg["cases"].values()):
        raise InputError(f"cases: expected overrides by name of the case, got {cfg['cases']!r}")
    for name, overrides in cfg["cases"].items():
        if overrides is not None and not isinstance(overrides, list):
            raise InputError(f"cases.{name}: expected a list of overrides of rtmo.train, got {overrides!r}")


def all_cases(shared: Sequence[str], chosen: Mapping[str, Sequence[str] | None], people: int | None) -> dict[str, Case]:
    """Training with the overrides that all share and those of each case.

    Args:
        people: In every image; None: those of the data.
    """
    cases = {}
    for name, overrides in chosen.items():
        if overrides is not None:
            asked = [*shared, *overrides]
            prepare = {"kind": "training", "overrides": asked, "people": people}
            cases[name] = Case(prepare, gflop=step_gflop(asked))
    return cases


if __name__ == "__main__":
    main()
