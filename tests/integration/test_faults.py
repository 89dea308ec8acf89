"""Faults planted into running training: it ends with one message, and goes on from its last checkpoint."""

import multiprocessing
import re
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from coco_files import write_coco

from rtmo import train
from rtmo.training.module import PoseModule

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"),
]

TINY = (
    *("model=rtmo_n", "model.widen_factor=0.125", "model.hidden_dim=32", "model.ffn_dim=64", "model.num_heads=4"),
    *("model.dcc_dim=16", "model.attention_dim=16", "data=custom", "augment=none", "trainer=cpu", "image_size=[64,64]"),
    *("data.batch_size=4", "nominal_batch=4", "data.train.annotation_file=people.json", "data.train.image_dir=images"),
    *("data.val.annotation_file=people.json", "data.val.image_dir=images", "trainer.max_epochs=2"),
    *("trainer.num_sanity_val_steps=0", "callbacks.images=null", "callbacks.worst=null", "hydra.run.dir=run"),
)
PLANTED_AT = 1  # epoch; those before it have a checkpoint


def vanish() -> None:
    shutil.rmtree("images")


def cut_short() -> None:
    for file in Path("images").glob("*.jpg"):
        file.write_bytes(file.read_bytes()[:200])


def kill_workers() -> None:
    for child in multiprocessing.active_children():
        child.kill()


def fill_disk() -> None:
    """No file may grow beyond what all but checkpoints need."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def exhaust_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.fixture
def trained(call, monkeypatch, tmp_path) -> Iterator[Callable[..., tuple[int, str]]]:
    """Trains until the fault, if there is one; gives the exit code and the message."""
    write_coco(tmp_path / "people.json", tmp_path / "images", 12)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    on_train_epoch_start = PoseModule.on_train_epoch_start

    def run(plant: Callable[[], None] | None, *overrides: str) -> tuple[int, str]:
        def planted(module: PoseModule) -> None:
            on_train_epoch_start(module)
            if plant is not None and module.current_epoch == PLANTED_AT:
                plant()

        monkeypatch.setattr(PoseModule, "on_train_epoch_start", planted)
        code, _, err = call(train.main, *TINY, *overrides)
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        return code, err

    yield run
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("plant", "workers", "code", "message"),
    [
        (vanish, 1, 2, r"error: images/0\d\d\.(jpg|png): cannot be read any more \(No such file or directory\)"),
        (cut_short, 1, 2, r"error: images/0\d\d\.jpg: the image file is cut short \(200 bytes\)"),
        (kill_workers, 1, 1, r"error: a loader worker was killed, .* lower data\.num_workers"),
        (fill_disk, 0, 1, r"error: .*written"),
        (exhaust_gpu, 0, 1, r"error: the GPU has not enough memory .*; data\.batch_size=2 accumulates 2 of them"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_ends_with_one_message_and_keeps_the_checkpoint(trained, plant, workers, code, message, tmp_path):
    ended, err = trained(plant, f"data.num_workers={workers}")
    assert ended == code, err
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    (said,) = (line for line in err.splitlines() if line.startswith("error: "))
    assert re.match(message, said), said
    assert said.endswith(f"; the run goes on with ckpt_path={last}")
    assert "Traceback" not in err
    kept = torch.load(last, weights_only=True)
    assert kept["global_step"] == 3 * PLANTED_AT
    if plant is fill_disk:
        ended, err = trained(None, "data.num_workers=0", f"ckpt_path={last}")
        assert ended == 0, err
        assert torch.load(last, weights_only=True)["global_step"] == 6
