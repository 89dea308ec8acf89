"""Prediction pictures of run folders, small enough to be part of a page."""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from rtmo.report.document import Gallery, Picture
from rtmo.report.rows import Row
from rtmo.report.runs import Run

MOST_PICTURES = 48  # of a page, about 50 kB each
MOST_OF_A_ROW, ABREAST = 6, 3
WIDTH, SHEET_WIDTH = 640, 1280  # px at most, of a picture of one image and of a sheet of several
QUALITY = 80  # of JPEG


def galleries(rows: Sequence[Row]) -> list[Gallery]:
    """For each row the worst images of its first run that kept some; else its sheet of fixed images."""
    each = max(1, min(MOST_OF_A_ROW, MOST_PICTURES // len(rows) // ABREAST * ABREAST))
    found = []
    for row in rows:
        for run in row.finished:
            if pictures := _worst(run, each) or _final(run):
                found.append(Gallery(f"{row.label} ({run.name})", pictures))
                break
    return found


def _worst(run: Run, most: int) -> list[Picture]:
    folder = run.folder / "images"
    listed = folder / "worst.json"
    if not listed.is_file():
        return []
    scores = json.loads(listed.read_text(encoding="utf-8"))[:most]
    return [Picture(data_uri(folder / one["file"], WIDTH), _caption(one)) for one in scores]


def _final(run: Run) -> list[Picture]:
    sheet = run.folder / "images" / "final.png"
    return [Picture(data_uri(sheet, SHEET_WIDTH), "fixed validation images")] if sheet.is_file() else []


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
