"""What there is to say of a kind of input that is fuzzed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rtmo.errors import InputError


@dataclass(frozen=True)
class Subject:
    """A kind of input.

    Attributes:
        write: Puts valid input into a folder.
        read: Reads a folder as commands do.
        files: Pattern of what is mutated.
    """

    write: Callable[[Path], object]
    read: Callable[[Path], object]
    files: str


def in_turn(*reads: Callable[[], object]) -> None:
    """Reads several files; whatever one is refused for, the others are read too."""
    refused = None
    for read in reads:
        try:
            read()
        except InputError as error:
            refused = error
    if refused is not None:
        raise refused
