"""Whatever happens while a checkpoint is written, a good one is there, and it is the one that is read."""

import errno
import os
from pathlib import Path

import pytest
import torch

from rtmo.errors import InputError
from rtmo.training.checkpoint_io import SafeCheckpointIO, newest, undamaged
from rtmo.weights.file import check_sums


class Killed(BaseException):
    """As if the process ended here."""


def write(folder: Path, step: int) -> None:
    SafeCheckpointIO().save_checkpoint({"step": step, "weights": torch.full((500,), float(step))}, folder / "last.ckpt")


def step_of(path: Path) -> int:
    return SafeCheckpointIO().load_checkpoint(path, weights_only=True)["step"]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_one_before_is_kept(tmp_path):
    for step in range(3):
        write(tmp_path, step)
    SafeCheckpointIO().save_checkpoint({"step": 9}, tmp_path / "best.ckpt")
    SafeCheckpointIO().save_checkpoint({"step": 10}, tmp_path / "best.ckpt")
    steps = {path.name: step_of(path) for path in tmp_path.iterdir()}
    assert steps == {"last.ckpt": 2, "previous.ckpt": 1, "best.ckpt": 10}


def test_file_systems_without_hard_links(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for step in range(3):
        write(tmp_path, step)
    assert {path.name: step_of(path) for path in tmp_path.iterdir()} == {"last.ckpt": 2, "previous.ckpt": 1}


@pytest.mark.parametrize("is_damaged", [False, True])
@pytest.mark.parametrize("call", range(5))
def test_a_good_one_is_there_whenever_the_process_ends(tmp_path, monkeypatch, call, is_damaged):
    """Before each call to the system that changes names; with the newest damaged, the one before must outlive it."""
    write(tmp_path, 0)
    write(tmp_path, 1)
    if is_damaged:
        damage(tmp_path / "last.ckpt")
    calls = 0

    def counted(function):
        def wrapper(*arguments):
            nonlocal calls
            calls += 1
            if calls == call + 1:
                raise Killed
            return function(*arguments)

        return wrapper

    with monkeypatch.context() as patch:
        for name in ("link", "replace", "fsync"):
            patch.setattr(os, name, counted(getattr(os, name)))
        with pytest.raises(Killed):
            write(tmp_path, 2)
    path = newest(tmp_path)
    assert path is not None
    assert step_of(undamaged(path)) in ((0, 2) if is_damaged else (1, 2))
    write(tmp_path, 3)
    assert step_of(tmp_path / "last.ckpt") == 3
    assert {path.name for path in tmp_path.iterdir()} == {"last.ckpt", "previous.ckpt"}


def test_a_full_disk_leaves_the_good_ones(tmp_path, monkeypatch):
    write(tmp_path, 0)
    write(tmp_path, 1)

    def fill(content, path):
        Path(path).write_bytes(b"some of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", fill)
    with pytest.raises(InputError, match=r"last\.ckpt: cannot be written \(.*No space left.*is the .* disk not full"):
        write(tmp_path, 2)
    assert {path.name: step_of(path) for path in tmp_path.iterdir()} == {"last.ckpt": 1, "previous.ckpt": 0}


def test_a_damaged_one_is_not_read(tmp_path, caplog):
    write(tmp_path, 0)
    write(tmp_path, 1)
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    assert undamaged(last) == last
    damage(last)
    with pytest.raises(InputError, match=r"last\.ckpt: damaged"):
        step_of(last)
    assert undamaged(last) == previous
    (warning,) = caplog.messages
    assert str(last) in warning
    assert str(previous) in warning
    damage(previous)
    with pytest.raises(InputError, match=r"last\.ckpt: damaged.*no better.*previous\.ckpt: damaged"):
        undamaged(last)
    with pytest.raises(InputError, match=r"ckpt_path=.*best\.ckpt: no such file"):
        undamaged(tmp_path / "best.ckpt")


def test_the_newest_of_a_folder(tmp_path):
    assert newest(tmp_path / "nowhere") is None
    write(tmp_path, 0)
    write(tmp_path, 1)
    assert newest(tmp_path) == tmp_path / "last.ckpt"
    (tmp_path / "last.ckpt").unlink()
    assert newest(tmp_path) == tmp_path / "previous.ckpt"
    check_sums(tmp_path / "previous.ckpt")
