"""Left and right that may be swapped. A suspicion, never a proof: bodies turn and joints cross.

What is looked at is a pair's *side*: how far its left joint lies to the left of the person as seen by somebody who
faces it, in units of the torso, with the torso upright. Seen from the front the side is positive, from behind negative,
however the person is turned in the image.

Two rules:
- Shoulders and hips of a person point the same way, and whoever shows both eyes is seen from the front. Where two of
  these clearly contradict each other (``sides_mixed``), one pair may be swapped. People who look over their shoulder
  or are twisted contradict as well.
- In a whole set, nearly everybody who shows both eyes has the left one on the positive side; where most have not, all
  pairs may be swapped (``sides_reversed``). Sets without eyes are judged by shoulders: people are photographed from
  the front more often than from behind. A set of people seen from behind looks swapped by that rule.

Only joints that end in eye, shoulder and hip are known, and only of sets with enough people to judge by.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from rtmo.data.doctor.people import People

CLEAR = {"eye": 0.06, "shoulder": 0.25, "hip": 0.15}  # torsos; sides nearer to 0 say nothing
EYES_NEEDED, SHOULDERS_NEEDED = 20, 50  # people
LEAST_SHARE = {"eye": 0.5, "shoulder": 0.35}  # of positive sides, below which a set is suspect


def pair_sides(people: People, joints: Sequence[str]) -> dict[str, Float[np.ndarray, " A"]]:
    """The side of eyes, shoulders and hips of each person, NaN where it is unknown.

    Eyes count only if both are visible. People need a torso: both shoulders and both hips.
    """
    places = _pairs(joints)
    nowhere = np.full(len(people.entries), np.nan)
    if not {"shoulder", "hip"} <= places.keys():
        return dict.fromkeys(CLEAR, nowhere)
    points = np.where(people.labeled[..., None], people.keypoints[..., :2], np.nan)
    middle = {part: points[:, places[part]].mean(1) for part in ("shoulder", "hip")}
    torso = middle["shoulder"] - middle["hip"]
    length = np.hypot(torso[:, 0], torso[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        up = torso / (length**2)[:, None]  # of length 1 where a torso is the unit
    up[length == 0] = np.nan
    sides = dict.fromkeys(CLEAR, nowhere)
    for part, (left, right) in places.items():
        across = points[:, left] - points[:, right]
        side = up[:, 0] * across[:, 1] - up[:, 1] * across[:, 0]
        both_visible = (people.keypoints[:, [left, right], 2] == 2).all(1)
        sides[part] = np.where(both_visible, side, np.nan) if part == "eye" else side
    return sides


def mixed(sides: dict[str, Float[np.ndarray, " A"]]) -> np.ndarray:
    """Whose pairs clearly contradict each other, or eyes that are both visible."""
    directions = [np.where(np.abs(sides[part]) > limit, np.sign(sides[part]), 0) for part, limit in CLEAR.items()]
    together = np.stack(directions)
    return np.asarray((together > 0).any(0) & (together < 0).any(0))


def reversed_share(sides: dict[str, Float[np.ndarray, " A"]]) -> tuple[str, float, int] | None:
    """The pair that a set is suspect by, the share of people whose left is on the proper side of it, of how many."""
    for part, needed in (("eye", EYES_NEEDED), ("shoulder", SHOULDERS_NEEDED)):
        clear = sides[part][np.abs(sides[part]) > CLEAR[part]]
        if len(clear) >= needed:
            share = float((clear > 0).mean())
            return (part, share, len(clear)) if share < LEAST_SHARE[part] else None
    return None


def _pairs(joints: Sequence[str]) -> dict[str, list[int]]:
    """Places of left and right of the parts that are judged, by whatever way names tell the side."""
    places: dict[str, list[int]] = {}
    for part in CLEAR:
        found = {}
        for place, joint in enumerate(joints):
            words = joint.lower().replace("-", "_").replace(" ", "_").split("_")
            if words[-1] == part and len(words) == 2:
                found[words[0][0]] = place
        if found.keys() >= {"l", "r"}:
            places[part] = [found["l"], found["r"]]
    return places
