"""python -m rtmo.info: what files hold, and a report of the surroundings without names."""

import getpass
import platform
import sys
from pathlib import Path

import pytest
import torch
from exported_files import save_exported
from networks import SMALL, reference_state, save_reference, small_rtmo

from rtmo import info
from rtmo.skeletons import CROWDPOSE14

MODEL = {"_target_": "rtmo.models.rtmo.RTMO", **SMALL}


def facts_in(printed: str) -> dict[str, str]:
    """Name and first line of every fact."""
    lines = [line for line in printed.splitlines() if line and line[0] != " "]
    return {line[:18].strip(): line[18:] for line in lines}


@pytest.fixture
def of_a_run(tmp_path):
    config = {
        "model": MODEL,
        "data_name": "crowdpose",
        "image_size": [64, 96],
        "module": {"score_thr": 0.1, "nms_thr": 0.6},
    }
    weights = {f"model.{name}": value for name, value in small_rtmo(CROWDPOSE14).state_dict().items()}
    cost = {"metrics": {"val/AP": 0.5, "val/AR": 0.625, "train/loss": 3.0}}
    record = {"config": config, "skeleton": CROWDPOSE14.to_plain()}
    content = {"state_dict": weights, "rtmo": record, "epoch": 7, "global_step": 99, "cost": cost}
    torch.save({**content, "optimizer_states": []}, tmp_path / "best.ckpt")
    return config


def test_a_checkpoint_of_a_run(call, of_a_run):
    code, stdout, stderr = call(info.main, "checkpoint=best.ckpt", "config=true")
    assert (code, stderr) == (0, "")
    facts = facts_in(stdout)
    assert facts["kind"] == "checkpoint of a run"
    assert facts["decoding"] == "dcc"
    assert facts["skeleton"] == "crowdpose14, 14 joints"
    assert facts["joints (sigma)"].startswith("left_shoulder (0.079), right_shoulder (0.079), ")
    assert facts["pairs"].startswith("left_shoulder - right_shoulder, ")
    assert (facts["data"], facts["image_size"], facts["nms_thr"]) == ("crowdpose", "[64, 96]", "0.6")
    assert facts["saved"] == "after epoch 7, step 99"
    assert facts["then reached"] == "val/AP 0.500, val/AR 0.625"
    counts = small_rtmo(CROWDPOSE14).parameter_counts()
    assert facts["parameters"].startswith(f"{counts['total']:,}: backbone {counts['backbone']:,}, neck ")
    assert "\nmodel:\n  _target_: rtmo.models.rtmo.RTMO\n" in stdout
    assert "data_name:" not in call(info.main, "checkpoint=best.ckpt")[1]


def test_weights_of_the_reference(call, tmp_path):
    save_reference(tmp_path / "theirs.pth", reference_state(small_rtmo()))
    code, stdout, _ = call(info.main, "checkpoint=theirs.pth")
    facts = facts_in(stdout)
    assert (code, facts["kind"]) == (0, "weights of the reference implementation")
    assert facts["skeleton"] == "coco17, 17 joints"  # by the constants of OKS
    assert facts.keys().isdisjoint(("data", "saved", "then reached"))
    code, _, stderr = call(info.main, "checkpoint=theirs.pth", "config=true")
    assert code == 2
    assert stderr.startswith("error: config=true: theirs.pth has no config")


def test_exported_files(call, tmp_path):
    of_run = {"file": "best.ckpt", "config": {"data_name": "crowdpose"}}
    save_exported(tmp_path / "ours.onnx", form="topk", precision="int8", source=of_run)
    code, stdout, stderr = call(info.main, "checkpoint=ours.onnx", "config=true")
    assert (code, stderr) == (0, "")
    facts = facts_in(stdout)
    assert facts["kind"] == "ONNX model of rtmo.export"
    assert facts["inputs"] == "images float (batch, 3, height, width)"
    assert (facts["opset"], facts["form"], facts["precision"]) == ("18", "topk", "int8")
    assert (facts["image_size"], facts["score_thr"], facts["source"]) == ("(64, 96)", "0.1", "best.ckpt")
    assert (facts["skeleton"], facts["pairs"]) == ("pair, 2 joints", "left_end - right_end")
    assert stdout.endswith("\ndata_name: crowdpose\n")
    save_exported(tmp_path / "theirs.onnx", metadata="")
    facts = facts_in(call(info.main, "checkpoint=theirs.onnx")[1])
    assert (facts["kind"], facts["written by"]) == ("ONNX model of another program", "nobody says")
    assert "skeleton" not in facts


def test_a_report_of_the_surroundings_has_no_names_in_it(call):
    code, stdout, stderr = call(info.main)
    assert (code, stderr) == (0, "")
    facts = facts_in(stdout)
    assert facts["torch"] == torch.__version__
    assert "CPUExecutionProvider" in facts["ONNX Runtime"]
    assert {"rtmo", "python", "platform", "CPU", "torch threads", "accelerators", "extras"} <= facts.keys()
    assert str(Path.home()) not in stdout
    assert str(Path(info.__file__).parent) not in stdout
    for name in (platform.node(), getpass.getuser()):
        assert name not in stdout.split()


def test_extras_are_there_if_all_their_packages_are(monkeypatch):
    lines = ["torch>=2", "onnx>=1; extra == 'onnx'", "nowhere-to-be-found; extra == 'onnx'", "pytest; extra == 'dev'"]
    monkeypatch.setattr(info, "requires", lambda _name: lines)
    assert info.installed_extras() == {"onnx": False, "dev": True}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["checkpoint=nowhere.ckpt"], "checkpoint=nowhere.ckpt: no such file"),
        (["checkpoint=nowhere.onnx"], "checkpoint=nowhere.onnx: no such file"),
        (["checkpoint=text.onnx"], "text.onnx: no ONNX model, damaged or cut short"),
        (["config=true"], "config=true: of the run that trained a checkpoint; give checkpoint=... too"),
        (["config=maybe"], "config: expected true or false, got 'maybe'"),
    ],
)
def test_what_cannot_be_told_is_said(call, tmp_path, options, message):
    (tmp_path / "text.onnx").write_text("not a model")
    code, _, stderr = call(info.main, *options)
    assert code == 2
    assert stderr.startswith(f"error: {message}")
    assert len(stderr.splitlines()) == 1


def test_without_onnx_the_extra_is_named(call, tmp_path, monkeypatch):
    save_exported(tmp_path / "model.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, _, stderr = call(info.main, "checkpoint=model.onnx")
    assert code == 2
    assert stderr.startswith("error: onnx is not installed; run: pip install 'rtmo[onnx]'")
