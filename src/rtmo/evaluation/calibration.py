"""Whether scores mean what they say."""

from typing import Any

import numpy as np
from jaxtyping import Float

NUM_BINS = 10


def calibrate(
    scores: Float[np.ndarray, " N"], outcomes: Float[np.ndarray, " N"], outcome: str
) -> tuple[list[dict[str, Any]], float | None]:
    """Mean score against mean outcome in bins of equal width, and the expected calibration error.

    The error is the difference of the two means, averaged over the bins by their counts (Guo et al., ICML 2017,
    arXiv:1706.04599). Nothing to calibrate, or scores that are not 0..1 and so no probabilities, give no bins and None.

    Args:
        outcomes: What each score should have been, 0..1.
        outcome: How the mean outcome is called in the bins.
    """
    if not scores.size or scores.min() < 0 or scores.max() > 1:
        return [], None
    number = np.minimum((scores * NUM_BINS).astype(int), NUM_BINS - 1)
    counts = np.bincount(number, minlength=NUM_BINS)
    filled = counts > 0
    mean_score, mean_outcome = (
        np.bincount(number, weights=values, minlength=NUM_BINS)[filled] / counts[filled]
        for values in (scores, outcomes)
    )
    error = np.average(np.abs(mean_score - mean_outcome), weights=counts[filled])
    rows = zip(mean_score.tolist(), mean_outcome.tolist(), counts[filled].tolist(), strict=True)
    return [{"score": score, outcome: mean, "count": count} for score, mean, count in rows], float(error)
