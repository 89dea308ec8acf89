"""What exported files say of themselves, and what the backends make of their outputs."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from exported_files import PAIR, PEOPLE, record_of, save_exported

from rtmo.errors import InputError
from rtmo.inference.backend import Backend
from rtmo.inference.exported import ExportRecord, import_runtime, read_record
from rtmo.inference.onnx_backend import OnnxRuntimeBackend
from rtmo.inference.openvino_backend import OpenVinoBackend

RUNTIMES = (OnnxRuntimeBackend, OpenVinoBackend)
IMAGES = np.zeros((3, 64, 96, 3), np.uint8)


@pytest.mark.parametrize("runtime", RUNTIMES)
class TestBackends:
    def test_finds_the_people_of_every_image(self, runtime, tmp_path: Path) -> None:
        backend = runtime(save_exported(tmp_path / "a.onnx", PEOPLE[[0, 2]]))
        poses = backend.decode(backend.network(IMAGES))

        assert isinstance(backend, Backend)
        assert (backend.skeleton, backend.image_size) == (PAIR, (64, 96))
        assert len(poses) == 3
        assert torch.equal(poses[2].scores, torch.tensor([0.9, 0.4]))
        assert poses[2].bboxes.tolist() == [[0, 4, 40, 60], [30, 30, 80, 60]]  # within the image
        assert poses[2].keypoints[0].tolist() == [[-8, 4], [40, 60]]  # joints may lie outside
        assert torch.equal(poses[2].keypoint_scores, torch.tensor([[0.9, 0.9], [0.4, 0.4]]))

    def test_rows_of_zeros_are_nobody(self, runtime, tmp_path: Path) -> None:
        backend = runtime(save_exported(tmp_path / "a.onnx", np.zeros((1, 5), np.float32)))

        assert [len(poses) for poses in backend.decode(backend.network(IMAGES[:1]))] == [0]

    def test_suppresses_duplicates_among_candidates(self, runtime, tmp_path: Path) -> None:
        file = save_exported(tmp_path / "a.onnx", form="topk")

        for options, scores in (({}, [0.9, 0.4]), ({"nms_thr": 1}, [0.9, 0.8, 0.4]), ({"score_thr": 0.5}, [0.9])):
            backend = runtime(file, **options)
            (poses,) = backend.decode(backend.network(IMAGES[:1]))
            assert torch.equal(poses.scores, torch.tensor(scores))

    def test_a_higher_threshold_leaves_more_out(self, runtime, tmp_path: Path) -> None:
        backend = runtime(save_exported(tmp_path / "a.onnx", PEOPLE[[0, 2]]), score_thr=0.5)

        assert len(backend.decode(backend.network(IMAGES[:1]))[0]) == 1

    @pytest.mark.parametrize(
        ("fields", "options", "message"),
        [
            ({}, {"score_thr": 0.01}, "leaves out whoever scores below 0.1"),
            ({}, {"nms_thr": 0.5}, "suppresses with 0.65"),
            ({"form": "raw"}, {}, "form=nms or form=topk"),
            ({}, {"image_size": (64, 90)}, "32"),
            ({}, {"device": "tpu"}, "device=tpu"),
        ],
    )
    def test_refuses_what_contradicts_the_file(self, runtime, fields, options, message, tmp_path: Path) -> None:
        file = save_exported(tmp_path / "a.onnx", **fields)

        with pytest.raises(InputError, match=message):
            runtime(file, **options)

    def test_refuses_other_files(self, runtime, tmp_path: Path) -> None:
        (tmp_path / "text.onnx").write_text("no model")
        foreign = save_exported(tmp_path / "foreign.onnx", metadata="")

        for file, message in (
            (tmp_path / "text.onnx", "cannot load it"),
            (tmp_path / "none.onnx", "no such file"),
            (foreign, "foreign.onnx: an ONNX model, but not one of rtmo.export"),
        ):
            with pytest.raises(InputError, match=message):
                runtime(file)


def test_a_file_that_fails_when_it_runs_is_named(tmp_path: Path) -> None:
    content = onnx.load(save_exported(tmp_path / "a.onnx"))
    content.graph.initializer.append(onnx.numpy_helper.from_array(np.array([7]), "seven"))
    content.graph.node.append(onnx.helper.make_node("Reshape", ["images", "seven"], ["lost"]))
    content.graph.output.append(onnx.helper.make_tensor_value_info("lost", onnx.TensorProto.FLOAT, [7]))
    onnx.save(content, tmp_path / "a.onnx")
    backend = OnnxRuntimeBackend(tmp_path / "a.onnx")
    with pytest.raises(InputError, match=r"a\.onnx: ONNX Runtime cannot run it \(.*Reshape"):
        backend.network(IMAGES)


@pytest.mark.usefixtures("unchecked_shapes")
def test_outputs_of_other_shapes_are_refused(tmp_path: Path) -> None:
    backend = OnnxRuntimeBackend(save_exported(tmp_path / "a.onnx"))
    detections, keypoints = backend.network(IMAGES)
    for wrong in ((detections[..., :4], keypoints), (detections, keypoints[:, :, :1]), (detections, keypoints[:, :1])):
        with pytest.raises(InputError, match=r"a\.onnx: gives outputs of shapes"):
            backend.decode(wrong)


def test_says_what_it_runs_on(tmp_path: Path) -> None:
    file = save_exported(tmp_path / "a.onnx")

    assert OnnxRuntimeBackend(file).description == "ONNX Runtime float32 on CPU"
    assert "float32 on CPU" in OpenVinoBackend(file, precision="float32").description
    with pytest.raises(InputError, match="precision=int4"):
        OpenVinoBackend(file, precision="int4")


def test_input_is_kept_in_memory(tmp_path: Path) -> None:
    backend = OnnxRuntimeBackend(save_exported(tmp_path / "a.onnx"))
    first = backend.as_input(IMAGES + 7)

    assert first.shape == (3, 3, 64, 96)
    assert (first == 7).all()
    assert np.shares_memory(first, backend.as_input(IMAGES))
    assert (first == 0).all()


def test_record_survives_the_file(tmp_path: Path) -> None:
    file = save_exported(tmp_path / "a.onnx", precision="int8")

    assert read_record(file) == record_of(precision="int8")
    assert json.loads(record_of().to_json())["letterbox"] == {"border": 114, "position": "centre"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version 2 of the format"),
        ({"colour_order": "RGB"}, "unknown colour_order"),
        ({"form": "best"}, "unknown form or precision"),
        ({"image_size": [64]}, "damaged"),
        ({"skeleton": {}}, "damaged"),
        ({"source": 3}, "damaged"),
    ],
)
def test_refuses_a_record_that_it_cannot_use(changes, message) -> None:
    plain = json.loads(record_of().to_json()) | changes

    with pytest.raises(InputError, match=message):
        ExportRecord.from_json(json.dumps(plain), Path("a.onnx"))
    with pytest.raises(InputError, match="damaged"):
        ExportRecord.from_json("{", Path("a.onnx"))


def test_a_missing_runtime_is_named_with_its_extra() -> None:
    with pytest.raises(InputError, match=r"pip install 'rtmo\[onnx\]'"):
        import_runtime("no_such_runtime", "onnx")
