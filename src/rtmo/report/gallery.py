"""Prediction pictures of run folders, small enough to be part of a page."""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from rtmo.report.document import Gallery, Picture, Text
from rtmo.report.rows import Row
from rtmo.report.runs import Run

MOST_PICTURES = 48  # of a page, about 50 kB each
MOST_OF_A_ROW, ABREAST = 6, 3
WIDTH, SHEET_WIDTH = 640, 1280  # px at most, of a picture of one image and of a sheet of several
QUALITY = 80  # of JPEG


def galleries(rows: Sequence[Row]) -> list[Gallery | Text]:
    """For each row the worst images of its first run that kept some, else its sheet; and what is damaged."""
    each = max(1, min(MOST_OF_A_ROW, MOST_PICTURES // len(rows) // ABREAST * ABREAST))
    found: list[Gallery | Text] = []
    for row in rows:
        for run in row.finished:
            faults: list[str] = []
            pictures = _worst(run, each, faults) or _final(run, faults)
            found += [Text(f"Run {run.name}: {fault}", warning=True) for fault in faults]
            if pictures:
                found.append(Gallery(f"{row.label} ({run.name})", pictures))
                break
    return found


def _worst(run: Run, most: int, faults: list[str]) -> list[Picture]:
    folder = run.folder / "images"
    listed = folder / "worst.json"
    if not listed.is_file():
        return []
    try:
        scores = json.loads(listed.read_text(encoding="utf-8"))[:most]
        captions = {folder / one["file"]: _caption(one) for one in scores}
    except (OSError, ValueError, KeyError, TypeError):
        faults.append("images/worst.json cannot be read")
        return []
    return [picture for file, caption in captions.items() for picture in _picture(file, WIDTH, caption, faults)]


def _final(run: Run, faults: list[str]) -> list[Picture]:
    sheet = run.folder / "images" / "final.png"
    return _picture(sheet, SHEET_WIDTH, "fixed validation images", faults) if sheet.is_file() else []


def _picture(file: Path, width: int, caption: str, faults: list[str]) -> list[Picture]:
    try:
        return [Picture(data_uri(file, width), caption)]
    except (OSError, SyntaxError):  # which Pillow raises for a broken PNG
        faults.append(f"picture {file.name} is missing or damaged")
        return []


def _caption(score: dict[str, Any]) -> str:
    oks = "" if score["oks"] is None else f"OKS {score['oks']:.2f}, "
    return (
        f"image {score['image_id']}: {oks}{score['people']} people, {score['found']} found, {score['missed']} missed, "
        f"{score['false_positives']} false"
    )


def data_uri(file: Path, width: int) -> str:
    """An image file as JPEG of at most so many px across, inside a URI."""
    with Image.open(file) as image:
        small = image.convert("RGB")
    small.thumbnail((width, 4 * width))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
