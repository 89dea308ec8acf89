"""Tells values that training can use from those that only look like it."""

import math
import os
from typing import Any

# Of an image that is read. Pillow, which opens all of them first, refuses more: twice its own MAX_IMAGE_PIXELS.
MAX_PIXELS = 178_956_970
FARTHEST = 100_000  # px from the corner of an image; what says to be farther is no place in it
_LONGEST_PATH, _LONGEST_NAME = 4096, 255  # bytes, as in Linux


def whole_number(value: Any) -> int | None:
    """An id: a whole number of 64 bits; True, 1.5 and "1" are none."""
    return value if type(value) is int and abs(value) < 2**63 else None


def is_list_of(kind: type, value: Any) -> bool:
    """Whether a value is a list, all of whose members are of a type."""
    return isinstance(value, list) and all(isinstance(member, kind) for member in value)


def is_file_name(text: str) -> bool:
    """Whether a system can be asked for a file of that path."""
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:  # half of a character, which JSON can write
        return False
    return b"\0" not in encoded and len(encoded) < _LONGEST_PATH and max(map(len, encoded.split(b"/"))) <= _LONGEST_NAME


def are_numbers(value: Any) -> bool:
    """Whether a value is a list of numbers, NaN and infinity included; whole ones beyond 64 bits are none."""
    return isinstance(value, list) and all(
        type(number) is float or whole_number(number) is not None for number in value
    )


def read_number(value: Any) -> float:
    """A number, also one in quotes; NaN for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def read_numbers(value: Any) -> list[float]:
    """The numbers of a list, NaN for what is none; an empty list for what is no list."""
    return [read_number(number) for number in value] if isinstance(value, list) else []
