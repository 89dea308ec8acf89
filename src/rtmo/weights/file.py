"""Files of tensors: read without executing anything they contain, and written whole or not at all.

torch's own format (``.pth``, ``.pt``, ``.ckpt``) and safetensors. A pickle may name any function to be called while it
is read; ``weights_only=True`` lets only tensors and plain containers through, and here numpy's arrays, with which files
of the reference describe their data sets.
"""

import json
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rtmo.errors import InputError

TORCH_SUFFIXES = (".pth", ".pt", ".ckpt")
SAFETENSORS = ".safetensors"
RECORD = "rtmo"  # key of what we know of the network, beside its weights


class _Ignored:
    """Takes the place of mmengine's training log, whose class would have to be imported; keeps nothing."""

    def __setstate__(self, state: object) -> None:
        """Forgets."""


def _ignored(*_args: object) -> None:
    """Takes the place of ``getattr``, with which that log names its own methods."""


def _plain_numpy() -> list[Any]:
    """What a pickled array of numbers consists of, under the names of numpy 1 and 2."""
    multiarray = np._core.multiarray  # type: ignore[attr-defined]
    functions: list[Any] = [np.ndarray, np.dtype]
    for core in ("numpy.core", "numpy._core"):
        functions.append((multiarray._reconstruct, f"{core}.multiarray._reconstruct"))
        functions.append((multiarray.scalar, f"{core}.multiarray.scalar"))
    kinds = (np.bool_, np.uint8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64, np.str_)
    return [*functions, *(type(np.dtype(kind)) for kind in kinds)]


SAFE_GLOBALS = [
    *_plain_numpy(),
    (_Ignored, "mmengine.logging.history_buffer.HistoryBuffer"),
    (_ignored, "builtins.getattr"),
]


def read_file(path: Path) -> dict[str, Any]:
    """What a file holds: tensors and plain containers, on the CPU.

    A safetensors file gives ``state_dict``, and ``rtmo`` if we wrote it.

    Raises:
        InputError: If the file is missing, damaged, something else, or needs more than tensors and plain containers.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as file:
        head = file.read(512).lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise InputError(f"{path}: a web page, not weights: the download ended at an error page; download it again")
    content = _read_safetensors(path) if path.suffix == SAFETENSORS else _read_torch(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, not weights by name; give a state_dict")
    return content


def write_file(path: Path, state_dict: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Writes weights and what else a file of that format should say, under a temporary name until it is whole.

    Args:
        path: Its suffix decides the format.
        state_dict: Weights by name.
        record: Plain containers; in a safetensors file as JSON.

    Raises:
        InputError: If the suffix is none of ours or the file cannot be written.
    """
    check_suffix(path)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state_dict.items()}
    unfinished = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if path.suffix == SAFETENSORS:
                unfinished.write_bytes(save(tensors, {name: json.dumps(value) for name, value in record.items()}))
            else:
                torch.save({"state_dict": tensors, **record}, unfinished)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    except (OSError, SafetensorError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise InputError(
            f"{path}: cannot be written ({error}); is the folder writable and the disk not full?"
        ) from error


def check_suffix(path: Path) -> None:
    """Refuses names that say nothing of a format.

    Raises:
        InputError: If the suffix is none of ours.
    """
    if path.suffix not in (*TORCH_SUFFIXES, SAFETENSORS):
        raise InputError(f"{path}: end the name in {SAFETENSORS} or one of {', '.join(TORCH_SUFFIXES)}")


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            state_dict = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
            record = (file.metadata() or {}).get(RECORD)
    except SafetensorError as error:
        raise InputError(f"{path}: damaged or no safetensors file ({error}); get it again") from error
    return {"state_dict": state_dict} if record is None else {"state_dict": state_dict, RECORD: json.loads(record)}


def _read_torch(path: Path) -> Any:
    zipped = zipfile.is_zipfile(path)  # older files are not, and cannot be mapped into memory
    try:
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except UnpicklingError as error:
        if refused := re.search(r"GLOBAL (\S+)", str(error)):
            raise InputError(
                f"{path}: asks for {refused[1]} beside tensors and plain containers, so it was not read and nothing in "
                "it was run; if you trust it, load it where it was made and save its state_dict alone"
            ) from None
        raise _damaged(path, error) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise _damaged(path, error) from error  # whatever a cut-off or foreign file makes of torch's reader


def _damaged(path: Path, error: Exception) -> InputError:
    reason = (str(error).partition("WeightsUnpickler error: ")[2] or str(error)).strip() or type(error).__name__
    size = path.stat().st_size
    return InputError(
        f"{path}: no weights, damaged or cut short ({size:,} bytes; {reason.splitlines()[0][:120]}); get it again"
    )
