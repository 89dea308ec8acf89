"""Files are read without executing them, and refused with one message that says why."""

import os
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save

from rtmo.errors import InputError
from rtmo.weights.file import read_file, write_file

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "a.count": torch.tensor(3)}
META = {
    "name": "coco",
    "sigmas": np.array([0.026, 0.1], dtype=np.float32),
    "colors": np.eye(3, dtype=np.uint8),
    "mean": np.float64(0.5),
    "none": np.zeros(0),
}


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def mmengine_log(monkeypatch):
    """An object of the class whose pickles name their own methods, under the name the reference gives it."""

    class HistoryBuffer:
        def mean(self):
            return 0.0

        def __getstate__(self):
            return {"statistics_methods": {"mean": HistoryBuffer.mean}, "history": np.ones(2)}

    module = types.ModuleType("mmengine.logging.history_buffer")
    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = module.__name__, "HistoryBuffer"
    HistoryBuffer.mean.__module__, HistoryBuffer.mean.__qualname__ = module.__name__, "HistoryBuffer.mean"
    module.HistoryBuffer = HistoryBuffer
    for name in ("mmengine", "mmengine.logging"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return HistoryBuffer()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "as published in 2021"])
def test_tensors_are_read_and_numpys_arrays_passed_over(tmp_path, zipped):
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": STATE, "meta": META}, path, _use_new_zipfile_serialization=zipped)
    content = read_file(path)
    assert all(torch.equal(content["state_dict"][name], value) for name, value in STATE.items())
    assert content["meta"]["name"] == "coco"
    assert not isinstance(content["meta"]["sigmas"], np.ndarray)


def test_arrays_pickled_by_numpy_1_are_passed_over(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(META, path, _use_new_zipfile_serialization=False)
    old = path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert old != path.read_bytes()
    path.write_bytes(old)
    assert read_file(path)["name"] == "coco"


def test_a_forged_dtype_reaches_nothing_of_numpy(tmp_path):
    """With numpy's own dtype, this text of one letter would be as long as the forger says."""

    class Forged:
        def __reduce__(self):
            state = (3, "<", None, None, None, 65536, 1, 8)
            return np.dtype, ("U1", False, True), state

    path = tmp_path / "weights.pth"
    torch.save({"state_dict": STATE, "letters": Forged()}, path)
    with torch.serialization.safe_globals([np.dtype, type(np.dtype("U1"))]):
        assert torch.load(path, weights_only=True)["letters"].itemsize == 65536
    assert type(read_file(path)["letters"]).__name__ == "_PassedOver"


def test_the_training_log_of_the_reference_is_passed_over(tmp_path, monkeypatch):
    path = tmp_path / "epoch_1.pth"
    torch.save({"state_dict": STATE, "message_hub": {"loss": mmengine_log(monkeypatch)}}, path)
    monkeypatch.undo()
    with pytest.raises(pickle.UnpicklingError, match=r"HistoryBuffer|getattr"):
        torch.load(path, weights_only=True)
    assert torch.equal(read_file(path)["state_dict"]["a.weight"], STATE["a.weight"])


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_execute_code_is_refused_without_executing_it(tmp_path, zipped):
    path, folder = tmp_path / "weights.pth", tmp_path / "planted"
    torch.save({"state_dict": STATE, "extra": Planted(folder)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"weights\.pth: asks for posix\.mkdir beside tensors.* save its state_dict"):
        read_file(path)
    assert not folder.exists()
    torch.load(path, weights_only=False)
    assert folder.exists()  # it would have


def test_the_type_of_an_object_is_named(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"path": tmp_path}, path)
    with pytest.raises(InputError, match=r"asks for pathlib\S+ beside tensors"):
        read_file(path)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.98])
def test_a_file_cut_short_is_recognised(tmp_path, zipped, part):
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": {"w": torch.rand(200, 200)}}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(
        InputError, match=r"weights\.pth: no weights, damaged or cut short \([\d,]+ bytes; .+\); get it"
    ):
        read_file(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("page.pth", b"<!DOCTYPE html><html>404</html>", "a web page, not weights"),
        ("page.safetensors", b"\n<html><body>404", "a web page, not weights"),
        ("model.onnx", b"\x08\x0a", "an exported network, which has no weights"),
        ("text.pth", b"hello", "damaged or cut short"),
        ("empty.pth", b"", r"damaged or cut short \(0 bytes"),
        ("text.safetensors", b"hello, this is no header", "no safetensors file"),
        ("record.safetensors", save({"w": torch.ones(1)}, {"rtmo": "{"}), "its metadata 'rtmo': not valid JSON"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        read_file(tmp_path / name)
    assert len(str(refused.value).splitlines()) == 1


def test_a_missing_file_and_a_list_of_weights(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.pth: no such file"):
        read_file(tmp_path / "nowhere.pth")
    torch.save([torch.ones(2)], tmp_path / "list.pth")
    with pytest.raises(InputError, match="holds a list, not weights by name"):
        read_file(tmp_path / "list.pth")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_what_is_written_is_read_again(tmp_path, name):
    path = tmp_path / "new folder" / name
    record = {"rtmo": {"model": {"strides": [16, 32]}}}
    write_file(path, {**STATE, "cut": STATE["a.weight"][:, 1:]}, record)
    content = read_file(path)
    assert content["rtmo"] == record["rtmo"]
    assert content["state_dict"].keys() == {"a.weight", "a.count", "cut"}
    assert torch.equal(content["state_dict"]["cut"], STATE["a.weight"][:, 1:])
    assert content["state_dict"]["a.count"].dtype == torch.int64
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "weights.pth"
    write_file(path, STATE, {})
    with pytest.raises(AttributeError, match="pickle"):  # our mistake, not the user's
        write_file(path, STATE, {"rtmo": lambda: None})
    assert read_file(path)["state_dict"].keys() == STATE.keys()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    with pytest.raises(InputError, match=r"weights\.bin: end the name in \.safetensors or one of \.pth"):
        write_file(tmp_path / "weights.bin", STATE, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_file(tmp_path / "file" / "weights.pth", STATE, {})
