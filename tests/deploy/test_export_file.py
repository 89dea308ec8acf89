"""Exported files give the poses of torch: every form, size and precision, any batch and image size."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from exported_files import PAIR, save_exported
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
from rtmo.models.rtmo import RTMO
from rtmo.skeletons import COCO17

pytestmark = pytest.mark.usefixtures("unchecked_shapes", "collected_afterwards")

SLOW = pytest.mark.slow  # half a minute for each file on two cores

EXACT = Limits(unmatched=0, keypoints=0.5, scores=1e-3)
CANDIDATES = 70  # the smallest images here have 75 grid points; whoever passes the threshold must be among them
SIZES = ("rtmo_t", "rtmo_s", "rtmo_m", "rtmo_l", "rtmo_r50")


def noise(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, height, width, 3), np.uint8)


def as_tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


def record_for(model: RTMO, images: np.ndarray, form: str, precision: str = "float32") -> ExportRecord:
    """With a threshold that one grid point in 20 passes."""
    with torch.inference_mode():
        scores = model(as_tensor(images)).cls_logits.sigmoid()
    size = (images.shape[1], images.shape[2])
    source = {"file": "best.ckpt", "config": None}
    thresholds = {"score_thr": float(scores.quantile(0.95)), "nms_thr": 0.65}
    return ExportRecord(form=form, precision=precision, skeleton=COCO17, image_size=size, source=source, **thresholds)


@cache
def in_form_nms() -> onnx.ModelProto:
    """``lively_rtmo()`` as a graph of form nms, float32: made once, for making it is nearly all that a test takes."""
    model, images = lively_rtmo(), noise(3, 128, 128)
    return make_onnx(model, record_for(model, images, "nms"), CANDIDATES, [])


def save(
    path: Path,
    model: RTMO,
    record: ExportRecord,
    images: np.ndarray,
    limits: Limits = EXACT,
    candidates: int = CANDIDATES,
) -> Path:
    given = list(images)
    make_file(path, model, record, candidates=candidates, images=given, calibration_images=given, limits=limits)
    return path


def check_batches(file: Path, model: RTMO, batches: Sequence[np.ndarray], *, openvino: bool = False) -> None:
    """Compares a file with the network on batches of several sizes; in ONNX Runtime, and in OpenVINO."""
    record, ready = read_record(file), for_inference(model)
    expected, found, by_openvino = [], [], []
    for images in batches:
        size = (images.shape[1], images.shape[2])
        expected += poses_by_torch(ready, [images], record.score_thr, record.nms_thr)
        found += poses_by_file(file, replace(record, image_size=size), ready, [images])
        if openvino:
            backend = OpenVinoBackend(file, precision="float32", image_size=size)
            by_openvino += backend.decode(backend.network(images))
    assert sum(len(each.poses) for each in expected) > len(expected)
    compare(expected, found, record.score_thr, EXACT).check(EXACT)
    if openvino:
        compare(expected, by_openvino, record.score_thr, EXACT).check(EXACT)


@SLOW
@pytest.mark.parametrize(("form", "decoding"), [("nms", "dcc"), ("topk", "dcc"), ("raw", "dcc"), ("nms", "regression")])
def test_any_batch_and_image_size(form: str, decoding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if (form, decoding) == ("nms", "dcc"):
        graph = in_form_nms()
        monkeypatch.setattr("rtmo.deploy.file.make_onnx", lambda *_: deepcopy(graph))
    model = lively_rtmo(decoding=decoding)
    record = record_for(model, noise(3, 128, 128), form)
    file = save(tmp_path / "model.onnx", model, record, noise(3, 128, 128))
    content = onnx.load(file)

    assert read_record(file) == record
    assert {entry.domain for entry in content.opset_import} == {""}
    if form != "nms":
        assert {"NonMaxSuppression", "NonZero", "Loop", "If"}.isdisjoint(node.op_type for node in content.graph.node)
    batches = [noise(*shape) for shape in ((1, 128, 128), (3, 96, 160), (8, 160, 96))]
    check_batches(file, model, batches, openvino=form != "raw")


@SLOW
def test_the_same_network_gives_the_same_bytes() -> None:
    again = make_onnx(lively_rtmo(), record_for(lively_rtmo(), noise(3, 128, 128), "nms"), CANDIDATES, [])
    first, second = (content.SerializeToString(deterministic=True) for content in (in_form_nms(), again))

    assert first == second
    assert str(Path(rtmo.__file__).parent).encode() not in first


@SLOW
@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_lower_precision_keeps_positions_in_float32(
    precision: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if precision == "int8":  # is made from float32
        graph = in_form_nms()  # not in the patch: that would have it made of itself
        monkeypatch.setattr("rtmo.deploy.file.to_onnx", lambda *_: deepcopy(graph))
    model, images = lively_rtmo(), noise(3, 128, 128)
    loose = Limits(unmatched=1, keypoints=20, scores=0.5, quantile=0.5)
    file = save(tmp_path / "model.onnx", model, record_for(model, images, "nms", precision), images, loose)
    content = onnx.load(file)
    low = {"float16": onnx.TensorProto.FLOAT16, "int8": onnx.TensorProto.INT8}[precision]
    types = {weight.name: weight.data_type for weight in content.graph.initializer}
    assert low in types.values()
    types |= {
        value.name: value.type.tensor_type.elem_type for value in (*content.graph.value_info, *content.graph.output)
    }
    behind = nodes_behind(content.graph, "TopK")
    computed = [node for node in behind if node.op_type not in ("GatherND", "Cast")]  # read, and made float32

    assert {"Cos", "Sin", "Exp", "MatMul", "ReduceSum"} <= {node.op_type for node in computed}
    assert {"Conv", "QuantizeLinear", "DequantizeLinear"}.isdisjoint(node.op_type for node in computed)
    assert not {low, None} & {types.get(name) for node in computed for name in (*node.input, *node.output)}


def nodes_behind(graph: onnx.GraphProto, op_type: str) -> list[onnx.NodeProto]:
    """Nodes that read, directly or not, what those of a type give."""
    behind, reached = [], set[str]()
    for node in graph.node:
        if not reached.isdisjoint(node.input):
            behind.append(node)
        if node.op_type == op_type or not reached.isdisjoint(node.input):
            reached.update(node.output)
    return behind


def test_a_file_that_differs_is_not_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In place of the network's, a file that finds the same people in every image."""
    model, images = lively_rtmo(PAIR), noise(3, 64, 96)
    record = replace(record_for(model, images, "nms"), skeleton=PAIR)
    other = onnx.load(save_exported(tmp_path / "other.onnx", metadata=""))
    monkeypatch.setattr("rtmo.deploy.file.make_onnx", lambda *_: deepcopy(other))

    for form, message in (("nms", "does not give torch's poses"), ("topk", f"candidates={CANDIDATES} are too few")):
        with pytest.raises(InputError, match=message):
            save(
                tmp_path / "there" / "model.onnx",
                model,
                replace(record, form=form),
                images,
                replace(EXACT, unmatched=0.1),
            )
    assert not list((tmp_path / "there").iterdir())
    with pytest.raises(InputError, match="cannot be written"):
        save(tmp_path / "other.onnx" / "model.onnx", model, record, images)


@SLOW
@pytest.mark.parametrize(("size", "form"), [*((size, "nms") for size in SIZES), ("rtmo_t", "topk"), ("rtmo_t", "raw")])
def test_every_size_on_photographs(size: str, form: str, shared_dir: Path, tmp_path: Path) -> None:
    """Batches of 1, 3 and 8. What forms differ in comes after the network, so that one size has all of them."""
    photographs = [read_any(path) for path in sorted((shared_dir / "data" / "coco" / "val2017").glob("*.jpg"))[:3]]
    square, wide = (np.stack([fit_image(image, s)[0] for image in photographs]) for s in ((256, 256), (384, 640)))
    torch.manual_seed(0)  # of the weights: some of R50's have activations so large that float32 rounds them to a px
    model = enlivened(rtmo.load_model(size), as_tensor(square))
    file = save(tmp_path / "model.onnx", model, record_for(model, square, form), square, candidates=300)

    check_batches(file, model, [square[1:2], np.tile(square, (3, 1, 1, 1))[:8], wide])
