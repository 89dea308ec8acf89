"""Small networks with weights worth comparing, and files of them as the reference writes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rtmo.models.rtmo import RTMO
from rtmo.skeletons import COCO17, KeypointSet
from rtmo.weights.reference import reference_constants, to_reference

SMALL = {
    "widen_factor": 0.125,
    "deepen_factor": 0.33,
    "hidden_dim": 32,
    "ffn_dim": 64,
    "dcc_dim": 16,
    "attention_dim": 16,
}


def small_rtmo(skeleton: KeypointSet = COCO17, seed: int = 0, **overrides: Any) -> RTMO:
    """A network of some 300 000 parameters; no two of its weights and statistics are the same."""
    torch.manual_seed(seed)
    model = RTMO(num_keypoints=skeleton.num_keypoints, **{**SMALL, **overrides})
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            attends = name.startswith(("dcc.gau", "dcc.pos_enc"))  # strongly, so that the order of joints matters
            noise = torch.randn_like(tensor) / (1 if attends else 9)
            tensor.copy_(torch.rand_like(tensor) + 0.5 if name.endswith("running_var") else noise)
    return model.eval()


def lively_rtmo(skeleton: KeypointSet = COCO17, seed: int = 0, **overrides: Any) -> RTMO:
    """A network of that size whose outputs depend on the image, as those of ``small_rtmo`` hardly do."""
    torch.manual_seed(seed)
    model = RTMO(num_keypoints=skeleton.num_keypoints, **{**SMALL, **overrides})
    return enlivened(model, torch.rand(4, 3, 128, 160) * 255)


def enlivened(model: RTMO, images: Tensor) -> RTMO:
    """A fresh network made to see differences between images like these.

    Its norms get the statistics of its activations and some weights and biases of their own, and its scores and boxes
    spread about as those of a trained one.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.7, 1.4)
        nn.init.normal_(norm.bias, std=0.2)
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(images)
        outputs = model.eval()(images)
        for layers, values, spread in (
            (model.head.cls_out, outputs.cls_logits, 1),
            (model.head.bbox_out, outputs.bbox_offsets, 0.05),  # other images give many times that
        ):
            for conv in layers:
                conv.weight.mul_(spread / values.std())
        if model.dcc is not None:  # whose norm the forward path does not reach
            model.dcc.train().keypoint_features(outputs.pose_vectors.flatten(0, 1))
    return model.eval()


def reference_state(model: RTMO, skeleton: KeypointSet = COCO17) -> dict[str, Tensor]:
    """Its weights under the reference's names, with the constants that the reference stores."""
    return to_reference(model.state_dict(), reference_constants(model, skeleton.oks_sigmas))


def save_reference(path: Path, state_dict: Mapping[str, Tensor], **other: Any) -> Path:
    """A ``.pth`` file like those of mmengine."""
    torch.save({"meta": {"epoch": 600}, "state_dict": dict(state_dict), **other}, path)
    return path
