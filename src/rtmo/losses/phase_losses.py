"""What is learned in each phase of the training, and how much it counts."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from rtmo.phases import Phase


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
        overlaps_power: The person score learns the pose's OKS to this power.
        proxy_target: What the proxy keypoints learn, and whose OKS the person score: "gt", the ground truth and the
            proxy's own OKS; "dcc", the classifier's keypoints where these are nearer to the ground truth, and the
            classifier's OKS.
        ignore_mask: Whether priors on unlabeled people are spared the classification loss.

    Raises:
        ValueError: If a weight is not a number of at least 0, or an option is unknown.
    """

    bbox_weight: float = 5.0
    vis_weight: float = 1.0
    coordinate_weight: float = 5.0
    oks_weight: float = 10.0
    cls_weight: float = 1.0
    bbox_aux_weight: float = 0.0
    overlaps_power: float = 0.5
    proxy_target: Literal["gt", "dcc"] = "dcc"
    ignore_mask: bool = False

    def __post_init__(self) -> None:
        if self.proxy_target not in ("gt", "dcc"):
            raise ValueError(f"proxy_target must be 'gt' or 'dcc', got {self.proxy_target!r}")
        if not isinstance(self.ignore_mask, bool):
            raise ValueError(f"ignore_mask must be true or false, got {self.ignore_mask!r}")
        for name in (*_WEIGHTS, "overlaps_power"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ValueError(f"{name} must be a number of at least 0, got {value!r}")


_WEIGHTS = tuple(field.name for field in fields(PhaseLosses) if field.name.endswith("_weight"))

PUBLISHED: Mapping[str, PhaseLosses] = {
    "A": PhaseLosses(coordinate_weight=1.0, oks_weight=30.0, proxy_target="gt"),
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
    known = [field.name for field in fields(PhaseLosses)]
    for phase, values in changes.items():
        if phase not in get_args(Phase):
            raise ValueError(f"phases: no phase is called {phase!r}; the phases are {list(get_args(Phase))}")
        for key in values:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"choose among {known}"
                raise ValueError(f"phases.{phase}: unknown key {key!r}; {hint}")
        try:
            table[phase] = replace(table[phase], **values)
        except ValueError as error:
            raise ValueError(f"phases.{phase}.{error}") from None
    return table
