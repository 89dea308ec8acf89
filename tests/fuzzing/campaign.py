"""Mutates valid input for a bounded time and sees to it that every outcome is a result or an ``InputError``.

Cases are read in a process of their own, with little memory to spare and a time limit each, so that a crash, a hang or
an allocation without bound is an outcome like another.
"""

import logging
import multiprocessing
import os
import random
import resource
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from fuzzing.mutations import mutated
from fuzzing.subject import Subject
from fuzzing.subjects import SUBJECTS
from rtmo.errors import InputError

SECONDS_A_CASE = 20.0
MEMORY_TO_SPARE = 1 << 30  # bytes of address space beyond what libraries take
LONGEST_MESSAGE = 4000  # characters; one that repeats its input is no message
RESULT, REFUSED = "result", "refused"


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        kind: Which of the subjects.
        number: With the seed of a campaign it decides everything.
        outcome: ``RESULT``, ``REFUSED``, or what else happened, with its traceback.
    """

    kind: str
    number: int
    outcome: str

    @property
    def is_finding(self) -> bool:
        """Whether it is neither of the two outcomes that there should be."""
        return self.outcome not in (RESULT, REFUSED)


def run(
    seconds: float,
    seed: int,
    findings: Path,
    kinds: Sequence[str] = (),
    subjects: Mapping[str, Subject] = SUBJECTS,
    seconds_a_case: float = SECONDS_A_CASE,
) -> list[Case]:
    """Fuzzes some kinds in turn.

    Args:
        findings: Gets a folder of the input for each finding, and beside it a .txt of the outcome.
        kinds: Names of subjects; none: all.
    """
    names = [*(kinds or subjects)]
    cases: list[Case] = []
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        reader = Reader(Path(folder), subjects, seed)
        try:
            for kind in names:
                if (outcome := reader.outcome(kind, None, seconds_a_case)) != RESULT:
                    raise ValueError(f"{kind}: what should be valid is not: {outcome}")
            for number, kind in _numbered(names):
                if time.monotonic() > deadline:
                    break
                outcome = reader.outcome(kind, number, seconds_a_case)
                cases.append(Case(kind, number, outcome))
                if cases[-1].is_finding:
                    place = findings / f"{kind}-{seed}-{number}"
                    shutil.copytree(reader.inputs / kind, place, dirs_exist_ok=True)
                    place.with_suffix(".txt").write_text(outcome)
        finally:
            reader.end()
    return cases


def _numbered(kinds: Sequence[str]) -> Iterator[tuple[int, str]]:
    return ((number, kind) for number in count() for kind in kinds)


def table(cases: Sequence[Case]) -> str:
    """How many cases of each kind ended how."""
    counts: dict[str, Counter[str]] = {}
    for case in cases:
        counts.setdefault(case.kind, Counter())["finding" if case.is_finding else case.outcome] += 1
    counts["all"] = sum(counts.values(), Counter())
    ends = (RESULT, REFUSED, "finding")
    rows = [("kind", *ends), *((kind, *(of_kind[end] for end in ends)) for kind, of_kind in counts.items())]
    return "\n".join("{:14}{:>10}{:>10}{:>10}".format(*row) for row in rows)


class Reader:
    """The process that reads cases, started anew when it was lost."""

    def __init__(self, folder: Path, subjects: Mapping[str, Subject], seed: int) -> None:
        self.inputs, self._valid = folder / "inputs", folder / "valid"
        self._subjects, self._seed = subjects, seed
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection

    def outcome(self, kind: str, number: int | None, seconds: float) -> str:
        """Has the input of a case written and read; None: the valid one."""
        if self._process is None:
            self._start()
        self._pipe.send((kind, number))
        if not self._pipe.poll(seconds):
            self.end()
            return f"no end within {seconds:g} s"
        try:
            return str(self._pipe.recv())
        except EOFError:
            assert self._process is not None
            self._process.join()
            code = self._process.exitcode
            self.end()
            return f"the process ended with exit code {code}"

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, end = context.Pipe()
        given = (end, self._valid, self.inputs, self._subjects, self._seed)
        self._process = context.Process(target=_read_cases, args=given)
        self._process.start()
        end.close()

    def end(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def _read_cases(pipe: Connection, valid: Path, inputs: Path, subjects: Mapping[str, Subject], seed: int) -> None:
    """What the process does: writes, mutates and reads whatever case it is asked for."""
    logging.disable()
    os.chdir(inputs.parent)
    while True:
        kind, number = pipe.recv()
        subject = subjects[kind]
        if not (valid / kind).exists():
            (valid / kind).mkdir(parents=True)
            subject.write(valid / kind)
        folder = _copied(valid / kind, inputs / kind)
        if number is not None:
            mutate(folder, subject, random.Random(f"{seed} {kind} {number}"))
        pipe.send(outcome_of(subject, folder, limited=number is not None))  # the valid one imports what it needs


def mutate(folder: Path, subject: Subject, rng: random.Random) -> None:
    """Changes one of the files."""
    file = rng.choice(sorted(path for path in folder.glob(subject.files) if path.is_file()))
    file.write_bytes(mutated(file.read_bytes(), file.suffix, rng))


def outcome_of(subject: Subject, folder: Path, limited: bool = True) -> str:
    """What becomes of a copy of an input in this process; readers may write beside what they read."""
    try:
        # Beside the copy, in the folder of the campaign: a process that is killed cannot remove it.
        with tempfile.TemporaryDirectory(dir=folder.parent) as place, _little_memory() if limited else nullcontext():
            subject.read(_copied(folder, Path(place) / folder.name))
    except InputError as error:
        message = str(error)
        return REFUSED if len(message) <= LONGEST_MESSAGE else f"a message of {len(message)}: {message[:200]}"
    except BaseException:
        return traceback.format_exc()[-LONGEST_MESSAGE:]
    return RESULT


@contextmanager
def _little_memory() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + MEMORY_TO_SPARE, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _copied(valid: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return shutil.copytree(valid, folder)
