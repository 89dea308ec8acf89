"""What a process that makes samples needs to be told once."""

import gc
import signal
from types import FrameType

import cv2
import numpy as np

_LARGEST_BLOCK = 24 * 2**20  # bytes; glibc learns nothing from blocks above 32 MB


def prepare_process() -> None:
    """Has a process compute with one thread and reuse its memory."""
    cv2.setNumThreads(0)  # also, OpenCV's threads do not survive a fork
    gc.freeze()  # the collector writes into objects that it looks at, and so copies memory shared with the main process
    # glibc gives blocks as large as images back to the system when they are freed, and every page of the next one is
    # a page fault, in all a tenth of the time of a sample. Once it has freed one block of a size it keeps all up to it.
    np.empty(_LARGEST_BLOCK, dtype=np.uint8)


def prepare_worker(worker: int) -> None:
    """Prepares a loader worker, and has it leave requests to stop to the main process, which finishes its step.

    Terminals and schedulers signal every process of a run. Of SIGTERM, a second one is meant for the worker: so the
    main process ends one that hangs.
    """
    prepare_process()
    for name in ("SIGINT", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _ignore_once)


def _ignore_once(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
