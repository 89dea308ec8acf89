"""A worker process: ``python -m rtmo.benchmark.worker`` predicts or trains when asked to; see ``workers``."""

import json
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import psutil

from rtmo.errors import InputError

# Imported when it is asked for: the memory of a prediction is not that of Lightning.
KINDS = {
    "prediction": "rtmo.benchmark.prediction:Prediction",
    "product": "rtmo.benchmark.prediction:MatrixProduct",
    "training": "rtmo.benchmark.training:Training",
    "losses": "rtmo.benchmark.training:Losses",
}


def main() -> None:
    """Answers requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    for answer in answered(sys.stdin):
        print(answer, file=answers, flush=True)


def answered(requests: Iterable[str]) -> Iterator[str]:
    """The answer to each request, both a line."""
    case: Any = None
    for line in requests:
        request = json.loads(line)
        do = request.pop("do")
        try:
            if do == "prepare":
                case = resolve_name(KINDS[request.pop("kind")])(**request)
                answer = case.describe()
            else:
                answer = peak_memory() if do == "memory" else getattr(case, do)(**request)
        except InputError as error:
            answer = {"error": str(error)}
        except Exception as error:  # reported as the result of this case; others go on
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        yield json.dumps(answer)


def peak_memory() -> dict[str, Any]:
    """The most main memory that this process has held, loading and compiling included."""
    if sys.platform == "linux":  # where getrusage counts what the parent held when it started this process
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        assert found is not None
        return {"mib": int(found[1]) / 2**10}
    if sys.platform == "win32":
        return {"mib": psutil.Process().memory_info().peak_wset / 2**20}
    import resource  # noqa: PLC0415, there is none on Windows

    return {"mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


if __name__ == "__main__":
    main()
