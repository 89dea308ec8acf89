"""Processes that are measured in turns, each with a runtime of its own: several in one slow each other.

The parent speaks to a worker in lines of JSON. On its standard input a worker gets one request a line and answers each
with a line on its standard output; it ends when its input does.

    {"do": "prepare", ...}             -> {"description": "torch float32 on cpu"}  and what else there is to say
    {"do": "run", "batch": 1, ...}     -> {"milliseconds": {"network": 180.0, ...}, "people": 3}
    {"do": "memory"}                   -> {"mib": 512.0}  the most it held so far

Whatever it cannot do it answers with {"error": "..."}. ``rtmo.benchmark.worker`` is ours; any program may take part.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

OURS = (sys.executable, "-m", "rtmo.benchmark.worker")
# Threads that wait for work by spinning would take the cores from the worker whose turn it is; and each with a heap of
# its own, as glibc would have it, a worker that trains in a thread would hold a fifth more memory than a run does.
QUIET = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "MALLOC_ARENA_MAX": "1"}


class WorkerError(Exception):
    """What a worker answered instead, or that it ended."""


class Worker:
    """The parent's end of a worker process, a context manager that ends it.

    Args:
        command: Program and arguments.
    """

    def __init__(self, command: Sequence[str | os.PathLike[str]] = OURS) -> None:
        environment = {**os.environ, **QUIET}
        self._process = subprocess.Popen(
            [*command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the parent alone, which ends its workers
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            WorkerError: If it is an error, or the process ends before it answers.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps({"do": do, **request}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"its process ended with exit code {self._process.wait()}")
        answer: Mapping[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return dict(answer)
