"""Ranks start with a command, end together, and leave nothing behind. The ranks here are a line of Python each."""

import logging
import os
import subprocess
import sys
import threading
import time
from unittest.mock import Mock

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment

from rtmo.errors import EXIT_INPUT_ERROR, EXIT_INTERRUPTED, InputError, RunError
from rtmo.training import ranks
from rtmo.training.ranks import RANK_VARIABLES, Rank, RankLauncher, first_failure

KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture(autouse=True)
def no_rank(monkeypatch):
    for name in (*RANK_VARIABLES, ranks.LAUNCHER):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ranks, "_set_num_threads_if_needed", lambda num_processes: None)


def launch(script, function=lambda: "result", num_processes=2):
    launcher = RankLauncher(LightningEnvironment(), num_processes, 1)
    launcher.command = [sys.executable, "-c", script]
    return launcher.launch(function)


def test_further_ranks_know_who_they_are(tmp_path):
    script = f"""
import os
with open(os.path.join({str(tmp_path)!r}, os.environ["LOCAL_RANK"]), "w") as file:
    file.write(" ".join(os.environ[name] for name in ("WORLD_SIZE", "NODE_RANK", "MASTER_PORT", "RTMO_LAUNCHER")))
"""
    seen = []
    assert launch(script, lambda: seen.append(dict(os.environ)) or "result", num_processes=3) == "result"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["1", "2"]
    assert seen[0]["LOCAL_RANK"] == "0"
    expected = f"3 0 {seen[0]['MASTER_PORT']} {os.getpid()}"
    assert {file.read_text() for file in tmp_path.iterdir()} == {expected}


def test_nothing_is_left_for_the_next_run(monkeypatch):
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    launch("")
    assert {name: os.environ[name] for name in RANK_VARIABLES if name in os.environ} == {"MASTER_ADDR": "127.0.0.1"}


@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        ("raise SystemExit(3)", RunError, r"rank 1 \(process \d+\) ended with exit code 3"),
        (KILLED, RunError, r"rank 1 \(process \d+\) was killed by SIGKILL; out of memory\?"),
        ("raise SystemExit(2)", InputError, r"rank 1 \(process \d+\) cannot use its input"),
    ],
)
def test_a_rank_that_failed_is_named(script, kind, message):
    def lose():
        raise RuntimeError("[../gloo/transport/tcp/pair.cc:534] Connection closed by peer")

    for function in (lambda: None, lose):
        with pytest.raises(kind, match=message):
            launch(script, function)


@pytest.mark.parametrize("code", [0, EXIT_INTERRUPTED])
def test_ranks_may_end_before_the_first(code):
    assert launch(f"raise SystemExit({code})", lambda: time.sleep(0.3) or "result") == "result"


def test_the_others_end_with_the_first():
    def fail():
        raise ValueError("of rank 0")

    started = time.monotonic()
    with pytest.raises(ValueError, match="of rank 0"):
        launch("import time; time.sleep(60)", fail)
    assert time.monotonic() - started < 30  # did not wait for it


def test_one_that_does_not_end_is_ended(monkeypatch, caplog):
    monkeypatch.setattr(ranks, "FAREWELL", 0.2)
    assert launch("import time; time.sleep(60)") == "result"
    assert "rank 1" in caplog.text


@pytest.mark.parametrize(
    ("script", "kind", "code"), [(KILLED, RunError, 1), ("raise SystemExit(2)", InputError, EXIT_INPUT_ERROR)]
)
def test_a_rank_that_waits_in_vain_for_another_is_ended(monkeypatch, caplog, script, kind, code):
    """The first is in a collective, which nothing interrupts, when the second ends."""
    ended, codes = threading.Event(), []
    monkeypatch.setattr(ranks, "GRACE", 0.1)
    monkeypatch.setattr(ranks.os, "_exit", lambda code: codes.append(code) or ended.set())
    with pytest.raises(kind, match="rank 1"):
        launch(script, lambda: ended.wait(30))
    assert codes == [code]
    assert "rank 1" in caplog.text


def test_a_rank_whose_launcher_is_gone_ends(monkeypatch, caplog):
    ended = threading.Event()
    monkeypatch.setattr(ranks, "GRACE", 0.0)
    monkeypatch.setattr(ranks.os, "_exit", lambda code: ended.set())
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv(ranks.LAUNCHER, str(os.getppid() + 1))
    with caplog.at_level(logging.ERROR):
        assert RankLauncher(LightningEnvironment(), 2, 1).launch(lambda: ended.wait(30))
    assert f"process {os.getppid() + 1}) is gone; rank 1 of it ends" in caplog.text


def test_a_rank_that_lost_its_launcher_names_it(monkeypatch):
    monkeypatch.setattr(ranks.threading, "Thread", Mock())
    monkeypatch.setenv("LOCAL_RANK", "1")
    launcher = RankLauncher(LightningEnvironment(), 2, 1)
    gone, alive = os.getppid() + 1, os.getppid()
    told, untold = (RunError, "rank 0 of this machine"), (RuntimeError, "Connection closed")
    for started_by, (kind, message) in ((gone, told), (alive, untold)):
        monkeypatch.setenv(ranks.LAUNCHER, str(started_by))
        monkeypatch.setattr(ranks, "GRACE", 0.0)
        with pytest.raises(kind, match=message):
            launcher.launch(
                Mock(side_effect=RuntimeError("[../gloo/transport/tcp/pair.cc:534] Connection closed by peer"))
            )


def test_processes_that_torchrun_started_are_its_own(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(subprocess, "Popen", None)
    assert launch("raise SystemExit(3)") == "result"


def test_waiting_for_a_failure_has_an_end():
    rank = Rank(rank=1, command=[sys.executable, "-c", "import time; time.sleep(60)"], environment=os.environ)
    assert first_failure([rank], wait=0.2) is None
    ranks.end([rank])
    assert first_failure([rank]) is None  # we did that
    assert rank.returncode is not None
