"""Opens the image files of a data set, as training will."""

import functools
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rtmo.data.coco_json import RawAnnotations
from rtmo.data.converters.image_index import is_turned
from rtmo.data.doctor.findings import Findings
from rtmo.data.image_file import check_complete, read_image, read_size
from rtmo.data.values import is_file_name, whole_number
from rtmo.errors import InputError

Depth = Literal["decode", "header", "none"]


@dataclass(frozen=True)
class ImageFile:
    """What a look at an image file told.

    Attributes:
        path: Where it is.
        fault: A kind of fault (``findings.RULES``), or None.
        size: (height, width) in px, of the image as annotated (``RawAnnotations.displayed``); None if there is none.
        digest: Of its bytes; None if they were not all read.
    """

    path: Path
    fault: Literal["image_missing", "image_unreadable", "image_truncated"] | None = None
    size: tuple[int, int] | None = None
    digest: bytes | None = None


def has_name(entry: Any) -> bool:
    """Whether an image entry says which file it is about."""
    name = entry.get("file_name") if isinstance(entry, dict) else None
    return isinstance(name, str) and is_file_name(name)


def wanted_images(
    content: dict[str, Any],
    *,
    drop_empty: bool = False,
    image_ids: Sequence[int] | None = None,
    max_images: int | None = None,
) -> list[int]:
    """Positions of the image entries whose files training opens; the arguments are those of ``AnnotatedImages``."""
    chosen = None if image_ids is None else set(image_ids)
    peopled = {str(entry.get("image_id")) for entry in content["annotations"] if isinstance(entry, dict)}
    positions = [
        position
        for position, entry in enumerate(content["images"])
        if has_name(entry)
        and (chosen is None or whole_number(entry.get("id")) in chosen)
        and (not drop_empty or str(entry.get("id")) in peopled)
    ]
    return positions[:max_images]


def open_images(
    raw: RawAnnotations, positions: Sequence[int], depth: Depth, advance: Callable[[], object]
) -> dict[int, ImageFile]:
    """Looks at image files in several threads.

    Args:
        raw: The data set.
        positions: Which of its image entries.
        depth: ``decode`` reads every pixel as training does, ``header`` size and end of a file, ``none`` nothing.
        advance: Called after each.

    Returns:
        What each told, by position.
    """
    paths = [raw.image_dir / raw.content["images"][position]["file_name"] for position in positions]
    opened: dict[int, ImageFile] = {}
    if depth == "none":
        return opened
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        look = _decoded if depth == "decode" else _header
        found = pool.map(functools.partial(look, displayed=raw.displayed), paths)
        for position, file in zip(positions, found, strict=True):
            opened[position] = file
            advance()
    return opened


def report_images(raw: RawAnnotations, opened: Mapping[int, ImageFile], found: Findings) -> None:
    """Notes files that cannot be used, sizes that differ from the entry, and the same image under several names."""
    names_of: dict[bytes, list[str]] = {}
    for position, file in opened.items():
        entry = raw.content["images"][position]
        if file.fault is not None:
            found.add(file.fault, entry["file_name"])
        elif not has_size_of(entry, file):
            height, width = file.size or (0, 0)
            turned = ", turned by EXIF?" if (entry.get("height"), entry.get("width")) == (width, height) else ""
            said = f"{entry['height']!r} x {entry['width']!r}"
            found.add(
                "image_size", f"{entry['file_name']}: {height} x {width} px, entry says {said} (height x width{turned})"
            )
        if file.digest is not None:
            names_of.setdefault(file.digest, []).append(entry["file_name"])
    for names in names_of.values():
        if len(different := sorted(set(names))) > 1:
            found.add("content_doubled", " = ".join(different[:3]), len(different) - 1)


def said_size(entry: dict[str, Any]) -> tuple[int, int] | None:
    """(height, width) that an image entry says; None if it says none, or what is none."""
    said = entry.get("height"), entry.get("width")
    return said if all(isinstance(side, int) and side > 0 for side in said) else None  # type: ignore[return-value]


def has_size_of(entry: dict[str, Any], file: ImageFile) -> bool:
    """Whether an entry says nothing of the size, or what the file says."""
    said = entry.get("height"), entry.get("width")
    return not all(said) or file.size is None or (said == file.size and said_size(entry) is not None)


def turned_image(raw: RawAnnotations) -> Path | None:
    """The first image that its EXIF header turns, where annotations are of images as viewers show them."""
    if not raw.displayed:
        return None
    paths = (raw.image_dir / entry["file_name"] for entry in raw.content["images"] if has_name(entry))
    return next((path for path in paths if path.is_file() and is_turned(path)), None)


def refuse_turned(raw: RawAnnotations, fix: str) -> None:
    """Refuses to make COCO's annotations of those of images that their EXIF header turns.

    Args:
        fix: What else to do than to store images as they are shown.

    Raises:
        InputError: If there is one.
    """
    if (turned := turned_image(raw)) is not None:
        raise InputError(
            f"{turned}: its EXIF header turns it; annotations are of the image as shown, those of a COCO file would be "
            f"of the image as stored: store it as it is shown, or {fix}"
        )


def _decoded(path: Path, displayed: bool) -> ImageFile:
    return _looked_at(path, lambda: read_image(path, displayed).shape[:2], with_digest=True)


def _header(path: Path, displayed: bool) -> ImageFile:
    return _looked_at(path, lambda: read_size(path, displayed), with_digest=False)


def _looked_at(path: Path, size: Callable[[], tuple[int, int]], with_digest: bool) -> ImageFile:
    if not path.is_file():
        return ImageFile(path, "image_missing")
    try:
        check_complete(path)
    except InputError:
        return ImageFile(path, "image_truncated")
    try:
        measured = size()
    except InputError:
        return ImageFile(path, "image_unreadable")
    digest = hashlib.blake2b(path.read_bytes(), digest_size=16).digest() if with_digest else None
    return ImageFile(path, size=measured, digest=digest)
