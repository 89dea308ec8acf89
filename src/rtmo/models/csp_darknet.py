"""CSPDarknet, the backbone of YOLOX and of RTMO's published models.

Reference: YOLOX (arXiv:2107.08430); Cross Stage Partial Networks (arXiv:1911.11929).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from rtmo.models.layers import ConvBlock
from rtmo.ops.gradients import dense_gradient

STAGE_CHANNELS = (64, 128, 256, 512, 1024)  # stem and stages 1 to 4, at widen_factor 1
STAGE_BLOCKS = (3, 9, 9, 3)  # bottlenecks of stages 1 to 4, at deepen_factor 1


class CSPDarknet(nn.Module):
    """Feature maps of strides 8, 16 and 32.

    Attributes:
        out_channels: Channels of the three maps.
    """

    def __init__(self, *, widen_factor: float, deepen_factor: float) -> None:
        super().__init__()
        stem, *stages = [int(channels * widen_factor) for channels in STAGE_CHANNELS]
        depths = [max(round(blocks * deepen_factor), 1) for blocks in STAGE_BLOCKS]
        self.stem = Focus(3, stem)
        self.stage1 = nn.Sequential(_down(stem, stages[0]), CSPLayer(stages[0], depths[0]))
        self.stage2 = nn.Sequential(_down(stages[0], stages[1]), CSPLayer(stages[1], depths[1]))
        self.stage3 = nn.Sequential(_down(stages[1], stages[2]), CSPLayer(stages[2], depths[2]))
        self.stage4 = nn.Sequential(
            _down(stages[2], stages[3]), SpatialPyramid(stages[3]), CSPLayer(stages[3], depths[3], residual=False)
        )
        self.out_channels = (stages[1], stages[2], stages[3])

    @property
    def stages(self) -> tuple[nn.Module, ...]:
        """One after the other, each takes the output of the one before."""
        return self.stem, self.stage1, self.stage2, self.stage3, self.stage4

    def forward(
        self, images: Float[Tensor, "B 3 H W"]
    ) -> tuple[Float[Tensor, "B C3 H3 W3"], Float[Tensor, "B C4 H4 W4"], Float[Tensor, "B C5 H5 W5"]]:
        """The maps of strides 8, 16 and 32.

        Args:
            images: BGR 0..255, unnormalised.
        """
        p3 = self.stage2(self.stage1(self.stem(images)))
        p4 = self.stage3(p3)
        return p3, p4, self.stage4(p4)


class Focus(nn.Module):
    """Moves each 2x2 block of pixels into channels, then convolves.

    The order of the block is top-left, bottom-left, top-right, bottom-right, which ``pixel_unshuffle`` does not give.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = ConvBlock(4 * in_channels, out_channels, 3)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        block = (x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2])
        return self.conv(torch.cat(block, dim=1))


class Bottleneck(nn.Module):
    """1x1 then 3x3 convolution, added to the input if ``residual``."""

    def __init__(self, channels: int, *, residual: bool) -> None:
        super().__init__()
        self.conv1 = ConvBlock(channels, channels, 1)
        self.conv2 = ConvBlock(channels, channels, 3)
        self.residual = residual

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        y = self.conv2(self.conv1(x))
        return x + y if self.residual else y


class CSPLayer(nn.Module):
    """Half of the channels through bottlenecks, half around them."""

    def __init__(self, channels: int, num_blocks: int, *, residual: bool = True) -> None:
        super().__init__()
        hidden = channels // 2
        self.main_conv = ConvBlock(channels, hidden)
        self.short_conv = ConvBlock(channels, hidden)
        self.blocks = nn.Sequential(*(Bottleneck(hidden, residual=residual) for _ in range(num_blocks)))
        self.final_conv = ConvBlock(2 * hidden, channels)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        main, short = self.blocks(self.main_conv(x)), self.short_conv(x)
        return self.final_conv(torch.cat((dense_gradient(main), dense_gradient(short)), dim=1))


class SpatialPyramid(nn.Module):
    """Max-pools of several sizes beside the input (SPP)."""

    KERNEL_SIZES = (5, 9, 13)

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.conv1 = ConvBlock(channels, hidden)
        self.conv2 = ConvBlock(hidden * (1 + len(self.KERNEL_SIZES)), channels)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        x = self.conv1(x)
        pooled = [functional.max_pool2d(x, size, stride=1, padding=size // 2) for size in self.KERNEL_SIZES]
        return self.conv2(torch.cat((x, *pooled), dim=1))


def _down(in_channels: int, out_channels: int) -> ConvBlock:
    return ConvBlock(in_channels, out_channels, 3, stride=2)
