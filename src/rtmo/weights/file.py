"""Files of tensors: read without executing anything they contain, and written whole or not at all.

torch's own format (``.pth``, ``.pt``, ``.ckpt``) and safetensors. A pickle may name any function to be called while it
is read; ``weights_only=True`` lets tensors and plain containers through and refuses the rest.
"""

import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rtmo.documents import parse_json
from rtmo.errors import InputError

TORCH_SUFFIXES = (".pth", ".pt", ".ckpt")
SAFETENSORS = ".safetensors"
RECORD = "rtmo"  # key of what we know of the network, beside its weights


class _PassedOver:
    """What a pickle gets in place of an object that we neither need nor build; keeps nothing."""

    def __init__(self, *_arguments: object) -> None:
        """Takes whatever the object would have been made of."""

    def __setstate__(self, _state: object) -> None:
        """Forgets."""


# Names that files of the reference ask for beside tensors: numpy's numbers, in the description of the data set, and
# mmengine's training log, which names its own methods. Pickles get our class by that name, never the real one: a
# forged dtype, for one, makes numpy read beyond its memory.
_PASSED_OVER = (
    *("numpy.ndarray", "numpy.dtype", "builtins.bytes", "builtins.getattr"),
    *(f"{core}.multiarray.{name}" for core in ("numpy.core", "numpy._core") for name in ("_reconstruct", "scalar")),
    "mmengine.logging.history_buffer.HistoryBuffer",
)
_SAFE_GLOBALS: list[Any] = [(_PassedOver, name) for name in _PASSED_OVER]


def read_file(path: Path) -> dict[str, Any]:
    """What a file holds: tensors and plain containers, on the CPU.

    A safetensors file gives ``state_dict``, and ``rtmo`` if we wrote it. Arrays of numpy and mmengine's log of a
    training, which files of the reference hold as well, are passed over.

    Raises:
        InputError: If the file is missing, damaged, something else, or needs more than tensors and plain containers.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix == ".onnx":
        raise InputError(f"{path}: an exported network, which has no weights to load; give the checkpoint it came from")
    try:
        with path.open("rb") as file:
            head = file.read(512).lstrip().lower()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); permit reading") from error
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

    def write(unfinished: Path) -> None:
        if path.suffix == SAFETENSORS:
            unfinished.write_bytes(save(tensors, {name: json.dumps(value) for name, value in record.items()}))
        else:
            torch.save({"state_dict": tensors, **record}, unfinished)

    write_whole(path, write)


def write_whole(path: Path, write: Callable[[Path], None], previous: Path | None = None) -> None:
    """Writes a file under a temporary name, and gives it its own when it is whole and on the disk.

    Whenever the process or the machine stops, each name is that of a whole file: the old one or the new.

    Args:
        path: In whose folder, made if need be, the temporary file lies too.
        write: Makes the file of a path.
        previous: What the file that is there now is called from then on, in the same folder; None: it is replaced.

    Raises:
        InputError: If the file cannot be written.
    """
    unfinished, old = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(unfinished)
            _sync(unfinished)
            if previous is not None and path.exists():
                _second_name(path, old)
                os.replace(unfinished, path)
                os.replace(old, previous)  # last: were the file here damaged, this would be the only good one till now
            else:
                os.replace(unfinished, path)
            _sync(path.parent)
        finally:
            unfinished.unlink(missing_ok=True)
            old.unlink(missing_ok=True)
    except (OSError, SafetensorError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise InputError(
            f"{path}: cannot be written ({error}); is the folder writable and the disk not full?"
        ) from error


def _sync(path: Path) -> None:
    """Has the system write a file, or the names in a folder, to the disk now."""
    if path.is_dir() and os.name != "posix":
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _second_name(path: Path, other: Path) -> None:
    other.unlink(missing_ok=True)
    try:
        os.link(path, other)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, other)


def check_sums(path: Path) -> None:
    """Reads a file of torch's format whole, against the checksums that it holds of its parts.

    Raises:
        InputError: If it is missing, cut short, or a part is not what was written.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
    except Exception as error:  # a damaged directory of its parts makes the reader fail in many ways
        raise _damaged(path, error) from error
    if damaged is not None:
        raise InputError(f"{path}: damaged: {damaged} in it is not what was written; get it again")


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
    if record is None:
        return {"state_dict": state_dict}
    return {"state_dict": state_dict, RECORD: parse_json(record, f"{path}: its metadata {RECORD!r}")}


def _read_torch(path: Path) -> Any:
    zipped = zipfile.is_zipfile(path)  # older files are not, and cannot be mapped into memory
    try:
        with torch.serialization.safe_globals(_SAFE_GLOBALS):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except UnpicklingError as error:
        if refused := re.search(r"GLOBAL (\S+)", str(error)):
            raise InputError(
                f"{path}: asks for {refused[1]} beside tensors and plain containers, so it was not read and nothing in "
                "it was run; if you trust it, load it where it was made and save its state_dict alone"
            ) from None
        raise _damaged(path, error) from error
    except Exception as error:  # a cut-off or foreign file makes torch's reader fail in many ways
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    reason = (str(error).partition("WeightsUnpickler error: ")[2] or str(error)).strip() or type(error).__name__
    size = path.stat().st_size
    return InputError(
        f"{path}: no weights, damaged or cut short ({size:,} bytes; {reason.splitlines()[0][:120]}); get it again"
    )
