"""Packs data sets into shards: tar files of images in WebDataset's form, and what finds an image in them."""

import gzip
import hashlib
import json
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from rtmo.data.coco_pose import AnnotatedImages
from rtmo.data.shard_store import ANNOTATIONS, FORMAT, INDEX, MANIFEST, SOURCE_NAME
from rtmo.errors import InputError


def pack(
    sources: Mapping[str, AnnotatedImages], output: Path, *, shard_mb: float, overwrite: bool = False
) -> dict[str, Any]:
    """Writes the images that sources select, with all of their annotations, as a shard set.

    The set appears at ``output`` when it is complete; an interruption leaves nothing there.

    Args:
        sources: By name.
        shard_mb: From how many 10^6 bytes on a shard is closed.
        overwrite: Whether a shard set at ``output`` is replaced.

    Returns:
        The manifest.

    Raises:
        InputError: If an argument or ``output`` cannot be used, an image cannot be read, or webdataset is missing.
    """
    _check_output(output, overwrite)
    if shard_mb <= 0:
        raise InputError(f"shard_mb must be above 0, got {shard_mb}")
    for name in sources:
        if not SOURCE_NAME.fullmatch(name):
            raise InputError(f"data set {name!r}: its name becomes a folder; use letters, digits, '_', '-' and '.'")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{output.name}.", suffix=".part", dir=output.parent))
        try:
            entries = {name: _pack_source(folder / name, source, shard_mb) for name, source in sources.items()}
            manifest = {"format": FORMAT, "sources": entries}
            (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
            folder.chmod(0o755)  # mkdtemp's is for its owner alone
            if output.exists():
                shutil.rmtree(output)
            folder.rename(output)
        except BaseException:
            shutil.rmtree(folder)
            raise
    except OSError as error:
        raise InputError(f"output={output}: not packed ({error}); make room, or choose another folder") from error
    return manifest


def _check_output(output: Path, overwrite: bool) -> None:
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / MANIFEST).is_file():
        raise InputError(f"output={output}: there is something else than a shard set; choose a new folder")
    if not overwrite:
        raise InputError(f"output={output}: there is a shard set; choose a new folder, or say overwrite=true")


def _pack_source(folder: Path, source: AnnotatedImages, shard_mb: float) -> dict[str, Any]:
    """Returns its entry of the manifest."""
    folder.mkdir()
    paths, checksums = _write_shards(folder, source, shard_mb)
    found = [(number, *member) for number, path in enumerate(paths) for member in _members(path)]
    places = np.array([(*place, checksum) for place, checksum in zip(found, checksums, strict=True)], dtype=np.int64)
    np.savez(folder / INDEX, image_ids=source.image_ids, places=places)
    annotations = source.raw()
    content = gzip.compress(json.dumps(annotations.content, separators=(",", ":")).encode(), mtime=0)
    (folder / ANNOTATIONS).write_bytes(content)
    return {
        "images": len(source),
        "annotation_file": annotations.file.name,
        "displayed": annotations.displayed,
        "sha256": {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in (ANNOTATIONS, INDEX)},
        "shards": [path.stat().st_size for path in paths],
    }


def _write_shards(folder: Path, source: AnnotatedImages, shard_mb: float) -> tuple[list[Path], list[int]]:
    """Returns the shards, and the CRC-32 of each image."""
    writer_class = _shard_writer()
    paths: list[str] = []
    checksums = []
    pattern = str(folder).replace("%", "%%") + "/%06d.tar"
    options = {"encoder": False, "mtime": 0, "verbose": 0, "post": paths.append}
    console = Console(stderr=True)
    with (
        writer_class(pattern, maxsize=shard_mb * 1e6, **options) as writer,
        Progress(console=console, disable=not console.is_terminal) as progress,
    ):
        for index in progress.track(range(len(source)), description=source.name):
            file = source.file_at(index)
            data, suffix = file.read_bytes(), Path(str(file)).suffix.removeprefix(".").lower()
            writer.write({"__key__": f"{source.image_ids[index]:012d}", suffix or "image": data})
            checksums.append(zlib.crc32(data))
    return [Path(path) for path in paths], checksums


def _members(path: Path) -> list[tuple[int, int]]:
    """Offset and size of each file in a tar file."""
    with tarfile.open(path) as tar:
        return [(member.offset_data, member.size) for member in tar]


def _shard_writer() -> Any:
    try:
        from webdataset import ShardWriter  # noqa: PLC0415 (reading shards does not need it)
    except ImportError as error:
        raise InputError("packing shards needs webdataset; pip install 'rtmo[streaming]'") from error
    return ShardWriter
