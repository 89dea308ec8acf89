"""Grid points of the feature levels."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def make_priors(
    image_size: tuple[int, int],
    level_strides: Sequence[int],
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Float[Tensor, "P 2"], Float[Tensor, " P"]]:
    """The prior (grid) points of an image and the stride of each.

    A cell of stride s covers s pixels whose centres are 0, 1, ..., s - 1, so its own centre is (s - 1) / 2: 7.5 for
    stride 16. This is neither YOLOX's i * s nor the more usual (i + 0.5) * s.

    Args:
        image_size: (height, width) of the network input in px, multiples of every stride.
        level_strides: Strides in px, the finest first.

    Returns:
        Points (x, y) in px, levels in the given order, each row-major; and the stride of each point in px.
    """
    priors, strides = [], []
    for stride in level_strides:
        rows, columns = image_size[0] // stride, image_size[1] // stride
        offset = (stride - 1) / 2
        y = torch.arange(rows, device=device, dtype=dtype) * stride + offset
        x = torch.arange(columns, device=device, dtype=dtype) * stride + offset
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        priors.append(torch.stack((grid_x, grid_y), dim=-1).reshape(-1, 2))
        strides.append(torch.full((rows * columns,), float(stride), device=device, dtype=dtype))
    return torch.cat(priors), torch.cat(strides)
