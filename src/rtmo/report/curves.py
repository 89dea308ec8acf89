"""What runs of a row logged, averaged over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtmo.phases import Phases
from rtmo.report.rows import Row
from rtmo.report.runs import Curve, Run

POINTS = 100  # of a curve: longer ones are averaged over as many equal stretches


@dataclass(frozen=True)
class Band:
    """Mean and sample deviation over seeds, at numbers of images seen; the deviation of one run is 0."""

    images: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


def band(row: Row, column: str) -> Band | None:
    """A column of metrics.csv over the finished trainings of a row, where all have values; None if they have not."""
    runs = [run for run in row.finished if run.curves.get(column)]
    if not runs:
        return None
    last = max(run.curves[column][-1][0] for run in runs)
    stretches = [_average(run.curves[column], last) for run in runs]
    common = sorted(set.intersection(*(set(stretch) for stretch in stretches)))
    if not common:
        return None
    steps = np.array([stretches[0][index][0] for index in common])
    values = np.array([[stretch[index][1] for index in common] for stretch in stretches])
    deviation = values.std(axis=0, ddof=1) if len(runs) > 1 else np.zeros(len(common))
    return Band(steps * runs[0].images_per_step, values.mean(axis=0), deviation)


def columns_of(rows: Sequence[Row], prefix: str) -> list[str]:
    """Columns of metrics.csv that a finished run has."""
    return sorted({name for row in rows for run in row.finished for name in run.curves if name.startswith(prefix)})


def images_per_epoch(run: Run) -> float:
    """Of a finished training."""
    return run.summary["steps"] * run.images_per_step / max(1, run.summary["epochs"])


def phase_starts(run: Run) -> list[tuple[str, float]]:
    """The phases that a finished training went through, and the images seen when each began."""
    settings = run.config["phases"]
    phases = Phases(settings["refine_start"], settings["light_start"])
    epochs = run.config["trainer"]["max_epochs"]
    names = [phases.at(epoch, epochs) for epoch in range(run.summary["epochs"])]
    return [(name, names.index(name) * images_per_epoch(run)) for name in dict.fromkeys(names)]


def _average(curve: Curve, last: int) -> dict[int, tuple[float, float]]:
    """Mean step and mean value of each stretch of the run that has values, by its number."""
    stretches: dict[int, list[tuple[int, float]]] = {}
    for step, value in curve:
        if math.isfinite(value):
            stretches.setdefault(-(-step * POINTS // last), []).append((step, value))
    return {index: tuple(np.mean(points, axis=0).tolist()) for index, points in stretches.items()}
