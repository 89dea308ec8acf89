"""Data sets whose image files were packed into shards, by ``python -m rtmo.data shard``."""

import functools
import gzip
import io
import logging
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtmo.data.archive import MOST_GROWTH
from rtmo.data.coco_json import RawAnnotations
from rtmo.data.coco_pose import AnnotatedImages
from rtmo.data.image_file import StoredFile
from rtmo.data.shard_store import ANNOTATIONS, INDEX, ShardStore, shard_file
from rtmo.documents import parse_json
from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet
from rtmo.targets import did_you_mean

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackedFile:
    """A file in a shard.

    Attributes:
        source: Its data set.
        shard: The number of the shard, in which ``offset`` and ``size`` count bytes.
        checksum: CRC-32.
        name: What it was called.
    """

    store: ShardStore
    source: str
    shard: int
    offset: int
    size: int
    checksum: int
    name: str

    def read_bytes(self) -> bytes:
        """The file as it was packed.

        Raises:
            InputError: If the shard cannot be had, or has other bytes there.
        """
        data = self.store.read(self.source, self.shard, self.offset, self.size)
        if zlib.crc32(data) != self.checksum:
            raise InputError(f"{self}: damaged; copy the shard again, or pack again")
        return data

    def __str__(self) -> str:
        return f"{self.store.place(shard_file(self.source, self.shard))}: {self.name}"


def read_shards(shards: str, cache_dir: str | Path, name: str, cache_gb: float | None = None) -> RawAnnotations:
    """The annotations of a data set of a shard set, as they were packed; see ``ShardedImages`` for the arguments.

    Raises:
        InputError: If the set has no such data set, or they are damaged.
    """
    return _annotations(_store(shards, cache_dir, name, cache_gb), name)


def _store(shards: str, cache_dir: str | Path, name: str, cache_gb: float | None) -> ShardStore:
    store = ShardStore(address=shards, cache_dir=cache_dir, cache_gb=cache_gb)
    if name not in store.sources:
        raise InputError(f"data.shards={shards}: no data set {name!r}; {did_you_mean(name, store.sources)}")
    return store


def _annotations(store: ShardStore, name: str) -> RawAnnotations:
    folder = store.folder / name
    content = parse_json(_unpacked(store.content(name, ANNOTATIONS), folder / ANNOTATIONS), str(folder / ANNOTATIONS))
    for field in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(field), list):
            raise InputError(f"{folder / ANNOTATIONS}: no list {field!r}; pack again")
    return RawAnnotations(folder, folder, content, displayed=bool(store.sources[name]["displayed"]))


def _unpacked(data: bytes, file: Path) -> bytes:
    """What gzip packed, if it does not grow as no annotations do."""
    most = MOST_GROWTH * len(data)
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            content = stream.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file}: damaged ({error}); pack again") from error
    if len(content) > most:
        raise InputError(f"{file}: more than {MOST_GROWTH} times as large unpacked, as no annotations are; pack again")
    return content


def _read_index(data: bytes, file: str) -> tuple[np.ndarray, np.ndarray]:
    """Ids of images, and for each its shard, offset, size and CRC-32."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as index:
            image_ids, places = index["image_ids"], index["places"]
        are_whole = image_ids.dtype == places.dtype == np.int64
        if not are_whole or places.shape != (*image_ids.shape, 4) or places.min(initial=0) < 0:
            raise ValueError(f"{image_ids.dtype} {image_ids.shape}, {places.dtype} {places.shape}")
    except (OSError, EOFError, ValueError, LookupError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{file}: no index of images ({error}); pack again") from error
    return image_ids, places


class ShardedImages(AnnotatedImages):
    """A data set out of a shard set: its annotations as they were, its images from the shards.

    Samples, their order and their number are those of the files that were packed.

    Args:
        shards: The shard set; see ``ShardStore`` for it, ``cache_dir`` and ``cache_gb``.
        name: Which of its data sets; see ``AnnotatedImages`` for the other arguments.

    Raises:
        InputError: If the set has no such data set or not all of the selected images, or one of its files is missing.
    """

    read = staticmethod(read_shards)

    def __init__(
        self,
        *,
        shards: str,
        cache_dir: str | Path,
        cache_gb: float | None = None,
        name: str,
        skeleton: KeypointSet,
        joints: Sequence[str] | str | None = None,
        drop_empty: bool = True,
        image_ids: Sequence[int] | None = None,
        min_area: float | None = None,
        max_images: int | None = None,
    ) -> None:
        self._store = _store(shards, cache_dir, name, cache_gb)
        if self._store.is_remote:
            log.info("%s: what is fetched of %s is kept in %s", name, shards, self._store.folder)
        super().__init__(
            raw=functools.partial(_annotations, self._store, name),
            name=name,
            skeleton=skeleton,
            joints=joints,
            drop_empty=drop_empty,
            image_ids=image_ids,
            min_area=min_area,
            max_images=max_images,
        )

    def file_at(self, index: int) -> StoredFile:
        """See ``AnnotatedImages.file_at``."""
        shard, offset, size, checksum = self._places[index].tolist()
        return PackedFile(self._store, self.name, shard, offset, size, checksum, self.file_name(index))

    def _check_files(self) -> None:
        self._store.check(self.name)
        place = self._store.place(f"{self.name}/{INDEX}")
        image_ids, places = _read_index(self._store.content(self.name, INDEX), place)
        rows = {image_id: row for row, image_id in enumerate(image_ids.tolist())}
        absent = [image_id for image_id in self.image_ids.tolist() if image_id not in rows]
        if absent:
            raise InputError(
                f"{self._store.place(self.name)}: {len(absent)} of the {len(self)} selected images are not in the "
                f"shards, image_id {absent[0]} for example; select those that were packed (drop_empty, image_ids, "
                "min_area, max_images), or pack again"
            )
        self._places = places[[rows[image_id] for image_id in self.image_ids.tolist()]]
        if not self._store.contains(self.name, self._places[:, :3]):
            raise InputError(f"{place}: an image beyond the end of its shard; pack again")
