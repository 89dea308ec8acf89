"""Means over seeds, and differences of means."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Mean over runs that differ in their seed.

    Attributes:
        deviation: Sample deviation (n - 1); None of a single run.
        n: Number of runs.
    """

    mean: float
    deviation: float | None
    n: int


@dataclass(frozen=True)
class Difference:
    """Mean of a row minus mean of the baseline.

    Attributes:
        margin: Half of Welch's interval of ``CONFIDENCE``; None if a side has one run, so that its noise is unknown.
    """

    mean: float
    margin: float | None

    @property
    def beyond_noise(self) -> bool | None:
        """Whether the interval excludes zero; None if there is none."""
        return None if self.margin is None else abs(self.mean) > self.margin


def spread(values: Sequence[float]) -> Spread | None:
    """None of no values."""
    if not values:
        return None
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


def difference(values: Sequence[float], baseline: Sequence[float]) -> Difference | None:
    """None if a side has no values.

    The margin is Welch's: both sides have deviations of their own, and it grows where there are few runs.
    """
    ours, theirs = spread(values), spread(baseline)
    if ours is None or theirs is None:
        return None
    mean = ours.mean - theirs.mean
    if ours.deviation is None or theirs.deviation is None:
        return Difference(mean, None)
    variances = [side.deviation**2 / side.n for side in (ours, theirs) if side.deviation is not None]
    total = sum(variances)
    if total == 0:
        return Difference(mean, 0.0)
    freedom = total**2 / sum(
        variance**2 / (side.n - 1) for variance, side in zip(variances, (ours, theirs), strict=True)
    )
    return Difference(mean, float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(total))
