"""How much memory training takes."""

import resource
import sys

import torch


def peak_memory_mib() -> float:
    """Most memory this process has held: on the GPU if one is in use, else resident, MiB."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes on macOS, KiB on Linux
