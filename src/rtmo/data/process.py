"""What a process that makes samples needs to be told once."""

import gc

import cv2
import numpy as np

_LARGEST_BLOCK = 24 * 2**20  # bytes; glibc learns nothing from blocks above 32 MB


def prepare_process(worker: int = 0) -> None:
    """Has a loader worker compute with one thread and reuse its memory."""
    cv2.setNumThreads(0)  # also, OpenCV's threads do not survive a fork
    gc.freeze()  # the collector writes into objects that it looks at, and so copies memory shared with the main process
    # glibc gives blocks as large as images back to the system when they are freed, and every page of the next one is
    # a page fault, in all a tenth of the time of a sample. Once it has freed one block of a size it keeps all up to it.
    np.empty(_LARGEST_BLOCK, dtype=np.uint8)
