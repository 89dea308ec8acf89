"""Memory and open files of a training that lasts.

``RTMO_SOAK_STEPS=2000 pytest -s -m slow tests/integration/test_soak.py`` tells the numbers of a long one.
"""

import os
import subprocess
import sys
import time
from statistics import median

import psutil
import pytest

STEPS_PER_EPOCH = 50
TINY = (
    *("experiment=demo", "trainer=cpu", "image_size=[64,64]", "model.widen_factor=0.125", "model.hidden_dim=32"),
    *("model.ffn_dim=64", "model.dcc_dim=16", "model.attention_dim=16", "data.batch_size=2", "nominal_batch=2"),
    *(f"data.train.num_images={2 * STEPS_PER_EPOCH}", "data.val.num_images=8", "data.num_workers=2"),
    *("trainer.log_every_n_steps=1", "hydra.run.dir=run"),
)
SECONDS = 0.2  # between two looks
SLACK = 8 * 2**20  # bytes of memory between an early and a late look


def looked_at(process: psutil.Process) -> dict[str, list[int]]:
    """Bytes and open files of the trainer and, together, of its workers, until it ends."""
    seen: dict[str, list[int]] = {name: [] for name in ("trainer", "workers", "files", "files of workers")}
    while process.status() != psutil.STATUS_ZOMBIE:
        try:
            workers = process.children(recursive=True)
            now = {
                "trainer": process.memory_info().rss,
                "workers": sum(worker.memory_info().rss for worker in workers),
                "files": process.num_fds(),
                "files of workers": sum(worker.num_fds() for worker in workers),
            }
        except psutil.Error:  # one of them has just ended
            continue
        for name, value in now.items():
            seen[name].append(value)
        time.sleep(SECONDS)
    return seen


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts files as Linux does")
def test_memory_and_files_stay_flat(tmp_path):
    epochs = int(os.environ.get("RTMO_SOAK_STEPS", "300")) // STEPS_PER_EPOCH
    command = [sys.executable, "-m", "rtmo.train", *TINY, f"trainer.max_epochs={epochs}"]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
        seen = looked_at(psutil.Process(running.pid))
    assert running.wait() == 0, (tmp_path / "log").read_text()
    looks = len(seen["trainer"])
    early, late = slice(looks // 2, looks * 2 // 3), slice(looks * 5 // 6, -2)  # the first look after all are at work
    for name, values in seen.items():
        first, last = median(values[early]), median(values[late])
        print(f"{name}: {first:,.0f} early, {last:,.0f} late")
        assert last - first <= (SLACK if name in ("trainer", "workers") else 0), (name, values)
