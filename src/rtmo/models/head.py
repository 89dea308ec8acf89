"""RTMO's dense head: what each grid point says about the person it sees.

Reference: RTMO (arXiv:2312.07526), section 3; the published code's layout, levels share no weights.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rtmo.models.layers import ConvBlock
from rtmo.ops.priors import make_priors
from rtmo.types import HeadOutputs

NUM_POSE_GROUPS = 8
PRIOR_PROB = 0.01  # initial person score, so that the many empty cells do not swamp the first steps


class RTMOHead(nn.Module):
    """Person score, box, visibility, pose vector and (in training) proxy keypoints of every prior.

    Args:
        in_channels: Of each input level; the first half feeds the score, the second half the pose.
        num_keypoints: K.
        cls_dim: Channels of the score branch.
        pose_dim: Channels of the pose branch, a multiple of 8.
        pose_vector_dim: D; 0 where nobody reads pose vectors.
        strides: Of the input levels, px, the finest first.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_keypoints: int,
        cls_dim: int,
        pose_dim: int,
        pose_vector_dim: int,
        strides: Sequence[int],
    ) -> None:
        super().__init__()
        self.num_keypoints = num_keypoints
        self.strides = tuple(strides)
        branch_in = in_channels // 2
        levels = range(len(self.strides))
        self.cls_convs = nn.ModuleList(
            nn.Sequential(ConvBlock(branch_in, cls_dim, 3), ConvBlock(cls_dim, cls_dim, 3)) for _ in levels
        )
        self.pose_convs = nn.ModuleList(
            nn.Sequential(
                ConvBlock(branch_in, pose_dim, 3),
                *(ConvBlock(pose_dim, pose_dim, 3, groups=NUM_POSE_GROUPS) for _ in range(3)),
            )
            for _ in levels
        )
        cls_bias = -math.log((1 - PRIOR_PROB) / PRIOR_PROB)
        self.cls_out = nn.ModuleList(_output(cls_dim, 1, cls_bias) for _ in levels)
        self.bbox_out = nn.ModuleList(_output(pose_dim, 4) for _ in levels)
        self.visibility_out = nn.ModuleList(_output(pose_dim, num_keypoints) for _ in levels)
        self.pose_vector_out = nn.ModuleList(_output(pose_dim, pose_vector_dim) for _ in levels if pose_vector_dim)
        self.proxy_out = nn.ModuleList(_output(pose_dim, 2 * num_keypoints) for _ in levels)

    def forward(
        self, levels: Sequence[Float[Tensor, "B C _H _W"]], image_size: tuple[int, int], with_proxy: bool = False
    ) -> HeadOutputs:
        """Predictions of every prior.

        Args:
            levels: Maps of the neck, one a stride.
            image_size: (height, width) of the network input, px.
            with_proxy: Whether to regress the proxy keypoints, which only training reads.
        """
        cls_features, pose_features = [], []
        for cls_conv, pose_conv, level in zip(self.cls_convs, self.pose_convs, levels, strict=True):
            cls_in, pose_in = level.chunk(2, dim=1)
            cls_features.append(cls_conv(cls_in))
            pose_features.append(pose_conv(pose_in))
        cls_logits = _flatten(self.cls_out, cls_features)
        proxy = _flatten(self.proxy_out, pose_features) if with_proxy else None
        no_vectors = cls_logits.new_empty((*cls_logits.shape[:2], 0))
        pose_vectors = _flatten(self.pose_vector_out, pose_features) if len(self.pose_vector_out) else no_vectors
        # bfloat16 cannot hold a pixel position beyond 256, so autocast must not reach the priors
        dtype = torch.promote_types(levels[0].dtype, torch.float32)
        priors, strides = make_priors(image_size, self.strides, cls_logits.device, dtype)
        return HeadOutputs(
            cls_logits=cls_logits,
            bbox_offsets=_flatten(self.bbox_out, pose_features),
            visibility_logits=_flatten(self.visibility_out, pose_features),
            pose_vectors=pose_vectors,
            proxy_offsets=None if proxy is None else proxy.unflatten(-1, (self.num_keypoints, 2)),
            priors=priors,
            strides=strides,
            image_size=image_size,
        )


def _output(in_channels: int, out_channels: int, bias: float = 0.0) -> nn.Conv2d:
    conv = nn.Conv2d(in_channels, out_channels, 1)
    nn.init.constant_(conv.bias, bias)  # type: ignore[arg-type]
    return conv


def _flatten(outputs: nn.ModuleList, features: Sequence[Float[Tensor, "B C _H _W"]]) -> Float[Tensor, "B P C2"]:
    """Applies one output convolution a level and lays the levels end to end."""
    maps = [output(feature) for output, feature in zip(outputs, features, strict=True)]
    return torch.cat([m.flatten(2).transpose(1, 2) for m in maps], dim=1)
