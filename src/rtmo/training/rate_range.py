"""What a learning-rate range test tells: the rate at which the loss falls fastest, and where learning ends.

The loss is partly a likelihood and gets negative, so nothing here depends on where its zero is. It does not tell all
either: at too high a rate the coordinate classifier stalls, its heatmaps sharp before they are right
(docs/decisions/classifier-stall.md), while other losses still fall. So its sharpness and OKS are looked at as well.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

FEWEST_STEPS = 50
WINDOW = 30  # a test has so many standard deviations of the smoothing window: 10 steps of 300
FLOOR = 0.05  # of its whole fall: where the loss is no further from its lowest, it has come to its floor
NOISE = 2.0  # standard deviations between steps: what falls less has not fallen
# Heatmaps whose highest bin passes .3 have stalled if OKS is below .5 by then, at any rate that was measured.
SHARP, RIGHT = 0.3, 0.5
STALL_MARGIN = 4.0  # a run at one rate stalls at lower ones than a test, which passes each in a few steps


@dataclass(frozen=True)
class Steps:
    """A range test, step by step; rates rise by the same factor every step.

    Attributes:
        rates: As ``optimizer.lr``.
        losses: Total loss. Where it was not finite the test ended.
        oks: Of the positives, by the network's pose.
        peaks: Highest bin of the classifier's heatmaps; None if that is not known.
    """

    rates: Float[np.ndarray, "T"]
    losses: Float[np.ndarray, "T"]
    oks: Float[np.ndarray, "T"]
    peaks: Float[np.ndarray, "T"] | None = None


@dataclass(frozen=True)
class Reading:
    """What was read off a range test.

    Attributes:
        rate: The suggestion for ``optimizer.lr``; None if there is none.
        reason: What it was read off, or why there is none.
        floor: Rate at which the smoothed loss stops falling.
        stall: Rate at which the classifier stalls; None if it does not, or began with sharp heatmaps.
    """

    rate: float | None
    reason: str
    floor: float | None = None
    stall: float | None = None

    def __str__(self) -> str:
        return f"{'no rate suggested' if self.rate is None else f'optimizer.lr={self.rate:.2g}'} ({self.reason})"


def read_off(steps: Steps) -> Reading:
    """Suggests the rate at which the smoothed loss falls fastest, well below where the classifier stalls."""
    finite = np.isfinite(steps.losses)
    count = len(finite) if finite.all() else int(finite.argmin())
    if count < FEWEST_STEPS:
        ended = "" if finite.all() else ", then the loss was not finite"
        return Reading(None, f"{count} steps{ended}, which is too few to tell: at least {FEWEST_STEPS} are needed")
    rates, losses = steps.rates[:count], clipped(steps.losses[:count])
    smooth = smoothed(losses)
    lowest = int(smooth.argmin())
    fall = smooth[: lowest + 1].max() - smooth[lowest]
    if fall <= NOISE * (np.std(losses - smooth) + 1e-9 * np.abs(losses).max()):  # the second: that of rounding
        return Reading(None, f"the loss does not fall between rates of {rates[0]:.2g} and {rates[-1]:.2g}")
    if finite.all() and lowest >= count - count // WINDOW:
        return Reading(None, f"the loss still falls at the highest rate, {rates[-1]:.2g}; try a higher optimizer.lr")
    fastest = int(np.gradient(smooth)[: lowest + 1].argmin())
    floor = float(rates[int((smooth <= smooth[lowest] + FLOOR * fall).argmax())])
    stall = _stall(steps, count)
    if stall is not None and stall < STALL_MARGIN * rates[fastest]:
        reason = f"1/{STALL_MARGIN:.0f} of where the classifier stalls; the loss falls fastest at {rates[fastest]:.2g}"
        return Reading(stall / STALL_MARGIN, reason, floor, stall)
    stalls = "" if stall is None else f", and the classifier stalls at {stall:.2g}"
    reason = f"there the loss falls fastest; it stops falling at {floor:.2g}{stalls}"
    return Reading(float(rates[fastest]), reason, floor, stall)


def clipped(losses: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    """Losses, those above what it began with made equal to that: they are lost, and one could hide all others."""
    return losses.clip(max=losses[: max(1, len(losses) // 10)].max())


def smoothed(values: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    """Weighted means over the steps before and after, so that nothing is shifted towards higher rates."""
    steps = np.arange(len(values))
    width = max(len(values) / WINDOW, 1.0)
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / width) ** 2)
    return weights @ values / weights.sum(axis=1)


def _stall(steps: Steps, count: int) -> float | None:
    """The rate at which heatmaps get sharp and are wrong; None if they do not, or were sharp at the start."""
    if steps.peaks is None:
        return None
    sharp = smoothed(steps.peaks[:count]) >= SHARP
    stalled = sharp & (smoothed(steps.oks[:count]) < RIGHT)
    return float(steps.rates[int(stalled.argmax())]) if stalled.any() and not sharp[0] else None
