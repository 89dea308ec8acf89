"""How a stopped run goes on: what to type."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path


def resume_command(overrides: Sequence[str], checkpoint: Path | None, folder: str) -> str:
    """The command that has a run go on in its folder, quoted for the shell and for Hydra.

    Args:
        overrides: What its own command line changed.
        checkpoint: None has it begin anew.
    """
    options = [override for override in overrides if not override.startswith("ckpt_path=")]
    start = [] if checkpoint is None else [f"ckpt_path={_quoted(str(checkpoint))}"]
    return shlex.join(["python", "-m", "rtmo.train", *options, *start, f"hydra.run.dir={_quoted(folder)}"])


def folder_is_given(overrides: Sequence[str]) -> bool:
    """Whether the user chose the run's folder; Lightning does so too, for the processes that it starts.

    Args:
        overrides: What the command line changed of Hydra itself.
    """
    by_lightning = any(override.startswith("hydra.job.name=train_ddp_process_") for override in overrides)
    return sum(override.startswith("hydra.run.dir=") for override in overrides) > by_lightning


def _quoted(value: str) -> str:
    """A value as Hydra's grammar takes it: in quotes if need be, backslashes doubled only before one."""
    if re.fullmatch(r"[\w./-]+", value):
        return value
    return "'" + re.sub(r"(\\*)('|$)", lambda end: 2 * end[1] + end[2].replace("'", r"\'"), value) + "'"
