"""What network a state dict belongs to, read off the shapes of its tensors."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from rtmo.models.csp_darknet import STAGE_BLOCKS, STAGE_CHANNELS
from rtmo.models.rtmo import CSP_REP_BLOCKS, HEAD_DIM, REGRESSION

# widen_factor, deepen_factor
PUBLISHED_SIZES = {"rtmo_t": (0.375, 0.33), "rtmo_s": (0.5, 0.33), "rtmo_m": (0.75, 0.67), "rtmo_l": (1.0, 1.0)}
STRIDES = {2: (16, 32), 3: (8, 16, 32)}  # by number of levels that the head reads


def architecture_of(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """Arguments of ``RTMO`` that give a network of these weights, but ``num_keypoints``.

    The number of attention heads leaves no trace in the weights: it is the published 8, as are what changes only
    numbers, the padding of boxes and the temperature of the bins' code.

    Args:
        state_dict: Of an ``RTMO``, under our names.

    Raises:
        KeyError: If a part of the network is missing.
    """
    head_dim = len(state_dict["head.cls_convs.0.0.conv.weight"])
    hidden_dim = len(state_dict["neck.input_proj.0.conv.weight"])
    csp_dim = len(state_dict["neck.fpn_blocks.0.conv1.conv.weight"])
    if "backbone.stem.conv.conv.weight" in state_dict:
        backbone, widen_factor = "csp_darknet", len(state_dict["backbone.stem.conv.conv.weight"]) / STAGE_CHANNELS[0]
        deepen_factor = _count(state_dict, "backbone.stage2.1.blocks.") / STAGE_BLOCKS[1]
    else:
        backbone, widen_factor = "resnet50", head_dim / HEAD_DIM
        deepen_factor = _count(state_dict, "neck.fpn_blocks.0.bottlenecks.") / CSP_REP_BLOCKS
    for widen, deepen in PUBLISHED_SIZES.values():  # .33 and 1/3 give the same network
        if widen == widen_factor and abs(deepen - deepen_factor) < 0.01:
            deepen_factor = deepen
    return {
        "backbone": backbone,
        "widen_factor": widen_factor,
        "deepen_factor": deepen_factor,
        "hidden_dim": hidden_dim,
        "neck_widen_factor": None if csp_dim == int(hidden_dim * widen_factor) else csp_dim / hidden_dim,
        "ffn_dim": len(state_dict["neck.encoder.ffn.0.weight"]),
        "strides": STRIDES[_count(state_dict, "head.cls_out.")],
        **_classifier(state_dict),
    }


def _classifier(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    if "dcc.pos_enc" not in state_dict:
        return {"decoding": REGRESSION}
    return {"dcc_dim": state_dict["dcc.x_fc.weight"].shape[1], "attention_dim": state_dict["dcc.pos_enc"].shape[1]}


def size_of(architecture: Mapping[str, Any]) -> str | None:
    """The published size that an architecture is, such as ``rtmo_s``; None if it is another."""
    size = (architecture["widen_factor"], architecture["deepen_factor"])
    if architecture["backbone"] != "csp_darknet" or architecture["hidden_dim"] != 256:
        return "rtmo_r50" if architecture["backbone"] == "resnet50" and size == (1.0, 1.0) else None
    return next((name for name, published in PUBLISHED_SIZES.items() if published == size), None)


def _count(state_dict: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered modules stand below a prefix."""
    return len({key.removeprefix(prefix).partition(".")[0] for key in state_dict if key.startswith(prefix)})
