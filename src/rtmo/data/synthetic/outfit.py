"""What a drawn person consists of on the surface, and which clothes change its shape."""

from dataclasses import dataclass

import numpy as np

from .body import SIDES

_OF_A_SIDE = ("upper_arm", "forearm", "hand", "sleeve", "cuff", "thigh", "shank", "foot", "trouser", "hem", "ear")
SURFACES = (
    "nothing",
    *("chest", "belly", "pelvis", "skirt", "neck", "skull", "hair", "long_hair", "face", "eye", "pupil", "brow"),
    *("mouth", "nose", "brim", "pack"),
    *(f"{side}_{name}" for side in SIDES for name in _OF_A_SIDE),
)
SURFACE = {name: index for index, name in enumerate(SURFACES)}


def indices(*names: str) -> list[int]:
    """Of surfaces; a name without a side means both sides."""
    return [k for k, surface in enumerate(SURFACES) if surface in names or surface.partition("_")[2] in names]


@dataclass(frozen=True)
class Outfit:
    """Clothes and hair; lengths in limb segments: 0 none, 1 to the elbow or knee, 2 to the end.

    Attributes:
        sleeve: Length of the sleeves.
        trouser: Length of the trousers.
        skirt: Length of the skirt.
        loose: Factor on the radius of clothed limbs.
        hair: bald, short, bun or long.
        cap: Whether a cap with a brim is worn.
        pack: Whether a backpack is worn.
        tucked: Whether the shirt ends in the trousers.
    """

    sleeve: float
    trouser: float
    skirt: float
    loose: float
    hair: str
    cap: bool
    pack: bool
    tucked: bool


def sample_outfit(rng: np.random.Generator) -> Outfit:
    """Draws clothes and hair."""
    chance = rng.random(8).tolist()
    skirt = rng.uniform(0.55, 1.7) if chance[0] < 0.17 else 0.0
    sleeves = (0.0, rng.uniform(0.3, 0.8), rng.uniform(1.3, 1.8), 2.0)
    trousers = 2.0 if chance[1] < 0.7 else rng.uniform(0.35, 0.95)
    return Outfit(
        sleeve=sleeves[int(np.searchsorted((0.12, 0.52, 0.62), chance[2]))],
        trouser=0.3 if skirt else trousers,
        skirt=skirt,
        loose=rng.uniform(1.06, 1.35),
        hair=("bald", "short", "bun", "long")[int(np.searchsorted((0.08, 0.62, 0.72), chance[3]))],
        cap=chance[4] < 0.12,
        pack=chance[5] < 0.08,
        tucked=chance[6] < 0.4,
    )
