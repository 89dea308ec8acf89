"""A network as a file for other runtimes: ``python -m rtmo.export``; ``--help`` lists what can be set."""

import logging
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from rtmo import config
from rtmo.data.synthetic import SyntheticPeople
from rtmo.data.transforms import check_image_size
from rtmo.deploy.file import make_file
from rtmo.deploy.verification import Limits
from rtmo.errors import InputError
from rtmo.inference.exported import FORMS, PRECISIONS, ExportRecord
from rtmo.inference.fitting import fit_image
from rtmo.inference.sources import Faults, find_sources, read_frames
from rtmo.inference.torch_backend import named_joints, trained_image_size
from rtmo.skeletons import KeypointSet
from rtmo.weights.checkpoint import find, read_checkpoint
from rtmo.weights.load import load_weights

KEYS = frozenset(
    (
        *("checkpoint", "output", "form", "precision", "image_size", "score_thr", "nms_thr", "candidates"),
        *("images", "max_images", "calibration_images", "max_calibration_images", "limits"),
    )
)
SEED = 2024  # of drawn people

log = logging.getLogger(__name__)


@config.main("export", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Exports, and prints what was compared."""
    export(cfg)


def export(cfg: Mapping[str, Any]) -> None:
    """Writes an ONNX file, once its poses are those of torch.

    Args:
        cfg: As ``rtmo.config.validate`` returns it.

    Raises:
        InputError: If an option or file cannot be used, or the poses differ.
    """
    check_values(cfg)
    output = Path(cfg["output"])
    checkpoint = read_checkpoint(find(cfg["checkpoint"]))
    model = checkpoint.build_model()
    load_weights(model, checkpoint)
    skeleton = named_joints(checkpoint)
    image_size = check_image_size(cfg["image_size"] or trained_image_size(checkpoint, cfg["checkpoint"]))
    check_candidates(cfg, image_size, model.head.strides)
    record = ExportRecord(
        **{name: cfg[name] for name in ("form", "precision", "score_thr", "nms_thr")},
        skeleton=skeleton,
        image_size=image_size,
        source={"file": checkpoint.path.name, "config": checkpoint.config},
    )
    comparison = make_file(
        output,
        model.eval(),
        record,
        candidates=cfg["candidates"],
        images=images_of(cfg, "images", image_size, skeleton),
        calibration_images=images_of(cfg, "calibration_images", image_size, skeleton)
        if record.precision == "int8"
        else [],
        limits=Limits(**cfg["limits"][cfg["precision"]]),
    )
    print(f"{output} ({output.stat().st_size / 1e6:.1f} MB, form {record.form}, {record.precision})\n  {comparison}")


def check_values(cfg: Mapping[str, Any]) -> None:
    """Refuses values that no constructor would, before anything takes long."""
    for field, choices in (("form", FORMS), ("precision", PRECISIONS)):
        if cfg[field] not in choices:
            raise InputError(f"{field}={cfg[field]}: unknown; choose one of {', '.join(choices)}")
    for field in ("score_thr", "nms_thr"):
        if not isinstance(cfg[field], int | float) or not 0 <= cfg[field] <= 1:
            raise InputError(f"{field}={cfg[field]}: expected a number from 0 to 1")
    for field in ("candidates", "max_images", "max_calibration_images"):
        if not isinstance(cfg[field], int) or cfg[field] < 1:
            raise InputError(f"{field}={cfg[field]}: expected a whole number from 1 on")
    if Path(cfg["output"]).suffix != ".onnx":
        raise InputError(f"output={cfg['output']}: end the name in .onnx")
    if cfg["precision"] == "int8" and cfg["images"] is None:
        raise InputError("images: has no value; int8 finds its scales on images=..., a folder of photographs")


def check_candidates(cfg: Mapping[str, Any], image_size: tuple[int, int], strides: tuple[int, ...]) -> None:
    """Refuses more candidates than an image has grid points."""
    num_points = sum((image_size[0] // stride) * (image_size[1] // stride) for stride in strides)
    if cfg["form"] == "topk" and cfg["candidates"] > num_points:
        raise InputError(
            f"candidates={cfg['candidates']}: an image of {image_size[0]} x {image_size[1]} px has {num_points} grid "
            "points; give fewer, or a larger image_size"
        )


def images_of(
    cfg: Mapping[str, Any], key: str, image_size: tuple[int, int], skeleton: KeypointSet
) -> list[UInt8[np.ndarray, "H W 3"]]:
    """The images of an option, letterboxed; drawn people without one.

    Raises:
        InputError: If there is none, or people with such joints cannot be drawn.
    """
    given, most = cfg[key] or cfg["images"], cfg[f"max_{key}"]
    if given is None:
        return drawn_people(most, image_size, skeleton)
    faults = Faults()
    frames = read_frames(find_sources(given, faults), faults)
    fitted = [fit_image(frame.image, image_size)[0] for frame in islice(frames, most)]
    if not fitted:
        raise InputError(f"{key}={given}: none of these images can be read; give others")
    return fitted


def drawn_people(count: int, image_size: tuple[int, int], skeleton: KeypointSet) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Images of drawn people.

    Raises:
        InputError: If people with such joints cannot be drawn.
    """
    try:
        source = SyntheticPeople(num_images=count, image_size=image_size, seed=SEED, skeleton=skeleton)
    except ValueError as error:
        raise InputError(f"images: has no value, and {error}; give images=..., a folder of photographs") from error
    log.info("compared on %d images of drawn people; images=... takes photographs", count)
    return [source.load(index).pixels for index in range(count)]


if __name__ == "__main__":
    main()
