"""How a stopped run goes on: what to type."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path


def resume_command(options: Sequence[str], checkpoint: Path | str | None, folder: str) -> str:
    """The command that has a run go on in its folder, quoted for the shell and for Hydra.

    Args:
        options: Of its own command line.
        checkpoint: None has it begin anew.
    """
    kept = [option for option in options if not option.startswith("ckpt_path=")]
    start = [] if checkpoint is None else [f"ckpt_path={quoted(str(checkpoint))}"]
    return shlex.join(["python", "-m", "rtmo.train", *kept, *start, f"hydra.run.dir={quoted(folder)}"])


def quoted(value: str) -> str:
    """A value as Hydra's grammar takes it: in quotes if need be, backslashes doubled only before one."""
    if re.fullmatch(r"[\w./-]+", value):
        return value
    return "'" + re.sub(r"(\\*)('|$)", lambda end: 2 * end[1] + end[2].replace("'", r"\'"), value) + "'"
