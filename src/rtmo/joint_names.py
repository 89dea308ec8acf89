"""What the name of a joint says, however it is spelt: its side, its partner in a mirror, the known joint it means."""

import re
from collections.abc import Collection, Sequence

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # left|Eye, L|Shoulder
_LETTERS = {"l": "left", "r": "right"}
_GLUED = re.compile(r"(left|right)(.+)")


def split_side(name: str) -> tuple[str | None, str]:
    """Side and rest of a name in lower case, words joined by ``_``.

    ``left_eye``, ``Left Eye``, ``leftEye``, ``eye-left``, ``LEye``, ``l_eye`` and ``eye.L`` are all
    ``("left", "eye")``; ``nose`` is ``(None, "nose")``.
    """
    words = [word for word in re.split(r"[\W_]+", _CAMEL.sub(" ", name).lower()) if word]
    for place, word in enumerate(words):
        if word in _LETTERS.values():
            return word, "_".join(words[:place] + words[place + 1 :])
    if len(words) > 1:
        for place in (0, -1):
            if side := _LETTERS.get(words[place]):
                return side, "_".join(words[1:] if place == 0 else words[:-1])
    if words and (glued := _GLUED.fullmatch(words[0])):
        return glued[1], "_".join([glued[2], *words[1:]])
    return None, "_".join(words)


def mirror_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs (left, right) of names that differ by side only, in the order of the left ones."""
    sided = {split_side(name): name for name in names}
    return [
        (name, sided["right", rest])
        for (side, rest), name in sided.items()
        if side == "left" and ("right", rest) in sided
    ]


def known_joint(name: str, known: Collection[str]) -> str | None:
    """The one of the known names (``left_eye``, ``nose``) that a name means; None if it is none of them."""
    if name in known:
        return name
    side, rest = split_side(name)
    usual = f"{side}_{rest}" if side else rest
    return usual if usual in known else None
