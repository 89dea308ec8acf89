"""Which runtime a file is opened with."""

import pytest
from exported_files import save_exported

from rtmo.errors import InputError
from rtmo.inference.backend import open_backend


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        ("model.onnx", {"backend": "torch"}, "backend=torch: does not run an exported file"),
        ("best.ckpt", {"backend": "onnxruntime"}, "backend=onnxruntime: does not run weights"),
        ("best.ckpt", {"backend": "openvino"}, "backend=openvino: does not run weights"),
        ("model.onnx", {"compile": True}, "compile=true: of weights that torch runs"),
        ("model.onnx", {"precision": "bfloat16"}, "precision=bfloat16: ONNX Runtime runs a file in that of its export"),
        ("model.onnx", {"backend": "tensorrt"}, "backend=tensorrt: unknown; choose one of auto, torch, onnxruntime,"),
        ("model.onnx", {"score_thr": 2}, "score_thr=2: expected a number from 0 to 1"),
        ("model.onnx", {}, "model.onnx: no such file"),
        ("model.onnx", {"backend": "openvino"}, "model.onnx: no such file"),
        ("best.ckpt", {}, "checkpoint=best.ckpt: no such file"),
    ],
)
def test_files_and_options_that_do_not_go_together_are_refused(tmp_path, monkeypatch, file, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as refused:
        open_backend(file, **options)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(("backend", "runtime"), [("auto", "ONNX Runtime"), ("openvino", "OpenVINO")])
def test_exported_files_are_opened_by_their_runtimes(tmp_path, backend, runtime):
    opened = open_backend(save_exported(tmp_path / "model.onnx"), backend=backend, device="cpu", score_thr=0.5)
    assert opened.description.startswith(f"{runtime} ")
    assert (opened.score_thr, opened.nms_thr) == (0.5, 0.65)
