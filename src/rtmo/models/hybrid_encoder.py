"""Hybrid encoder: one transformer layer on the coarsest map, then top-down and bottom-up fusion of the levels.

Reference: RT-DETR (arXiv:2304.08069); RTMO (arXiv:2312.07526), section 3.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from rtmo.models.layers import ConvBlock, neck_conv
from rtmo.ops.gradients import dense_gradient
from rtmo.ops.positions import sine_encoding_2d

LEVEL_STRIDES = (8, 16, 32)
POSITION_TEMPERATURE = 10_000.0


class HybridEncoder(nn.Module):
    """Fuses the backbone's maps and projects the levels that the head reads.

    Args:
        in_channels: Channels of the maps of strides 8, 16 and 32.
        out_channels: Channels of every output.
        strides: Levels to return, among 8, 16 and 32.
        hidden_dim: Channels inside.
        csp_dim: Channels inside the fusion blocks.
        num_blocks: RepVGG blocks in each fusion block.
        num_heads: Attention heads of the transformer layer.
        ffn_dim: Hidden width of its feed-forward network.
    """

    def __init__(
        self,
        *,
        in_channels: Sequence[int],
        out_channels: int,
        strides: Sequence[int],
        hidden_dim: int,
        csp_dim: int,
        num_blocks: int,
        num_heads: int,
        ffn_dim: int,
    ) -> None:
        super().__init__()
        self.hidden_dim = hidden_dim
        self.outputs = [LEVEL_STRIDES.index(stride) for stride in strides]
        self.input_proj = nn.ModuleList(neck_conv(channels, hidden_dim, activation=False) for channels in in_channels)
        self.encoder = EncoderLayer(hidden_dim, num_heads, ffn_dim)
        steps = range(len(LEVEL_STRIDES) - 1)
        self.lateral_convs = nn.ModuleList(neck_conv(hidden_dim, hidden_dim) for _ in steps)
        self.fpn_blocks = nn.ModuleList(CSPRepLayer(2 * hidden_dim, hidden_dim, csp_dim, num_blocks) for _ in steps)
        self.downsample_convs = nn.ModuleList(neck_conv(hidden_dim, hidden_dim, 3, stride=2) for _ in steps)
        self.pan_blocks = nn.ModuleList(CSPRepLayer(2 * hidden_dim, hidden_dim, csp_dim, num_blocks) for _ in steps)
        projections = [neck_conv(hidden_dim, out_channels, activation=False) for _ in self.outputs]
        for projection in projections:
            nn.init.xavier_uniform_(projection.conv.weight)
        self.projector = nn.ModuleList(projections)

    def forward(self, features: Sequence[Float[Tensor, "B _C _H _W"]]) -> list[Float[Tensor, "B D _H _W"]]:
        """The chosen levels, the finest first.

        Args:
            features: Maps of strides 8, 16 and 32.
        """
        p3, p4, p5 = (project(feature) for project, feature in zip(self.input_proj, features, strict=True))
        p5 = self.encoder(p5)
        p3, p4 = dense_gradient(p3), dense_gradient(p4)

        p5 = self.lateral_convs[0](p5)
        p4 = self.fpn_blocks[0](torch.cat((functional.interpolate(p5, scale_factor=2.0, mode="nearest"), p4), dim=1))
        p4 = self.lateral_convs[1](p4)
        p3 = self.fpn_blocks[1](torch.cat((functional.interpolate(p4, scale_factor=2.0, mode="nearest"), p3), dim=1))

        p4 = self.pan_blocks[0](torch.cat((self.downsample_convs[0](p3), p4), dim=1))
        p5 = self.pan_blocks[1](torch.cat((self.downsample_convs[1](p4), p5), dim=1))

        levels = (p3, p4, p5)
        return [project(levels[i]) for project, i in zip(self.projector, self.outputs, strict=True)]


class EncoderLayer(nn.Module):
    """Post-norm transformer layer over the cells of one map; positions are added to queries and keys only."""

    def __init__(self, dim: int, num_heads: int, ffn_dim: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(dim, num_heads, batch_first=True)
        self.norm1 = nn.LayerNorm(dim)
        self.ffn = nn.Sequential(nn.Linear(dim, ffn_dim), nn.GELU(), nn.Linear(ffn_dim, dim))
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        height, width = x.shape[-2:]
        tokens = x.flatten(2).transpose(1, 2)
        exact = torch.promote_types(x.dtype, torch.float32)  # angles are beyond half precision
        codes = sine_encoding_2d(height, width, x.shape[1], POSITION_TEMPERATURE, x.device, exact).to(x.dtype)
        tokens = self.encode(tokens, codes)
        return tokens.transpose(1, 2).unflatten(2, (height, width))

    def encode(self, tokens: Float[Tensor, "B T C"], codes: Float[Tensor, "T C"]) -> Float[Tensor, "B T C"]:
        """The layer itself, on flattened cells and their position codes."""
        queries = tokens + codes
        attended, _ = self.self_attn(queries, queries, tokens, need_weights=False)
        tokens = self.norm1(tokens + attended)
        return self.norm2(tokens + self.ffn(tokens))


class CSPRepLayer(nn.Module):
    """RepVGG blocks beside a 1x1 convolution, summed."""

    def __init__(self, in_channels: int, out_channels: int, hidden_dim: int, num_blocks: int) -> None:
        super().__init__()
        self.conv1 = neck_conv(in_channels, hidden_dim)
        self.conv2 = neck_conv(in_channels, hidden_dim)
        self.bottlenecks = nn.Sequential(*(RepVGGBlock(hidden_dim) for _ in range(num_blocks)))
        self.conv3: nn.Module = neck_conv(hidden_dim, out_channels) if hidden_dim != out_channels else nn.Identity()

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H W"]:
        return self.conv3(self.bottlenecks(self.conv1(x)) + self.conv2(x))


class RepVGGBlock(nn.Module):
    """3x3 and 1x1 convolutions summed before the activation, foldable into one (arXiv:2101.03697); no identity path."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch_3x3: ConvBlock = neck_conv(channels, channels, 3, activation=False)
        self.branch_1x1: ConvBlock = neck_conv(channels, channels, 1, activation=False)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return functional.silu(self.branch_3x3(x) + self.branch_1x1(x))
