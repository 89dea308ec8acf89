"""Exported files give the poses of torch: every form, size and precision, any batch and image size."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from networks import enlivened, lively_rtmo

import rtmo
from rtmo.deploy.file import make_file, make_onnx
from rtmo.deploy.verification import Limits, compare, poses_by_file, poses_by_torch
from rtmo.errors import InputError
from rtmo.inference.exported import ExportRecord, read_record
from rtmo.inference.fitting import fit_image
from rtmo.inference.images import read_any
from rtmo.inference.openvino_backend import OpenVinoBackend
from rtmo.models.fusing import for_inference
from rtmo.skeletons import COCO17

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked_shapes")]  # half a minute for each file

EXACT = Limits(unmatched=0, keypoints=0.5, scores=1e-3)
CANDIDATES = 40


def noise(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, height, width, 3), np.uint8)


def record_for(model, images: np.ndarray, form: str, precision: str = "float32", passing: float = 0.05) -> ExportRecord:
    """With a threshold that this share of the grid points passes."""
    with torch.inference_mode():
        scores = model(torch.from_numpy(images).permute(0, 3, 1, 2).float()).cls_logits.sigmoid()
    size = (images.shape[1], images.shape[2])
    source = {"file": "best.ckpt", "config": None}
    thresholds = {"score_thr": float(scores.quantile(1 - passing)), "nms_thr": 0.65}
    return ExportRecord(form=form, precision=precision, skeleton=COCO17, image_size=size, source=source, **thresholds)


def save(path: Path, model, record: ExportRecord, images=(), limits: Limits = EXACT) -> Path:
    given = list(images)
    make_file(path, model, record, candidates=CANDIDATES, images=given, calibration_images=given, limits=limits)
    return path


@pytest.mark.parametrize("decoding", ["dcc", "regression"])
@pytest.mark.parametrize("form", ["nms", "topk", "raw"])
def test_any_batch_and_image_size(form: str, decoding: str, tmp_path: Path) -> None:
    model = lively_rtmo(decoding=decoding)
    record = record_for(model, noise(3, 128, 128), form)
    file = save(tmp_path / "model.onnx", model, record, noise(3, 128, 128))
    ready = for_inference(model)

    assert read_record(file) == record
    expected, found, by_openvino = [], [], []
    for shape in ((1, 128, 128), (3, 96, 160), (8, 160, 96)):
        batches = [noise(*shape)]
        of_size = replace(record, image_size=shape[1:])
        expected += poses_by_torch(ready, batches, record.score_thr, record.nms_thr)
        found += poses_by_file(file, of_size, ready, batches)
        if form != "raw":
            backend = OpenVinoBackend(file, precision="float32", image_size=shape[1:])
            by_openvino += backend.decode(backend.network(batches[0]))
    for others in (found, by_openvino):
        if others:
            compare(expected, others, record.score_thr, EXACT).check(EXACT)


def test_the_same_network_gives_the_same_bytes() -> None:
    record = record_for(lively_rtmo(), noise(1, 128, 128), "nms")
    first, second = (make_onnx(lively_rtmo(), record, CANDIDATES, []).SerializeToString(True) for _ in range(2))

    assert first == second
    assert str(Path(rtmo.__file__).parent).encode() not in first


def test_only_plain_operators_without_suppression() -> None:
    record = record_for(lively_rtmo(), noise(1, 128, 128), "topk")
    model = make_onnx(lively_rtmo(), record, CANDIDATES, [])

    assert {entry.domain for entry in model.opset_import} == {""}
    assert {"NonMaxSuppression", "NonZero", "Loop", "If"}.isdisjoint(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_lower_precision_keeps_positions_in_float32(precision: str, tmp_path: Path) -> None:
    model, images = lively_rtmo(), noise(3, 128, 128)
    loose = Limits(unmatched=1, keypoints=20, scores=0.5, quantile=0.5)
    file = save(tmp_path / "model.onnx", model, record_for(model, images, "nms", precision), images, loose)
    content = onnx.load(file)
    low = {"float16": onnx.TensorProto.FLOAT16, "int8": onnx.TensorProto.INT8}[precision]
    makers = {output: node for node in content.graph.node for output in node.output}
    types = {weight.name: weight.data_type for weight in content.graph.initializer}

    assert low in types.values()
    for node in content.graph.node:
        if node.op_type in ("Cos", "Sin", "Exp", "Softmax"):
            assert all(makers[name].op_type not in ("DequantizeLinear", "Sigmoid") for name in node.input)
    assert {value.type.tensor_type.elem_type for value in content.graph.output} == {onnx.TensorProto.FLOAT}


def test_a_file_that_differs_is_not_left(tmp_path: Path) -> None:
    model, images = lively_rtmo(), noise(3, 128, 128)
    record = record_for(model, images, "nms")

    with pytest.raises(InputError, match="does not give torch's poses"):
        save(tmp_path / "model.onnx", model, record, images, Limits(unmatched=0, keypoints=0, scores=0))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["nms", "topk", "raw"])
@pytest.mark.parametrize("size", ["rtmo_t", "rtmo_s", "rtmo_m", "rtmo_l", "rtmo_r50"])
def test_every_size_on_photographs(size: str, form: str, shared_dir: Path, tmp_path: Path) -> None:
    photographs = [read_any(path) for path in sorted((shared_dir / "data" / "coco" / "val2017").glob("*.jpg"))[:3]]
    square, wide = (np.stack([fit_image(image, s)[0] for image in photographs]) for s in ((256, 256), (384, 640)))
    model = enlivened(rtmo.load_model(size))
    record = record_for(model, square, form, passing=0.01)
    file = save(tmp_path / "model.onnx", model, record, square)
    ready = for_inference(model)
    expected, found = [], []
    for batches in ([square[:1]], [np.tile(square, (3, 1, 1, 1))[:8]], [wide]):
        of_size = replace(record, image_size=batches[0].shape[1:3])
        expected += poses_by_torch(ready, batches, record.score_thr, record.nms_thr)
        found += poses_by_file(file, of_size, ready, batches)
    compare(expected, found, record.score_thr, EXACT).check(EXACT)
