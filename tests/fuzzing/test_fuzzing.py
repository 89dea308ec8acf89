"""The fuzzer finds what it is made for, and nothing in rtmo: for RTMO_FUZZ_SECONDS, with RTMO_FUZZ_SEED."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fuzzing.campaign import REFUSED, RESULT, outcome_of, run
from fuzzing.subject import Subject
from rtmo.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def refuse(folder):
    raise InputError("no")


def raise_another(folder):
    raise KeyError("x")


def crash(folder):
    os.kill(os.getpid(), signal.SIGKILL)


def unless_valid(do):
    """A reader that reads what it was given, and else does something."""
    return lambda folder: None if (folder / "a.json").read_bytes() == b"{}" else do(folder)


def subject(do):
    return Subject(lambda folder: (folder / "a.json").write_bytes(b"{}"), unless_valid(do), "*.json")


READERS = {
    "refuses": (refuse, REFUSED),
    "reads": (lambda folder: None, RESULT),
    "raises": (raise_another, "KeyError: 'x'"),
    "crashes": (crash, "exit code -9"),
    "hangs": (lambda folder: time.sleep(60), "no end within 0.5 s"),
    "grows": (lambda folder: np.ones(2**29), "Unable to allocate 4.00 GiB"),
    "talks": (lambda folder: refuse_at_length(), "a message of 5000"),
}


def refuse_at_length():
    raise InputError("x" * 5000)


@pytest.mark.parametrize("kind", READERS)
def test_every_outcome_is_told(kind, tmp_path):
    do, expected = READERS[kind]
    cases = run(0.3, seed=0, findings=tmp_path, subjects={kind: subject(do)}, seconds_a_case=0.5)
    other = [case for case in cases if case.outcome != RESULT]  # a mutated file may still be {}
    if expected != RESULT:
        assert expected in other[0].outcome
    assert [case.is_finding for case in other] == [expected != REFUSED] * len(other)
    assert len([*tmp_path.glob(f"{kind}-0-*.txt")]) == sum(case.is_finding for case in cases)


def test_a_finding_can_be_read_again_and_made_again(tmp_path):
    given = subject(raise_another)
    first, second = (
        run(0.2, seed=7, findings=tmp_path / name, subjects={"kind": given}) for name in ("first", "second")
    )
    finding = next(case for case in first if case.is_finding)
    place = tmp_path / "first" / f"kind-7-{finding.number}"
    assert "KeyError: 'x'" in outcome_of(given, place)
    assert second[finding.number].outcome == finding.outcome
    assert (tmp_path / "second" / place.name / "a.json").read_bytes() == (place / "a.json").read_bytes()


def test_what_should_be_valid_and_is_not_stops_the_campaign(tmp_path):
    broken = Subject(lambda folder: (folder / "a.json").write_bytes(b"{}"), raise_another, "*")
    with pytest.raises(ValueError, match=r"(?s)kind: what should be valid is not: .*KeyError"):
        run(1, seed=0, findings=tmp_path, subjects={"kind": broken})


@pytest.mark.slow
def test_nothing_is_found(tmp_path):
    seconds, seed = os.environ.get("RTMO_FUZZ_SECONDS", "20"), os.environ.get("RTMO_FUZZ_SEED", "0")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-m", "fuzzing", f"seconds={seconds}", f"seed={seed}", f"findings={tmp_path}"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("all")
