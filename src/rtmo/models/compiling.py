"""What torch's compiler needs of a machine."""

import torch

from rtmo.errors import InputError


def check_compiler(device: torch.device) -> None:
    """Refuses to compile where it would fail after a minute.

    Raises:
        InputError: For a CPU, if torch is installed below a folder with a space in its name: it does not quote the
            flags by which it calls the C++ compiler.
    """
    folder = torch.__path__[0]
    if device.type == "cpu" and " " in folder:
        raise InputError(
            f"compile=true: torch cannot compile for CPUs from {folder}, which has a space in it; install it in a "
            "folder without, or leave compile out"
        )
