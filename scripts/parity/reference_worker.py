"""The part of a benchmark's worker that the reference's scripts share; rtmo.benchmark.workers describes the requests.

rtmo.benchmark.worker does the same for ours: rtmo is not installed beside the reference.
"""

import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmpose
from mmengine.registry import init_default_scope


def serve(prepare: Callable[..., Any]) -> None:
    """Answers requests until there are no more.

    Args:
        prepare: Makes of the first request what has a method for each further one.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    init_default_scope("mmpose")
    case = None
    for line in sys.stdin:
        request = json.loads(line)
        do = request.pop("do")
        if do == "prepare":
            case = prepare(**request)
            answer = {"description": f"mmpose {mmpose.__version__}, torch float32 on cpu"}
        elif do == "memory":
            most = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
            answer = {"mib": int(most[1]) / 2**10}
        else:
            answer = getattr(case, do)(**request)
        print(json.dumps(answer), file=answers, flush=True)
