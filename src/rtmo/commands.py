"""Commands written out: for another process, or to be typed."""

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
    start = [] if checkpoint is None else [override("ckpt_path", str(checkpoint))]
    return shlex.join(["python", "-m", "rtmo.train", *kept, *start, override("hydra.run.dir", folder)])


def override(key: str, value: str | None) -> str:
    """As on the command line, whatever characters the value has."""
    if value is None or re.fullmatch(r"[\w./-]+", value):
        return f"{key}={'null' if value is None else value}"
    return f"{key}={quoted(value)}"


def quoted(value: str) -> str:
    """A text as Hydra's grammar takes it: in quotes, where backslashes are doubled only before one."""
    value = re.sub(r'(\\*)("|$)', lambda end: 2 * end[1] + ("\\" + end[2] if end[2] else ""), value)
    return '"' + value.replace("${", r"\${") + '"'
