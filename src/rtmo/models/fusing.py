"""A network made ready for inference: fewer, larger operations with the same results.

Batch normalisation in eval mode is an affine map, so it folds into the convolution before it; two convolutions that
are summed are one. Reference: RepVGG (arXiv:2101.03697), section 3.3.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from rtmo.models.hybrid_encoder import CSPRepLayer, RepVGGBlock
from rtmo.models.rtmo import RTMO


def for_inference(model: RTMO, dtype: torch.dtype = torch.float32) -> RTMO:
    """``fused``, channels_last, its dense part in ``dtype``.

    The coordinate classifier stays in float32: half a bin of a large box is beyond bfloat16, and exponentials of its
    logits beyond float16.
    """
    ready = fused(model)
    for part in (ready.backbone, ready.neck, ready.head):
        part.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ready


def fused(model: RTMO) -> RTMO:
    """A copy in eval mode with normalisation folded, RepVGG blocks merged and nothing that only training reads.

    What it computes is the same but for rounding; it can neither be trained nor loaded into.
    """
    copy = deepcopy(model).eval().requires_grad_(False)
    for module in list(copy.modules()):
        _fold_norms(module)
    for module in copy.modules():
        if isinstance(module, CSPRepLayer):
            module.bottlenecks = nn.Sequential(*(merge_branches(block) for block in module.bottlenecks))
    if copy.dcc is not None:
        copy.dcc.keypoint_fc = fuse_linear_bn_eval(copy.dcc.keypoint_fc, copy.dcc.keypoint_bn)
        copy.dcc.keypoint_bn = nn.Identity()  # type: ignore[assignment]
        copy.head.proxy_out = nn.ModuleList()
    return copy


def merge_branches(block: nn.Module) -> nn.Sequential:
    """A RepVGG block as one 3x3 convolution; its norms are folded already."""
    assert isinstance(block, RepVGGBlock)
    merged = deepcopy(block.branch_3x3.conv)
    with torch.no_grad():
        merged.weight += pad(block.branch_1x1.conv.weight, (1, 1, 1, 1))  # in the middle of the 3x3
        _bias(merged).add_(_bias(block.branch_1x1.conv))
    return nn.Sequential(merged, nn.SiLU(inplace=True))


def _fold_norms(module: nn.Module) -> None:
    """Folds each norm among the children of a module into the convolution that stands before it."""
    before = ""
    for name, child in list(module.named_children()):
        conv = getattr(module, before, None) if before else None
        if isinstance(child, nn.BatchNorm2d) and isinstance(conv, nn.Conv2d):
            setattr(module, before, fuse_conv_bn_eval(conv, child))
            setattr(module, name, nn.Identity())
        before = name


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None  # folding a norm gives one
    return conv.bias
