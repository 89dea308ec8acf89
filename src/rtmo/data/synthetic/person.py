"""A whole person: its strokes, and which of its joints can be seen."""

from functools import cache

import numpy as np
from jaxtyping import Bool, Int

from .body import BENDS, SIDES
from .figure import Capsules, Figure, add_arm, add_leg, trunk_strokes
from .head import EAR_TURN, add_head
from .outfit import indices
from .shapes import LEVELS, Layer, Stroke

_FACE = ("skull", "face", "eye", "pupil", "brow", "mouth", "nose")
_TRUNK = ("chest", "belly", "pelvis", "skirt")
# surfaces through which a joint counts as seen: on its own side, and on either
_SHOWS_AT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "shoulder": (("upper_arm", "sleeve"), _TRUNK),
    "elbow": (("upper_arm", "forearm", "sleeve", "cuff"), ()),
    "wrist": (("forearm", "cuff", "hand"), ()),
    "hip": (("thigh", "trouser"), _TRUNK),
    "knee": (("thigh", "shank", "trouser", "hem"), ("skirt",)),
    "ankle": (("shank", "hem", "foot"), ()),
    "ear": (("ear",), _FACE),
    "eye": ((), _FACE),
    "nose": ((), _FACE),
    "neck": ((), ("neck", "chest", "skull", "long_hair")),
    "top_head": ((), (*_FACE, "hair")),
}
# how far (share of the body's half width there) a joint may lie behind the middle before trunk or head hide it
_TURNED_AWAY = {"shoulder": 0.75, "hip": 0.75, "ear": EAR_TURN, "eye": -0.05, "nose": -0.05}
_REACH = 1  # px around a joint where its surface may show


def person_strokes(figure: Figure) -> list[Stroke]:
    """Everything that is drawn of a person."""
    capsules = Capsules(figure)
    for side in SIDES:
        add_arm(capsules, figure, side)
        add_leg(capsules, figure, side)
    girth = figure.body.build.girth
    capsules.add("neck", ("neck", "head"), (0.032 * girth, 0.028 * girth), length=0.6, depth=figure.depth("neck"))
    others = [*trunk_strokes(figure), *add_head(capsules, figure)]
    return [*others, *capsules.strokes()]


def visible_joints(
    figure: Figure,
    joints: tuple[str, ...],
    layer: Layer,
    shown: Bool[np.ndarray, "h w"],
    pixels: Int[np.ndarray, "K 2"],
) -> Bool[np.ndarray, " K"]:
    """Which joints show.

    ``shown`` tells where on its layer the person is not covered by others, ``pixels`` are the (column, row) of the
    joints on the canvas, which must lie on it.
    """
    labels = np.where(shown, layer.labels, 0)
    height, width = labels.shape
    columns, rows = (pixels - (layer.x, layer.y)).T
    reach = np.arange(-_REACH, _REACH + 1)
    near_rows = (rows[:, None] + reach).clip(0, height - 1)
    near_columns = (columns[:, None] + reach).clip(0, width - 1)
    nearby = labels[near_rows[:, :, None], near_columns[:, None, :]].reshape(len(joints), -1)
    on_surface = np.take_along_axis(_surface_table(joints), nearby.astype(np.intp), axis=1).any(1)
    return on_surface & np.array([_faces_camera(figure, joint) for joint in joints])


@cache
def _surface_table(joints: tuple[str, ...]) -> Bool[np.ndarray, "K 256"]:
    """Per joint, the labels through which it counts as seen."""
    table = np.zeros((len(joints), 256), bool)
    for row, name in zip(table, joints, strict=True):
        side, _, joint = name.partition("_") if name.startswith(SIDES) else ("", "", name)
        own, either = _SHOWS_AT[joint]
        for surface in indices(*(f"{side}_{surface}" for surface in own), *either):
            row[surface * LEVELS : (surface + 1) * LEVELS] = True
    return table


def _faces_camera(figure: Figure, name: str) -> bool:
    """False where the trunk or the head itself lies between the joint and the camera."""
    joint = name.partition("_")[2] if name.startswith(SIDES) else name
    if joint not in _TURNED_AWAY:
        return True
    body = figure.body
    middle, half_width = {
        "shoulder": ("neck", body.build.shoulder),
        "hip": ("pelvis", body.build.hip),
    }.get(joint, ("head", body.build.skull))
    return bool(body[name][2] < body[middle][2] + _TURNED_AWAY[joint] * half_width)


def joints_that_show() -> tuple[str, ...]:
    """Names of all joints that ``visible_joints`` knows."""
    return (*(f"{side}_{joint}" for joint in (*BENDS, "ear", "eye") for side in SIDES), "nose", "neck", "top_head")
