"""Sine codes of positions, for the hybrid encoder (2-D) and the Dynamic Coordinate Classifier (1-D)."""

import torch
from jaxtyping import Float, Float32
from torch import Tensor


def sine_encoding(
    positions: Float[Tensor, "*shape"], num_features: int, temperature: float
) -> Float[Tensor, "*shape {num_features}"]:
    """Cosines, then sines, of the positions at geometrically spaced frequencies ``temperature ** -(i / n)``.

    Args:
        positions: In any unit; RTMO gives px to its coordinate classifier and cells to its encoder.
        num_features: Even; half are cosines.
        temperature: Base of the frequencies: 300 in the coordinate classifier, 10000 in the encoder.

    Reference: Vaswani et al. (2017); the coordinate code of RTMO (arXiv:2312.07526, section 3.1). The blocks of cosines
    and sines stand one after the other, as in the published weights, where the paper interleaves them.
    """
    lengths = wavelengths(num_features // 2, temperature, positions.device)
    angles = positions[..., None] / lengths.to(positions.dtype)
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


def wavelengths(num: int, temperature: float, device: torch.device | None = None) -> Float32[Tensor, " {num}"]:
    """Wavelengths of a sine code over 2 pi: float32 whatever is encoded, as the published weights were trained."""
    return temperature ** (torch.arange(num, device=device, dtype=torch.float32) / num)


def sine_encoding_2d(
    height: int,
    width: int,
    num_features: int,
    temperature: float,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "{height*width} {num_features}"]:
    """Codes of the cells of a grid, row-major: [cos(row), sin(row), cos(column), sin(column)], a quarter each."""
    rows = sine_encoding(torch.arange(height, device=device, dtype=dtype), num_features // 2, temperature)
    columns = sine_encoding(torch.arange(width, device=device, dtype=dtype), num_features // 2, temperature)
    grid = torch.cat((rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)), dim=-1)
    return grid.reshape(height * width, num_features)
