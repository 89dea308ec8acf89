"""Examples for the properties, drawn as a seed: numpy makes arrays of them faster than hypothesis does."""

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

PROPERTY = settings(max_examples=25, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)


def boxes(rng: np.random.Generator, count: int, side: float = 200.0) -> Tensor:
    """Corners within a square, px; some boxes alike, some empty, some within others."""
    corners = np.sort(np.round(rng.uniform(0, side, (count, 2, 2)) / 8) * 8, axis=1).reshape(count, 4)
    corners[rng.random(count) < 0.3] = corners[:1]
    return torch.from_numpy(corners)
