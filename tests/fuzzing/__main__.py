"""``PYTHONPATH=src:tests python -m fuzzing seconds=600 seed=0 kinds=coco,images findings=FOLDER``.

``replay=FOLDER`` reads the input of a finding again, in this process.
"""

import sys
from pathlib import Path

import cv2
import torch

from fuzzing.campaign import REFUSED, RESULT, outcome_of, run, table
from fuzzing.subjects import SUBJECTS


def main() -> None:
    """Prints findings and a table; exits with 1 if there is a finding."""
    options = {"seconds": "60", "seed": "0", "kinds": "", "findings": "fuzz-findings", "replay": ""}
    options |= dict(argument.split("=", 1) for argument in sys.argv[1:])
    torch.set_num_threads(1)  # threads do not survive a fork
    cv2.setNumThreads(1)
    if options["replay"]:
        folder = Path(options["replay"]).resolve()
        outcome = outcome_of(SUBJECTS[folder.name.split("-")[0]], folder, limited=False)
        print(outcome)
        raise SystemExit(outcome not in (RESULT, REFUSED))
    kinds = options["kinds"].split(",") if options["kinds"] else list(SUBJECTS)
    cases = run(float(options["seconds"]), int(options["seed"]), Path(options["findings"]).resolve(), kinds)
    findings = [case for case in cases if case.is_finding]
    for case in findings:
        print(f"{options['findings']}/{case.kind}-{options['seed']}-{case.number}: {case.outcome}\n")
    print(table(cases))
    raise SystemExit(bool(findings))


if __name__ == "__main__":
    main()
