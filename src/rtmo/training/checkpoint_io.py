"""Checkpoints that survive whatever stops the process that writes them."""

import logging
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from rtmo.errors import InputError
from rtmo.weights.file import check_sums, write_whole

FOLDER = "checkpoints"  # of a run
LAST, PREVIOUS = "last.ckpt", "previous.ckpt"

log = logging.getLogger(__name__)


class SafeCheckpointIO(TorchCheckpointIO):
    """How Lightning writes and reads checkpoints: whole or not at all, and checked.

    The file that ``last.ckpt`` replaces stays as ``previous.ckpt`` beside it.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes a file under a temporary name until it is whole and on the disk.

        Raises:
            InputError: If it cannot be written. What was there before still is.
        """
        path = Path(path)
        previous = path.with_name(PREVIOUS) if path.name == LAST else None
        write_whole(path, lambda unfinished: torch.save(checkpoint, unfinished), previous)

    def load_checkpoint(self, path: str | Path, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Reads a file, checksums first.

        Raises:
            InputError: If it is damaged.
        """
        check_sums(Path(path))
        return super().load_checkpoint(path, *arguments, **options)


def newest(folder: Path) -> Path | None:
    """The newest checkpoint in a folder; None if there is none. It may be damaged."""
    return next((path for path in (folder / LAST, folder / PREVIOUS) if path.is_file()), None)


def undamaged(path: Path) -> Path:
    """The checkpoint itself, or if that is the last one of a run and damaged, with a warning the one before.

    Raises:
        InputError: If there is no such file, or no good one.
    """
    try:
        check_sums(path)
    except InputError as error:
        previous = path.with_name(PREVIOUS)
        if path.name != LAST or not previous.is_file():
            raise
        try:
            check_sums(previous)
        except InputError as error_before:
            raise InputError(f"{error}; the checkpoint before is no better: {error_before}") from None
        log.warning("%s; the run goes on from %s, the checkpoint before", error, previous)
        return previous
    return path
