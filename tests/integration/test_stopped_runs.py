"""Processes that are killed, or asked to stop, and go on."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killed_runs import TINY
from test_training_run import assert_same, checkpoint, rows

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_as_the_uninterrupted_one(tmp_path: Path) -> None:
    """The number of kills is set by RTMO_KILLS; each is another process."""
    kills = os.environ.get("RTMO_KILLS", "20")
    driver = [sys.executable, str(Path(__file__).with_name("killed_runs.py")), str(tmp_path), kills, "0"]
    done = subprocess.run(driver, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = [int(found) for found in re.findall(r"^killed at (\d+)$", done.stdout, re.MULTILINE)]
    assert steps == sorted(steps)
    assert len(set(steps)) >= int(kills) // 4  # it was killed in many places
    whole, parts = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "parts")
    for part in ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers", "loops"):
        assert_same(whole[part], parts[part], part)


def losses_by_step(folder: Path) -> list[tuple[str, str]]:
    return [(row["step"], row["train/loss"]) for row in rows(folder) if row["train/loss"]]


@pytest.mark.slow
def test_the_command_is_asked_to_stop_and_goes_on_with_what_it_printed(tmp_path: Path) -> None:
    """With loader workers, which are asked too, as by a terminal or a scheduler."""
    folder = tmp_path / "it's my run"
    options = [*TINY, "data.num_workers=1", "trainer.log_every_n_steps=1", f'hydra.run.dir="{folder}"']
    command = [sys.executable, "-m", "rtmo.train", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd=tmp_path, start_new_session=True
    )
    while not (folder / "checkpoints" / "last.ckpt").is_file():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)  # the session that was started for it
    stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 75
    assert not (folder / "summary.json").exists()
    assert "stopped by SIGTERM; saved " in stdout
    words = shlex.split(stdout.splitlines()[-1])
    assert words[:3] == ["python", "-m", "rtmo.train"]
    done = subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, env=ENVIRONMENT, check=False)
    assert done.returncode == 0
    assert (folder / "summary.json").is_file()
    assert [int(step) for step, _ in losses_by_step(folder)] == list(range(48))
