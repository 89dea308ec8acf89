"""Annotations of another format into COCO's: ``python -m rtmo.data convert``; ``--help`` lists what can be set."""

from pathlib import Path
from typing import Any

from rtmo import config
from rtmo.data.coco_json import write_json
from rtmo.data.converters import CONVERTERS
from rtmo.data.converters.coco_content import check_usable, complete, in_split
from rtmo.data.doctor.images import refuse_turned
from rtmo.data.folder import FORMATS, VAL_FRACTION, read_data
from rtmo.errors import InputError
from rtmo.targets import did_you_mean

OWN = tuple(name for name in FORMATS if name != "coco")

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
        source_format: A name in ``rtmo.data.converters``, or a format of ``rtmo.data.folder`` for your own data.
        path: The file or folder that its reader asks for.
        output: The file to write, a .json; it appears only when it is whole.
        image_dir: Where sizes of images are read that the format leaves out.
        split: Only images of that part: train or val of your own data, or one that the format has.

    Returns:
        What was written.

    Raises:
        InputError: If an argument or an annotation cannot be used.
    """
    if source_format not in (*CONVERTERS, *OWN):
        raise InputError(f"from={source_format}: no such format; {did_you_mean(source_format, [*CONVERTERS, *OWN])}")
    if not path.exists():
        raise InputError(f"input={path}: no such file or folder; correct it")
    if output.suffix != ".json":
        raise InputError(f"output={output}: COCO files are JSON; call it {output.with_suffix('.json').name}")
    if image_dir is not None and not image_dir.is_dir():
        raise InputError(f"image_dir={image_dir}: no such folder; correct it, or leave it out")
    if source_format in OWN:
        content = _read_own(source_format, path, image_dir)
    else:
        content = CONVERTERS[source_format](path, image_dir=image_dir)
    if split is not None:
        content = in_split(content, split, path)
    check_usable(path, content)
    content = complete(content)
    write_json(output, content, label=f"output={output}")
    return content


def _read_own(source_format: str, path: Path, image_dir: Path | None) -> dict[str, Any]:
    if image_dir is not None:
        raise InputError(f"image_dir={image_dir}: images of your own data are found below input={path}; leave it out")
    raw = read_data(path, source_format, VAL_FRACTION)
    refuse_turned(raw, "train on the folder as it is (data.root)")
    return raw.content


if __name__ == "__main__":
    main()
