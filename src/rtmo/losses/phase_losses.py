"""What is learned in each phase of the training, and how much it counts."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

CHOICES: Mapping[str, tuple[str, ...]] = {
    "proxy_target": ("gt", "dcc"),
    "score_oks": ("proxy", "dcc"),
    "dcc_bboxes": ("pred", "gt"),
}


@dataclass(frozen=True)
class PhaseLosses:
    """The losses of one phase; the defaults are phase B of the published RTMO-s.

    Attributes:
        bbox_weight: IoU loss of the boxes.
        vis_weight: Cross-entropy of the keypoints' visibility.
        coordinate_weight: Loss of the classifier's heatmaps.
        oks_weight: OKS loss of the proxy keypoints.
        cls_weight: Varifocal loss of the person score.
        bbox_aux_weight: L1 loss of the raw box offsets; 0 switches it off.
        heatmap_weight: Divergence of the heatmaps from Gaussians (``KLDLoss``) beside the coordinate loss; 0 switches
            it off. It pulls where a heatmap has no probability and the likelihood does not:
            docs/decisions/classifier-stall.md.
        overlaps_power: The person score learns the pose's OKS to this power.
        proxy_target: What the proxy keypoints learn: "gt", the ground truth; "dcc", the classifier's keypoints where
            these are nearer to the ground truth.
        score_oks: Whose OKS the person score learns: that of the "proxy" keypoints or of the "dcc", the classifier.
        ignore_mask: Whether priors on unlabeled people are spared the classification loss.
        dcc_bboxes: Which boxes the classifier's bins span: "pred", the predicted ones; "gt", those of the ground truth
            (teacher forcing), so that poses need not wait for boxes.
        bbox_jitter: These boxes are moved by up to this share of their size and scaled by up to as much, at random.
        min_positives: Priors a person gets at least, if so many are candidates and the assigner's ``topk`` allows them.
    """

    bbox_weight: float = 5.0
    vis_weight: float = 1.0
    coordinate_weight: float = 5.0
    oks_weight: float = 10.0
    cls_weight: float = 1.0
    bbox_aux_weight: float = 0.0
    heatmap_weight: float = 0.0
    overlaps_power: float = 0.5
    proxy_target: Literal["gt", "dcc"] = "dcc"
    score_oks: Literal["proxy", "dcc"] = "dcc"
    ignore_mask: bool = False
    dcc_bboxes: Literal["pred", "gt"] = "pred"
    bbox_jitter: float = 0.0
    min_positives: int = 1


PUBLISHED: Mapping[str, PhaseLosses] = {
    "A": PhaseLosses(coordinate_weight=1.0, oks_weight=30.0, proxy_target="gt", score_oks="proxy"),
    "B": PhaseLosses(),
    "C": PhaseLosses(bbox_aux_weight=1.0, ignore_mask=True),
}


def phase_table(changes: Mapping[str, Mapping[str, Any]]) -> dict[str, PhaseLosses]:
    """The published phases of RTMO-s on COCO with some numbers changed.

    Args:
        changes: ``{"A": {"coordinate_weight": 0.01}, ...}``; phases and keys left out stay as published.

    Raises:
        ValueError: If a phase, a key or a value is not valid.
    """
    table = dict(PUBLISHED)
    for phase, values in changes.items():
        if phase not in table:
            raise ValueError(f"phases: no phase is called {phase!r}; the phases are {list(table)}")
        checked = {key: _checked(f"phases.{phase}", key, value) for key, value in values.items()}
        table[phase] = replace(table[phase], **checked)
    return table


def _checked(where: str, key: str, value: Any) -> Any:
    """The value, if the key is known and the value fits it."""
    known = [field.name for field in fields(PhaseLosses)]
    if key not in known:
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"choose among {known}"
        raise ValueError(f"{where}: unknown key {key!r}; {hint}")
    if key in CHOICES:
        fits, wanted = value in CHOICES[key], " or ".join(map(repr, CHOICES[key]))
    elif key == "ignore_mask":
        fits, wanted = isinstance(value, bool), "true or false"
    elif key == "min_positives":
        fits, wanted = isinstance(value, int) and not isinstance(value, bool) and value >= 1, "a whole number from 1 on"
    else:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        most, wanted = (1, "a share of 0 to below 1") if key == "bbox_jitter" else (math.inf, "a number of at least 0")
        fits = is_number and 0 <= value < most
        value = float(value) if fits else value
    if not fits:
        raise ValueError(f"{where}.{key} must be {wanted}, got {value!r}")
    return value
