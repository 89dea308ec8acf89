"""An exported file: made, checked, and only then under its name."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import UInt8

from rtmo.deploy.graphs import graph_of
from rtmo.deploy.onnx_graph import to_onnx
from rtmo.deploy.quantisation import quantised
from rtmo.deploy.verification import Comparison, Limits, compare, poses_by_file, poses_by_torch
from rtmo.errors import InputError
from rtmo.inference.exported import KEY, ExportRecord
from rtmo.models.fusing import for_inference
from rtmo.models.rtmo import RTMO

if TYPE_CHECKING:
    import onnx

Pixels = UInt8[np.ndarray, "H W 3"]

BATCH = 3  # images that are compared together: more than one, and often a smaller rest


def make_file(
    path: Path,
    model: RTMO,
    record: ExportRecord,
    *,
    candidates: int,
    images: Sequence[Pixels],
    calibration_images: Sequence[Pixels],
    limits: Limits,
) -> Comparison:
    """Exports a network, and compares it in ONNX Runtime with torch.

    Args:
        path: Where it is written once it has been found right.
        model: As loaded.
        record: What is exported, which the file will say of itself.
        candidates: Rows of form topk.
        images: To compare on, letterboxed to the record's size.
        calibration_images: Likewise, for int8.
        limits: Of the comparison.

    Returns:
        How far the two differ.

    Raises:
        InputError: If the poses differ by more than the limits, nobody is found, or the file cannot be written.
    """
    content = make_onnx(model, record, candidates, calibration_images)
    content.metadata_props.add(key=KEY, value=record.to_json())
    unchecked = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unchecked.write_bytes(content.SerializeToString(deterministic=True))
            comparison = compare_with_torch(unchecked, model, record, images, limits)
            comparison.check(limits, advice=_advice(record, candidates))
            os.replace(unchecked, path)
        finally:
            unchecked.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"output={path}: cannot be written ({error}); is the folder writable, the disk full?"
        ) from error
    return comparison


def _advice(record: ExportRecord, candidates: int) -> str:
    if record.form != "topk":
        return ""
    return f"; people are missing where candidates={candidates} are too few: raise it, or score_thr={record.score_thr}"


def make_onnx(
    model: RTMO, record: ExportRecord, candidates: int, calibration_images: Sequence[Pixels]
) -> "onnx.ModelProto":
    """The network in the record's form and precision."""
    dtype = torch.float16 if record.precision == "float16" else torch.float32
    graph = graph_of(
        for_inference(model, dtype),
        record.form,
        score_thr=record.score_thr,
        nms_thr=record.nms_thr,
        candidates=candidates,
    )
    content = to_onnx(graph, record.image_size)
    return quantised(content, calibration_images) if record.precision == "int8" else content


def compare_with_torch(
    path: Path, model: RTMO, record: ExportRecord, images: Sequence[Pixels], limits: Limits
) -> Comparison:
    """Poses of a file in ONNX Runtime against those of the network in float32."""
    ready = for_inference(model)
    batches = [np.stack(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    expected = poses_by_torch(ready, batches, record.score_thr, record.nms_thr)
    return compare(expected, poses_by_file(path, record, ready, batches), record.score_thr, limits)
