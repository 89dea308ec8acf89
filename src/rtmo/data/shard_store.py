"""Files of a shard set: in a folder, or in an object store, of which a folder on this machine keeps copies."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from fsspec.core import url_to_fs
from jaxtyping import Int64

from rtmo.data.values import is_list_of
from rtmo.documents import parse_json
from rtmo.errors import InputError

MANIFEST = "shards.json"
ANNOTATIONS, INDEX = "annotations.json.gz", "index.npz"
SOURCE_NAME = re.compile(r"\w[\w.-]*")  # a folder of the set
FORMAT = 1  # of the set; a reader refuses others


def shard_file(source: str, number: int) -> str:
    """The name of a shard in its set."""
    return f"{source}/{number:06d}.tar"


class ShardStore:
    """Reads a shard set, in place or through a cache.

    Remote shards are copied whole when the first image of theirs is asked for, as far as the cache may grow: the first
    ones of the set. Of the others, each image is fetched whenever it is needed. Nothing is ever evicted, as a random
    order would evict what it needs next.

    Args:
        address: A folder, or what fsspec understands: s3://..., gs://..., https://...
        cache_dir: Keeps what was fetched, below a name that a set packed anew does not share.
        cache_gb: How much of the shards it may keep, 10^9 bytes; None: all.

    Attributes:
        sources: The manifest's entry of each source, by name.

    Raises:
        InputError: If there is no shard set, or one of another format.
    """

    def __init__(self, *, address: str, cache_dir: str | Path, cache_gb: float | None = None) -> None:
        self.address = address.rstrip("/")
        self.is_remote = "://" in address
        content = self._manifest()
        version = hashlib.sha256(self.address.encode() + content).hexdigest()[:16]
        self.folder = Path(cache_dir).expanduser() / version if self.is_remote else Path(address).expanduser()
        self.sources = _sources(content, self.place(MANIFEST))
        budget = float("inf") if cache_gb is None else cache_gb * 1e9
        self._sizes: dict[str, int] = {}
        self._kept: set[str] = set()
        for source, entry in self.sources.items():
            for number, size in enumerate(entry["shards"]):
                name, budget = shard_file(source, number), budget - size
                self._sizes[name] = size
                if budget >= 0:
                    self._kept.add(name)

    def place(self, name: str) -> str:
        """What messages call a file of the set."""
        return f"{self.address}/{name}"

    def check(self, source: str) -> None:
        """Looks for the shards of a local set, so that training does not stop hours later.

        Raises:
            InputError: If one is missing or cut short.
        """
        for number in range(0 if self.is_remote else len(self.sources[source]["shards"])):
            name = shard_file(source, number)
            path, expected = self.folder / name, self._sizes[name]
            found = path.stat().st_size if path.is_file() else None
            if found != expected:
                problem = "missing" if found is None else f"of {found} bytes instead of {expected}"
                raise InputError(f"{path}: {problem}; copy it again, or pack again with python -m rtmo.data shard")

    def contains(self, source: str, parts: Int64[np.ndarray, "N 3"]) -> bool:
        """Whether parts, each a shard's number, offset and size in bytes, lie in the shards of a source."""
        shard, offset, size = parts.T
        sizes = np.array(self.sources[source]["shards"])
        return bool((shard < len(sizes)).all() and (offset <= sizes[shard] - size).all())

    def content(self, source: str, file: str) -> bytes:
        """A whole file of a source that is not a shard.

        Raises:
            InputError: If it cannot be had, or is not the one that was packed.
        """
        name = f"{source}/{file}"
        path = self._copy(name) if self.is_remote else self.folder / name
        data = _opened(path, path.read_bytes)
        if hashlib.sha256(data).hexdigest() != self.sources[source]["sha256"][file]:
            raise InputError(f"{path}: not the file that was packed; remove it, then copy or pack it again")
        return data

    def read(self, source: str, shard: int, offset: int, size: int) -> bytes:
        """A part of a shard.

        Raises:
            InputError: If it cannot be had.
        """
        name = shard_file(source, shard)
        if self.is_remote and name not in self._kept:
            return bytes(self._ask("cat_file", name, start=offset, end=offset + size))
        path = self._copy(name) if self.is_remote else self.folder / name

        def part() -> bytes:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(size)

        return _opened(path, part)

    def _manifest(self) -> bytes:
        if self.is_remote:
            return bytes(self._ask("cat_file", MANIFEST))
        path = Path(self.address).expanduser() / MANIFEST
        if not path.is_file():
            raise InputError(
                f"data.shards={self.address}: no shard set there ({MANIFEST} is missing); one is packed with "
                f"python -m rtmo.data shard data=... output={self.address}"
            )
        return path.read_bytes()

    def _copy(self, name: str) -> Path:
        """The local copy of a remote file; several processes may ask at once."""
        path, size = self.folder / name, self._sizes.get(name)
        if _is_whole(path, size):
            return path
        part = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock"):
                if not _is_whole(path, size):  # nobody else fetched it while we waited
                    self._ask("get_file", name, str(part))
                    if not _is_whole(part, size):
                        raise InputError(
                            f"{self.place(name)}: {part.stat().st_size} bytes arrived instead of {size}; it was cut "
                            "short or packed anew: upload the whole set again"
                        )
                    part.replace(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error}); make room, or choose data.shards_cache") from error
        return path

    def _ask(self, method: str, name: str, *arguments: Any, **options: Any) -> Any:
        """Calls a method of fsspec's file system; made anew each time, as one does not survive a fork."""
        place = self.place(name)
        try:
            files, path = url_to_fs(place)
            return getattr(files, method)(path, *arguments, **options)
        except (ImportError, ValueError) as error:  # fsspec names the package that a scheme needs
            raise InputError(f"data.shards={self.address}: {error}") from error
        except Exception as error:  # every object store raises kinds of its own
            raise InputError(
                f"{place}: cannot be fetched ({type(error).__name__}: {error}); check address, credentials and network"
            ) from error


def _sources(manifest: bytes, where: str) -> dict[str, dict[str, Any]]:
    """The entries of a manifest; what they name becomes paths, and what they count is read."""
    described = parse_json(manifest, where)
    found = described.get("format") if isinstance(described, dict) else None
    if found != FORMAT:
        raise InputError(f"{where}: of format {found!r}, this version reads {FORMAT}; pack again")
    sources = described.get("sources")
    if not isinstance(sources, dict) or not all(
        SOURCE_NAME.fullmatch(name) and _is_entry(sources[name]) for name in sources
    ):
        raise InputError(f"{where}: no manifest of a shard set; pack again")
    return sources


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("sha256"), dict) or "displayed" not in entry:
        return False
    sizes: Any = entry.get("shards")
    fits = is_list_of(int, sizes) and all(0 <= size < 2**63 for size in sizes)
    return fits and entry["sha256"].keys() >= {ANNOTATIONS, INDEX}


def _is_whole(path: Path, size: int | None) -> bool:
    return path.is_file() and size in (None, path.stat().st_size)


def _opened(path: Path, read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); copy it again, or pack again") from error
