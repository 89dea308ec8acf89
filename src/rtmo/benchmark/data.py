"""How fast one process makes training samples: ``python -m rtmo.benchmark data``; ``--help`` lists what can be set."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from rtmo import config
from rtmo.benchmark.stopwatch import Stopwatch
from rtmo.data.coco_json import write_json
from rtmo.data.collate import collate
from rtmo.data.image_cache import ImageCache
from rtmo.data.image_file import ImageFile
from rtmo.data.picture import Picture
from rtmo.data.pipeline import TrainDataset
from rtmo.data.process import prepare_process
from rtmo.data.source import PoseSource
from rtmo.data.transforms import Draw, Transform
from rtmo.errors import InputError
from rtmo.phases import Phases
from rtmo.skeletons import keypoint_set
from rtmo.targets import build
from rtmo.training.callbacks.run_record import environment
from rtmo.training.run_plan import filled, plan_run
from rtmo.types import Sample

KEYS = frozenset(
    (
        *("output", "images", "samples", "rounds", "cache_gb", "image_size", "skeleton", "seed", "data", "data_name"),
        *("augment", "metric", "phases", "paths"),
    )
)
EPOCHS = 1000  # the first half augmented as in phase A, the second as in phase C
Which = Literal["main", "light"]
FIRST_EPOCH: dict[Which, int] = {"main": 0, "light": EPOCHS // 2}
READ, WARP, COLLATE, REST = "read and decode", "warp", "collate", "rest"
BATCH = 8

Speed = dict[str, float]


@config.main("benchmark_data", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Measures, prints two tables and writes them as JSON."""
    for field in ("images", "samples", "rounds"):
        if not isinstance(cfg[field], int) or cfg[field] < 1:
            raise InputError(f"{field}: expected a whole number from 1 on, got {cfg[field]!r}")
    prepare_process()
    skeleton = keypoint_set(cfg["skeleton"])
    source = FirstImages(build(cfg["data"]["train"], "data.train", skeleton), cfg["images"])
    cfg = filled(cfg, plan_run(len(source), BATCH, epochs=EPOCHS))
    augment = {name: build(cfg["augment"][name] or {}, f"augment.{name}", skeleton) for name in FIRST_EPOCH}
    datasets = make_datasets(source, augment, cfg)
    speeds = {name: measure_speed(datasets, name, cfg["samples"], cfg["rounds"]) for name in FIRST_EPOCH}
    parts = {
        (name, kept): measure_parts(dataset, name, augment[name], cfg["samples"])
        for name in FIRST_EPOCH
        for kept, dataset in datasets.items()
    }
    height, width = cfg["image_size"]
    print_tables(f"{source.name}, {len(source)} images, {height} x {width} px, one process", speeds, parts)
    record = {
        "images_per_second": speeds,
        "milliseconds": {f"{name}, {kept}": column for (name, kept), column in parts.items()},
        "settings": {**{key: cfg[key] for key in ("image_size", "samples", "rounds", "cache_gb", "seed", "augment")}},
        "data": {"name": source.name, "images": len(source)},
        "environment": environment(),
    }
    output = Path(cfg["output"])
    write_json(output, record, label=f"output={output}", indent=2)
    print(f"written to {output}")


def make_datasets(
    source: PoseSource, augment: Mapping[Which, Mapping[str, Transform | None]], cfg: Mapping[str, Any]
) -> dict[str, TrainDataset]:
    """The same samples without a cache and with a full one."""
    return {
        kept: TrainDataset(
            source=source,
            image_size=cfg["image_size"],
            augment=augment,
            phases=Phases(refine_start=0.5, light_start=0.5),
            max_epochs=EPOCHS,
            seed=cfg["seed"],
            cache=fill_cache(source, cfg["cache_gb"]) if kept == "cache" else None,
        )
        for kept in ("no cache", "cache")
    }


class FirstImages(PoseSource):
    """The first images of a source, so few that the cache and the system's own hold them."""

    def __init__(self, source: PoseSource, most: int) -> None:
        self.name, self.skeleton = source.name, source.skeleton
        self._source, self._count = source, min(most, len(source))

    def __len__(self) -> int:
        return self._count

    def load(self, index: int, with_ignore_mask: bool = False) -> Sample:
        """See ``PoseSource.load``."""
        return self._source.load(index, with_ignore_mask)

    def load_undrawn(self, index: int, with_ignore_mask: bool = False) -> Sample:
        """See ``PoseSource.load_undrawn``."""
        return self._source.load_undrawn(index, with_ignore_mask)

    def ground_truth(self) -> dict[str, Any]:
        """That of the whole source."""
        return self._source.ground_truth()


class TimedStep(Transform):
    """A step whose time counts for its name."""

    def __init__(self, step: Transform, name: str, watch: Stopwatch) -> None:
        self.step, self.name, self.watch = step, name, watch
        self.takes_undrawn = step.takes_undrawn  # type: ignore[misc]

    def __call__(self, sample: Sample, rng: np.random.Generator, draw: Draw) -> Sample:
        """See ``Transform``."""
        with self.watch.part(self.name):
            return self.step(sample, rng, draw)


def fill_cache(source: PoseSource, gigabytes: float) -> ImageCache:
    """A cache with every image that fits."""
    cache = ImageCache(num_images=len(source), max_bytes=int(gigabytes * 1e9))
    for index in range(len(source)):
        cache.keep(source.load_undrawn(index), index).drawn()
    return cache


def run_samples(dataset: TrainDataset, first_epoch: int, samples: int, watch: Stopwatch | None = None) -> float:
    """Seconds for so many samples, collated in batches."""
    start = perf_counter()
    items = []
    for number in range(samples):
        epoch, place = divmod(number, len(dataset))
        items.append(dataset[first_epoch + epoch, place])
        if len(items) == BATCH or number == samples - 1:
            with (watch or Stopwatch()).part(COLLATE):
                collate(items)
            items = []
    return perf_counter() - start


def measure_speed(datasets: Mapping[str, TrainDataset], name: Which, samples: int, rounds: int) -> dict[str, Speed]:
    """Images/s of each dataset, in turns: whatever else the machine does disturbs them alike."""
    for dataset in datasets.values():
        run_samples(dataset, FIRST_EPOCH[name], samples)
    seconds: dict[str, list[float]] = {kept: [] for kept in datasets}
    for _ in range(rounds):
        for kept, dataset in datasets.items():
            seconds[kept].append(run_samples(dataset, FIRST_EPOCH[name], samples))
    return {
        kept: {
            "median": samples / statistics.median(times),
            "slowest": samples / max(times),
            "fastest": samples / min(times),
        }
        for kept, times in seconds.items()
    }


def measure_parts(dataset: TrainDataset, name: Which, steps: Mapping[str, Transform | None], samples: int) -> Speed:
    """Milliseconds a sample by part; measuring costs some of ``REST``."""
    watch = Stopwatch()
    plain = dataset.steps
    timed: list[Transform] = [
        TimedStep(step, step_name, watch) for step_name, step in steps.items() if step is not None
    ]
    dataset.steps = {**plain, name: timed}
    with (
        watch.part(REST),
        watch.method(Picture, "draw", WARP),
        watch.method(ImageFile, "read", READ),
        watch.method(type(dataset.source), "load_undrawn", READ),
    ):
        run_samples(dataset, FIRST_EPOCH[name], samples, watch)
    dataset.steps = plain
    return {part: 1000 * seconds / samples for part, seconds in watch.seconds.items()}


def print_tables(
    title: str, speeds: Mapping[Which, Mapping[str, Speed]], parts: Mapping[tuple[Which, str], Speed]
) -> None:
    """Images/s, and where the time goes."""
    console = Console(highlight=False, soft_wrap=True)
    table = Table("images/s", *("median", "slowest", "fastest"), title=title)
    for name, by_cache in speeds.items():
        for kept, speed in by_cache.items():
            table.add_row(f"{name}, {kept}", *(f"{speed[column]:.1f}" for column in ("median", "slowest", "fastest")))
    console.print(table)
    columns = list(parts)
    table = Table("ms a sample", *(f"{name}, {kept}" for name, kept in columns), title="where the time goes")
    for part in row_names(list(parts.values())):
        table.add_row(part, *(f"{parts[column][part]:.2f}" if part in parts[column] else "-" for column in columns))
    table.add_section()
    table.add_row("all", *(f"{sum(parts[column].values()):.2f}" for column in columns))
    console.print(table)


def row_names(columns: Sequence[Speed]) -> list[str]:
    """All parts, each once: reading and warping first, then the steps, collating and the rest last."""
    steps = [part for column in columns for part in column if part not in (READ, WARP, COLLATE, REST)]
    return [READ, WARP, *dict.fromkeys(steps), COLLATE, REST]
