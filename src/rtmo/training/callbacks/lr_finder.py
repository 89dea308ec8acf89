"""The learning-rate range test: ``debug=lr_finder``, whose schedule raises the rates of all parts together.

Not Lightning's ``LearningRateFinder``: that sets every parameter group to one rate, so that ``lr_factors`` are lost,
and stops at four times the best loss, which for a negative loss is better than the best.
"""

import csv
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from matplotlib.figure import Figure
from torch.optim import Optimizer

from rtmo.errors import InputError
from rtmo.training.agreement import Agreement
from rtmo.training.module import PoseModule
from rtmo.training.rate_range import Reading, Steps, clipped, read_off, smoothed
from rtmo.types import Batch
from rtmo.weights.file import write_whole

METRICS = ("train/loss", "train/pose_oks", "train/heatmap_peak")
_BLUE, _ORANGE, _GREEN, _GREY = "#0072b2", "#d55e00", "#009e73", "0.4"  # Okabe and Ito's


class LRFinder(Callback):
    """Records rate and progress of every optimizer step, and suggests an ``optimizer.lr`` in the end.

    Writes ``lr_finder.csv``, a row for each step, and ``lr_finder.png``, and prints a line. Metrics of accumulated
    batches are averaged. The test ends where the loss is not finite. Of a run that ends before its end there is no
    suggestion.

    Raises:
        InputError: If the run goes on from a checkpoint.
    """

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []
        self._batches: list[dict[str, float]] = []  # of the coming step
        self._rate = math.nan
        self._agreement = Agreement()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step > 0:
            raise InputError("ckpt_path: a range test starts at step 0; name the file as pretrained= instead")

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        assert isinstance(pl_module, PoseModule)
        group = next(group for group in optimizer.param_groups if group["initial_lr"] > 0)
        # what optimizer.lr would have to be, whatever the factors of the part and of the batch are
        self._rate = pl_module.make_optimizer.keywords["lr"] * group["lr"] / group["initial_lr"]  # type: ignore[attr-defined]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        logged = trainer.callback_metrics
        self._batches.append({name: float(logged[name]) for name in METRICS if name in logged})
        if trainer.fit_loop._should_accumulate():
            return
        means = {name: float(np.mean([batch[name] for batch in self._batches])) for name in self._batches[0]}
        self._batches = []
        self._rows.append({"step": trainer.global_step, "rate": self._rate, **means})
        if self._agreement.any(trainer, not math.isfinite(means["train/loss"])):
            trainer.should_stop = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._report(trainer, read_off(_steps(self._rows)))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._rows:
            self._report(trainer, Reading(None, f"the run was stopped after {len(self._rows)} steps"))

    @rank_zero_only
    def _report(self, trainer: Trainer, reading: Reading) -> None:
        folder = Path(trainer.default_root_dir)
        picture = folder / "lr_finder.png"
        write_whole(picture.with_suffix(".csv"), functools.partial(_write_rows, self._rows))
        figure = draw(_steps(self._rows), reading)
        write_whole(picture, functools.partial(figure.savefig, format="png", dpi=120))
        print(f"{reading}; {picture}")


def _write_rows(rows: list[dict[str, float]], file: Path) -> None:
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, ("step", "rate", *METRICS))
        writer.writeheader()
        writer.writerows(rows)


def draw(steps: Steps, reading: Reading) -> Figure:
    """Loss above; OKS and highest bin below; dots are steps, lines smoothed."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    count = int(np.isfinite(steps.losses).sum())  # the last may not be
    lines = [(upper, "train/loss", clipped(steps.losses[:count]), _BLUE), (lower, "train/pose_oks", steps.oks, _BLUE)]
    if steps.peaks is not None:
        lines.append((lower, "train/heatmap_peak", steps.peaks, _ORANGE))
    for axes, name, values, colour in lines:
        axes.plot(steps.rates[:count], values[:count], ".", color=colour, alpha=0.25, markersize=4)
        axes.plot(steps.rates[:count], smoothed(values[:count]), color=colour, label=name)
    for name, rate, colour, style in (
        ("suggested", reading.rate, _GREEN, "-"),
        ("stops falling", reading.floor, _GREY, "--"),
        ("classifier stalls", reading.stall, _ORANGE, ":"),
    ):
        if rate is not None:
            upper.axvline(rate, color=colour, linestyle=style, label=f"{name}, {rate:.2g}")
            lower.axvline(rate, color=colour, linestyle=style)
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    upper.set(xscale="log", ylabel="loss")
    upper.set_title(str(reading), fontsize=9)
    lower.set(ylim=(0, 1), xlabel="optimizer.lr")
    return figure


def _steps(rows: list[dict[str, float]]) -> Steps:
    rate, loss, oks, peak = (np.array([row.get(name, math.nan) for row in rows]) for name in ("rate", *METRICS))
    return Steps(rate, loss, oks, None if np.isnan(peak).all() else peak)
