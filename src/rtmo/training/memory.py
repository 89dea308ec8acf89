"""How much memory training takes."""

import psutil
import torch


class PeakMemory:
    """Most memory of one run, also where the process had another before: a job of a sweep.

    On the GPU, if one is in use, the most that was allocated at any moment; else the most that the process held when
    it was asked.
    """

    def __init__(self) -> None:
        self._highest = 0.0

    def start(self) -> None:
        """A run begins on this device."""
        if _uses_gpu():
            torch.cuda.reset_peak_memory_stats()

    def mib(self) -> float:
        """The most so far, MiB."""
        now = torch.cuda.max_memory_allocated() if _uses_gpu() else psutil.Process().memory_info().rss
        self._highest = max(self._highest, now / 2**20)
        return self._highest


def _uses_gpu() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_initialized()
