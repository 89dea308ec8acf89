"""Reads MATLAB's files."""

import functools
import multiprocessing
import zlib
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from rtmo.data.coco_json import missing
from rtmo.errors import InputError

# What scipy raises for files that are cut short or of another kind; KeyError where the variable is not in the file,
# MemoryError where a number says to be larger than the memory (the format ends at 4 GB).
_DAMAGED = (
    *(KeyError, OSError, ValueError, TypeError, NotImplementedError, MemoryError, MatReadError, zlib.error),
    UnboundLocalError,  # a slip of scipy's
)


def read_variable(path: Path, name: str, published: str) -> Any:
    """A variable of a .mat file: arrays, and structs as objects with their fields as attributes.

    Files are read in another process, as scipy's reader crashes over some that are damaged.

    Args:
        published: What the file is called where it comes from, for the message.

    Raises:
        InputError: If there is no such file, or it lacks the variable.
    """
    if not path.is_file():
        raise missing("input", path, "file")
    reader = _reader()
    try:
        reader.send((path, name))
        answer = reader.recv()
    except (EOFError, OSError) as error:
        _reader.cache_clear()
        raise InputError(f"{path}: not {published}, or damaged so that it cannot be read") from error
    if isinstance(answer, Exception):
        raise InputError(f"{path}: not {published}, or cut short: it has no {name} ({answer})") from answer
    return answer


@functools.cache
def _reader() -> Connection:
    """To the process that reads, which is kept for the next file and ends with this one."""
    context = multiprocessing.get_context("spawn")  # so that nobody else has the other end of the connection
    ours, theirs = context.Pipe()
    context.Process(target=_serve, args=(theirs,), daemon=True).start()
    theirs.close()
    return ours


def _serve(connection: Connection) -> None:
    with suppress(EOFError):
        while True:
            path, name = connection.recv()
            try:
                answer = loadmat(path, squeeze_me=True, struct_as_record=False, variable_names=[name])[name]
            except _DAMAGED as error:
                answer = error
            connection.send(answer)


def structs(parent: Any, field: str) -> list[Any]:
    """The structs in a field, where MATLAB keeps many, one, none ([]), or has no such field."""
    return [item for item in np.atleast_1d(getattr(parent, field, [])) if hasattr(item, "_fieldnames")]
