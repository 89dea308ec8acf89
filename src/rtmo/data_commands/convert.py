"""Annotations of another format into COCO's: ``python -m rtmo.data convert``; ``--help`` lists what can be set."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rtmo import config
from rtmo.data.converters import CONVERTERS
from rtmo.data.converters.coco_content import check_usable, complete, in_split
from rtmo.errors import InputError
from rtmo.targets import did_you_mean

KEYS = frozenset(("from", "input", "output", "image_dir", "split"))


@config.main("data_convert", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Converts, and prints what there is in the file."""
    output, image_dir = Path(cfg["output"]), None if cfg["image_dir"] is None else Path(cfg["image_dir"])
    content = convert(cfg["from"], Path(cfg["input"]), output, image_dir=image_dir, split=cfg["split"])
    people = sum(entry["num_keypoints"] > 0 for entry in content["annotations"])
    names = content["categories"][0]["keypoints"]
    print(f"{output}: {len(content['images'])} images, {people} people with keypoints, {len(names)} joints")
    if not all(image.get("width") for image in content["images"]):
        print("  without sizes of images, which image_dir=... would add")


def convert(
    source_format: str, path: Path, output: Path, *, image_dir: Path | None = None, split: str | None = None
) -> dict[str, Any]:
    """Writes a COCO file, which ``CocoPose`` loads.

    Args:
        source_format: A name in ``rtmo.data.converters``.
        path: The file or folder that its reader asks for.
        output: The file to write, a .json; it appears only when it is whole.
        image_dir: Where sizes of images are read that the format leaves out.
        split: Only images of that part, for formats that have ``splits``.

    Returns:
        What was written.

    Raises:
        InputError: If an argument or an annotation cannot be used.
    """
    if source_format not in CONVERTERS:
        raise InputError(f"from={source_format}: no such format; {did_you_mean(source_format, CONVERTERS)}")
    if not path.exists():
        raise InputError(f"input={path}: no such file or folder; correct it")
    if output.suffix != ".json":
        raise InputError(f"output={output}: COCO files are JSON; call it {output.with_suffix('.json').name}")
    if image_dir is not None and not image_dir.is_dir():
        raise InputError(f"image_dir={image_dir}: no such folder; correct it, or leave it out")
    content = CONVERTERS[source_format](path, image_dir=image_dir)
    if split is not None:
        content = in_split(content, split, path)
    check_usable(path, content)
    content = complete(content)
    _write(output, content)
    return content


def _write(output: Path, content: Mapping[str, Any]) -> None:
    part = output.with_name(f"{output.name}.part")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(content), encoding="utf-8")
        os.replace(part, output)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise InputError(f"output={output}: cannot be written ({error}); choose another place") from error


if __name__ == "__main__":
    main()
