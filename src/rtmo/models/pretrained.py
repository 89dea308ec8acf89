"""Weights under the reference implementation's parameter names.

Our modules keep its names where they say what the part is; the table below is the whole difference.
"""

import re
from collections.abc import Mapping

from torch import Tensor

# (pattern of the reference, our name), applied in order
_RENAMED = (
    (r"^neck\.encoder\.0\.layers\.0\.self_attn\.attn\.", "neck.encoder.self_attn."),
    (r"^neck\.encoder\.0\.layers\.0\.ffn\.layers\.0\.0\.", "neck.encoder.ffn.0."),
    (r"^neck\.encoder\.0\.layers\.0\.ffn\.layers\.1\.", "neck.encoder.ffn.2."),
    (r"^neck\.encoder\.0\.layers\.0\.norms\.0\.", "neck.encoder.norm1."),
    (r"^neck\.encoder\.0\.layers\.0\.norms\.1\.", "neck.encoder.norm2."),
    (r"^neck\.projector\.convs\.", "neck.projector."),
    (r"^head\.head_module\.conv_cls\.", "head.cls_convs."),
    (r"^head\.head_module\.conv_pose\.", "head.pose_convs."),
    (r"^head\.head_module\.out_cls\.", "head.cls_out."),
    (r"^head\.head_module\.out_bbox\.", "head.bbox_out."),
    (r"^head\.head_module\.out_kpt_reg\.", "head.proxy_out."),
    (r"^head\.head_module\.out_kpt_vis\.", "head.visibility_out."),
    (r"^head\.head_module\.out_pose\.", "head.pose_vector_out."),
    (r"^head\.dcc\.pose_to_kpts\.0\.", "dcc.keypoint_fc."),
    (r"^head\.dcc\.pose_to_kpts\.1\.", "dcc.keypoint_bn."),
    (r"^head\.dcc\.sigma_fc\.0\.", "dcc.sigma_fc."),
    (r"^head\.dcc\.sigma_fc\.2\.scale$", "dcc.sigma_scale"),
    (r"^head\.dcc\.gau\.ln\.g$", "dcc.gau.norm_scale"),
    (r"^head\.dcc\.gau\.res_scale\.scale$", "dcc.gau.residual_scale"),
    (r"^head\.dcc\.", "dcc."),
)
# constants that the reference stores and we derive
_DERIVED = re.compile(r"(^head\.loss_oks\.sigmas|\.(x_bins|y_bins|dim_t))$")


def rename_reference_key(key: str) -> str | None:
    """Our name of a reference parameter or buffer; None for a constant that we derive."""
    if _DERIVED.search(key):
        return None
    for pattern, ours in _RENAMED:
        key, replaced = re.subn(pattern, ours, key)
        if replaced:
            break
    return key


def from_reference(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the reference implementation under our names, loadable with ``strict=True``."""
    renamed = {rename_reference_key(key): value for key, value in state_dict.items()}
    return {key: value for key, value in renamed.items() if key is not None}
