"""Starts a training again and again and kills it: ``python killed_runs.py FOLDER KILLS SEED``.

Every start is a process of its own, forked from this one, which has imported everything: to start Python takes longer
than the training. Prints how many steps the newest checkpoint held after each kill.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from rtmo.config import compose, validate
from rtmo.train import KEYS, train
from rtmo.training.checkpoint_io import newest
from rtmo.training.earlier_run import last_checkpoint

TINY = (
    *("experiment=demo", "trainer=cpu", "image_size=[64,64]", "model.widen_factor=0.125", "model.hidden_dim=32"),
    *("model.ffn_dim=64", "model.dcc_dim=16", "model.attention_dim=16", "data.train.num_images=24"),
    *(
        "data.val.num_images=2",
        "data.batch_size=2",
        "nominal_batch=null",
        "data.num_workers=0",
        "trainer.check_val_every_n_epoch=2",
    ),
    *("callbacks={images: null, worst: null, train_batch: null, analysis: null, progress: null}",),
    *(
        "callbacks.last.every_n_train_steps=1",
        "trainer.num_sanity_val_steps=0",
        "trainer.max_epochs=4",
        "phases.refine_start=0.5",
    ),
)


def start(cfg: dict) -> int:
    """A process that trains, from the newest checkpoint if there is one; gives its id."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        train({**cfg, "ckpt_path": last_checkpoint(cfg, folder_is_given=True)})
        code = 0
    finally:
        os._exit(code)


def config(folder: Path) -> dict:
    return validate(compose("train", [*TINY, f"paths.output_dir={folder}"]), "train", KEYS)


def written(folder: Path) -> int:
    """When the newest checkpoint of a run was written, ns; 0: there is none."""
    checkpoint = newest(folder / "checkpoints")
    return 0 if checkpoint is None else checkpoint.stat().st_mtime_ns


def main(folder: Path, kills: int, seed: int) -> None:
    torch.set_num_threads(1)
    began = time.monotonic()
    pid = start(config(folder / "whole"))
    while not written(folder / "whole"):
        time.sleep(0.01)
    until_training = time.monotonic() - began
    assert os.waitpid(pid, 0)[1] == 0
    training = time.monotonic() - began - until_training
    rng, cfg = random.Random(seed), config(folder / "parts")
    for _ in range(kills):
        before = written(folder / "parts")
        pid = start(cfg)
        if rng.random() < 0.5:
            time.sleep(rng.uniform(0, until_training))
        else:  # somewhere in or between the steps, however slow the machine is
            while written(folder / "parts") == before:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, training / kills))
        os.kill(pid, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(pid, 0)[1]), "it has ended before it was killed"
        checkpoint = newest(folder / "parts" / "checkpoints")
        steps = 0 if checkpoint is None else torch.load(checkpoint, weights_only=True)["global_step"]
        print("killed at", steps, flush=True)
    assert os.waitpid(start(cfg), 0)[1] == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
