"""Failures of the machine in words. The errors are those that torch and the system raise."""

import errno
import os
import pickle
import signal
from pathlib import Path

import pytest
import torch
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader, Dataset

from rtmo.config_errors import explain
from rtmo.errors import InputError, RunError
from rtmo.training.batch_plan import plan_batch
from rtmo.training.failures import told
from rtmo.weights.file import write_whole

PLAN = plan_batch(32, 1, 256)


def message(error: Exception, folder: Path, plan=PLAN, kind: type[Exception] = RunError) -> str:
    with pytest.raises(kind) as caught, told(plan, folder):
        raise error
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.mark.parametrize(
    ("plan", "fix"),
    [
        (PLAN, "data.batch_size=16 accumulates 16 of them to a step of 256"),
        (plan_batch(20, 2, 256), "data.batch_size=10 accumulates 13 of them to a step of 260"),
        (plan_batch(24, 1, None), "data.batch_size=12 nominal_batch=24 accumulates 2 of them to a step of 24"),
        (plan_batch(1, 1, 4), "a batch of one image is the smallest: take a smaller image_size or model"),
    ],
)
def test_a_gpu_without_memory_is_given_the_batch_that_may_fit(tmp_path, plan, fix):
    said = message(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), tmp_path, plan)
    assert said.startswith(f"the GPU has not enough memory for {plan}; {fix}")


class Dying(Dataset):
    """Its second sample kills the process that loads it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        if index == 1:
            os.kill(os.getpid(), self.number)
        return index


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGBUS, signal.SIGSEGV])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_a_worker_that_dies(tmp_path, number):
    """Whether torch knows of the signal depends on what it notices first."""
    with pytest.raises(RunError) as caught, told(PLAN, tmp_path):
        list(DataLoader(Dying(number), num_workers=1))
    assert str(caught.value).startswith("a loader worker ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "meaning", "fix"),
    [
        ("is killed by signal: Killed. ", "was killed, as the system does when memory runs out", "data.num_workers"),
        ("is killed by signal: Bus error. It is possible ...", "found no room in shared memory", "--shm-size"),
        ("is killed by signal: Segmentation fault. ", "crashed or was killed", "data.num_workers=0"),
    ],
)
def test_what_the_signal_of_a_dead_worker_means(tmp_path, said, meaning, fix):
    told_of = message(RuntimeError(f"DataLoader worker (pid 7) {said}"), tmp_path)
    assert told_of.startswith(f"a loader worker {meaning}")
    assert fix in told_of


def test_a_full_disk(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "metrics.csv")
    said = "metrics.csv: cannot be written (No space left on device); make room"
    assert message(full, tmp_path).startswith(said)
    refused = InputError("paths.output_dir: cannot be written; choose another place")  # as of summary.json
    refused.__cause__ = full
    assert message(refused, tmp_path) == str(refused)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_disk_that_fills_while_torch_saves(tmp_path):
    with pytest.raises(RunError, match=r"(cannot|could not) be written"), told(PLAN, tmp_path):
        torch.save({"w": torch.zeros(10_000)}, "/dev/full")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_disk_that_fills_while_a_checkpoint_is_written(tmp_path):
    def write(unfinished: Path) -> None:
        unfinished.symlink_to("/dev/full")
        torch.save({"w": torch.zeros(10_000)}, unfinished)

    last = tmp_path / "last.ckpt"
    with pytest.raises(RunError, match=f"{last}: cannot be written"), told(PLAN, tmp_path):
        write_whole(last, write)


def from_worker(error: Exception) -> Exception:
    """As torch hands it on: the same type, with the worker's traceback in the message."""
    try:
        raise error
    except Exception:
        wrapper = pickle.loads(pickle.dumps(ExceptionWrapper(where="in DataLoader worker process 0")))
    try:
        wrapper.reraise()
    except Exception as error_here:
        return error_here


def test_what_a_worker_cannot_read_is_named_and_the_way_on_told(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.touch()
    error = InputError(message(from_worker(InputError("007.jpg: cut short")), tmp_path, kind=InputError))
    assert explain(error) == f"007.jpg: cut short; the run goes on with ckpt_path={last}"
    gone = from_worker(FileNotFoundError(errno.ENOENT, "No such file or directory", "labels.npz"))
    expected = f"[Errno 2] No such file or directory: 'labels.npz'; the run goes on with ckpt_path={last}"
    assert message(gone, tmp_path).endswith(expected)
    assert "Traceback" not in message(gone, tmp_path)


def test_failures_of_ours_keep_their_traceback(tmp_path):
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), KeyError("x")):
        with pytest.raises(type(error)) as caught, told(PLAN, tmp_path):
            raise error
        assert caught.value is error
