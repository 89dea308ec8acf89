"""Weights under the parameter names of the reference implementation (mmpose), from and to ours.

Our modules keep its names where they say what the part is; the table below is the whole difference.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rtmo.models.hybrid_encoder import POSITION_TEMPERATURE
from rtmo.models.rtmo import RTMO
from rtmo.ops.positions import wavelengths
from rtmo.skeletons import KEYPOINT_SETS, KeypointSet

# (prefix of the reference, our prefix); the first that fits is taken, in either direction
_PREFIXES = (
    ("neck.encoder.0.layers.0.self_attn.attn.", "neck.encoder.self_attn."),
    ("neck.encoder.0.layers.0.ffn.layers.0.0.", "neck.encoder.ffn.0."),
    ("neck.encoder.0.layers.0.ffn.layers.1.", "neck.encoder.ffn.2."),
    ("neck.encoder.0.layers.0.norms.0.", "neck.encoder.norm1."),
    ("neck.encoder.0.layers.0.norms.1.", "neck.encoder.norm2."),
    ("neck.projector.convs.", "neck.projector."),
    ("head.head_module.conv_cls.", "head.cls_convs."),
    ("head.head_module.conv_pose.", "head.pose_convs."),
    ("head.head_module.out_cls.", "head.cls_out."),
    ("head.head_module.out_bbox.", "head.bbox_out."),
    ("head.head_module.out_kpt_reg.", "head.proxy_out."),
    ("head.head_module.out_kpt_vis.", "head.visibility_out."),
    ("head.head_module.out_pose.", "head.pose_vector_out."),
    ("head.dcc.pose_to_kpts.0.", "dcc.keypoint_fc."),
    ("head.dcc.pose_to_kpts.1.", "dcc.keypoint_bn."),
    ("head.dcc.sigma_fc.0.", "dcc.sigma_fc."),
    ("head.dcc.sigma_fc.2.scale", "dcc.sigma_scale"),
    ("head.dcc.gau.ln.g", "dcc.gau.norm_scale"),
    ("head.dcc.gau.res_scale.scale", "dcc.gau.residual_scale"),
    ("head.dcc.", "dcc."),
)

# What the reference stores and we derive.
CONSTANTS = (
    "head.loss_oks.sigmas",
    "head.dcc.x_bins",
    "head.dcc.y_bins",
    "head.dcc.spe.dim_t",
    "neck.sincos_pos_enc.dim_t",
)


def to_our_key(key: str) -> str:
    """Our name of a reference parameter or buffer, other than ``CONSTANTS``."""
    return _replace_prefix(key, _PREFIXES)


def to_reference_key(key: str) -> str:
    """The reference's name of one of our parameters or buffers."""
    return _replace_prefix(key, [(ours, theirs) for theirs, ours in _PREFIXES])


def to_reference(state_dict: Mapping[str, Tensor], constants: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of ours under the reference's names, which its strict mode loads.

    Args:
        state_dict: Of an ``RTMO``.
        constants: See ``reference_constants``.
    """
    return {to_reference_key(key): value for key, value in state_dict.items()} | dict(constants)


def reference_constants(model: RTMO, oks_sigmas: Sequence[float]) -> dict[str, Tensor]:
    """What the reference stores beside the weights of such a network, float32."""
    assert model.dcc is not None  # the reference has no other RTMO
    half = model.dcc.dim // 2
    return {
        "head.loss_oks.sigmas": torch.tensor(oks_sigmas),
        "head.dcc.x_bins": model.dcc.x_bins.float().clone(),
        "head.dcc.y_bins": model.dcc.y_bins.float().clone(),
        "head.dcc.spe.dim_t": wavelengths(half, model.dcc.temperature),
        "neck.sincos_pos_enc.dim_t": wavelengths(model.neck.hidden_dim // 4, POSITION_TEMPERATURE),
    }


def described_joints(dataset_meta: Mapping[str, Any], oks_sigmas: Sequence[float]) -> KeypointSet | None:
    """The keypoint set that the reference describes in ``meta.dataset_meta``; None if it does not.

    A built-in set of ours if its joints are the same.

    Args:
        oks_sigmas: Those that the reference stores with the weights.
    """
    fields = ("dataset_name", "keypoint_id2name", "flip_indices", "skeleton_links")
    if not all(field in dataset_meta for field in fields):
        return None
    name, by_index, flips, links = (dataset_meta[field] for field in fields)
    joints = tuple(by_index[index] for index in sorted(by_index))
    for skeleton in KEYPOINT_SETS.values():
        if skeleton.joints == joints:
            return skeleton
    return KeypointSet(
        name=name,
        joints=joints,
        flip_pairs=tuple((joints[i], joints[flip]) for i, flip in enumerate(flips) if i < flip),
        limbs=tuple((joints[a], joints[b]) for a, b in links),
        oks_sigmas=tuple(oks_sigmas),
    )


def describe_joints(skeleton: KeypointSet) -> dict[str, Any]:
    """A keypoint set in the words of ``meta.dataset_meta``, which the reference draws with."""
    return {
        "dataset_name": skeleton.name,
        "num_keypoints": skeleton.num_keypoints,
        "keypoint_id2name": dict(enumerate(skeleton.joints)),
        "keypoint_name2id": {joint: index for index, joint in enumerate(skeleton.joints)},
        "flip_indices": list(skeleton.flip_indices),
        "skeleton_links": list(skeleton.limb_indices),
        "sigmas": list(skeleton.oks_sigmas),
    }


def _replace_prefix(key: str, prefixes: Sequence[tuple[str, str]]) -> str:
    for old, new in prefixes:
        if key.startswith(old):
            return new + key.removeprefix(old)
    return key
