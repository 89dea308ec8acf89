"""Decoded images in memory that all loader workers share."""

import logging
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import reduction
from typing import Any

import numpy as np
from jaxtyping import UInt8

from rtmo.data.picture import REDUCTIONS, ArrayImage, Picture, StoredImage
from rtmo.errors import InputError
from rtmo.types import Sample

if os.name == "posix":
    import fcntl

log = logging.getLogger(__name__)

_ABSENT, _AWAITED = 0, -1  # in place of an offset
_USED, _IS_FULL = 0, 1  # places in the header
_LEVELS = (1, *sorted(REDUCTIONS))
_WORD = np.dtype(np.int64).itemsize


class ImageCache:
    """Keeps what was decoded until it is full.

    Whichever worker decodes an image first puts it there, for all of them and for all epochs. Nothing is thrown out: of
    a set larger than the cache, the same part is always decoded anew. Pixels are those that were decoded, so that
    samples do not depend on it.

    The memory is an anonymous file that exists in memory only. It takes what is filled, not more than the limit; it
    is no part of /dev/shm, whose size does not matter; and it goes with the last cache that shows it, or with the last
    process, however that ends.

    Args:
        num_images: How many there are.
        max_bytes: The limit, with the index of a few bytes an image.

    Raises:
        InputError: If the limit is larger than the memory of the machine, or the system cannot share memory so.
    """

    def __init__(self, *, num_images: int, max_bytes: int) -> None:
        if os.name != "posix":
            raise InputError("cache_gb: needs Linux or macOS; set it to 0")
        self._table_size = len(_LEVELS) * num_images
        self._data_start = _WORD * (2 + self._table_size)
        self._max_bytes = max(max_bytes, self._data_start)
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if self._max_bytes > memory:
            raise InputError(
                f"cache_gb: {max_bytes / 1e9:.1f} GB for decoded images, but this machine has {memory / 1e9:.1f} GB of "
                "memory; take less, or 0 for none"
            )
        self._file = _memory_file()
        os.ftruncate(self._file, self._max_bytes)
        self._map()
        self._header[_USED] = self._data_start
        log.info("cache: up to %.1f GB of decoded images, shared by all loader workers", self._max_bytes / 1e9)

    def _map(self) -> None:
        weakref.finalize(self, os.close, self._file)  # else a process that trains twice keeps the first one's images
        self._memory = mmap.mmap(self._file, self._max_bytes)
        words = np.frombuffer(self._memory, np.int64, 2 + self._table_size)
        self._header, self._offsets = words[:2], words[2:]

    def __getstate__(self) -> dict[str, Any]:
        """For workers that are spawned rather than forked: the same memory, not a copy."""
        state = {name: getattr(self, name) for name in ("_table_size", "_data_start", "_max_bytes")}
        return {**state, "_file": reduction.DupFd(self._file)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._file = state["_file"].detach()
        self._map()

    def __len__(self) -> int:
        """The number of images, those of another scale counted apart."""
        return len(np.unique(self._offsets[self._offsets > 0]))

    @property
    def used_bytes(self) -> int:
        """How much of the limit is taken."""
        return int(self._header[_USED])

    def keep(self, sample: Sample, index: int) -> Sample:
        """The sample, its image kept once it is read; those that were loaded at once or out of several are not.

        Args:
            index: Of the image in its source.
        """
        if not isinstance(sample.image, Picture) or len(sample.image.tiles) > 1:
            return sample
        (tile,) = sample.image.tiles
        if isinstance(tile.image, ArrayImage):
            return sample
        kept = replace(tile, image=_KeptImage(tile.image.image_size, tile.image, self, index))
        return replace(sample, image=replace(sample.image, tiles=(kept,)))

    def read(self, image: StoredImage, index: int, scale: int) -> UInt8[np.ndarray, "h w 3"]:
        """The pixels of an image, from here or else from where it is stored."""
        first = len(_LEVELS) * index
        place = first + _LEVELS.index(scale)
        offset = int(self._offsets[place])
        if offset > 0:
            return self._pixels_at(offset)
        pixels = image.read(scale)
        own = first if pixels.shape[:2] == image.image_size else place
        if self._offsets[own] == _ABSENT and not self._header[_IS_FULL]:
            self._put(pixels, own)
        if own != place:  # a file that comes whole at every scale is kept once
            self._offsets[place] = max(int(self._offsets[own]), _ABSENT)
        return pixels

    def _pixels_at(self, offset: int) -> UInt8[np.ndarray, "h w 3"]:
        height, width = np.frombuffer(self._memory, np.int64, 2, offset).tolist()
        pixels = np.frombuffer(self._memory, np.uint8, height * width * 3, offset + 2 * _WORD)
        pixels.flags.writeable = False
        return pixels.reshape(height, width, 3)

    def _put(self, pixels: UInt8[np.ndarray, "h w 3"], place: int) -> None:
        size = 2 * _WORD + -(-pixels.size // _WORD) * _WORD
        with self._locked():
            if self._offsets[place] != _ABSENT or self._header[_IS_FULL]:
                return  # another worker was faster
            offset = int(self._header[_USED])
            if offset + size > self._max_bytes:
                self._header[_IS_FULL] = 1
                log.warning(
                    "cache: %.1f GB are full with %d decoded images; the others are decoded each time (cache_gb)",
                    *(self._max_bytes / 1e9, len(self)),
                )
                return
            self._header[_USED] += size
            self._offsets[place] = _AWAITED
        np.frombuffer(self._memory, np.int64, 2, offset)[:] = pixels.shape[:2]
        np.frombuffer(self._memory, np.uint8, pixels.size, offset + 2 * _WORD)[:] = pixels.ravel()
        with self._locked():  # whoever sees the offset sees the pixels
            self._offsets[place] = offset

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keeps other processes out; the kernel lets go of the lock if this one dies."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)


@dataclass(frozen=True)
class _KeptImage(StoredImage):
    image_size: tuple[int, int]
    stored: StoredImage
    cache: ImageCache
    index: int

    def read(self, reduction: int = 1) -> UInt8[np.ndarray, "h w 3"]:
        """See ``StoredImage``."""
        return self.cache.read(self.stored, self.index, reduction)


def _memory_file() -> int:
    """A file without a name; on Linux it is in memory only, elsewhere as long as the system finds memory for it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("rtmo_image_cache")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
