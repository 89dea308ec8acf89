"""Reads MATLAB's files."""

import functools
import multiprocessing
import zlib
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
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
    try:
        return _reader().submit(_read, path, name).result()
    except BrokenProcessPool as error:
        _reader.cache_clear()
        raise InputError(f"{path}: not {published}, or damaged so that it cannot be read") from error
    except _DAMAGED as error:
        raise InputError(f"{path}: not {published}, or cut short: it has no {name} ({error})") from error


@functools.cache
def _reader() -> ProcessPoolExecutor:
    """The process that reads, kept for the next file."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _read(path: Path, name: str) -> Any:
    return loadmat(path, squeeze_me=True, struct_as_record=False, variable_names=[name])[name]


def structs(parent: Any, field: str) -> list[Any]:
    """The structs in a field, where MATLAB keeps many, one, none ([]), or has no such field."""
    return [item for item in np.atleast_1d(getattr(parent, field, [])) if hasattr(item, "_fieldnames")]
