"""Runs rtmo and the reference implementation on the same weights and images, and writes docs/numerics.md.

    make parity

Exits with 1 if a difference is larger than its limit. The reference runs in an environment of its own, for its
dependencies exclude ours; cases.py says which files the two exchange.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from cases import MODELS, RUNS
from compare import compare_file, compare_outputs, compare_run
from inputs import make_inputs, photographs
from page import limits, render
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Reads the arguments, runs both sides, writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="python of the reference's environment")
    parser.add_argument("--folder", type=Path, default=ROOT / "outputs" / "parity", help="for files exchanged, 3 GB")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "numerics.md")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    for name in ("weights", "converted", "reference"):
        (folder / name).mkdir(parents=True, exist_ok=True)

    def reference(task: str) -> None:
        subprocess.run([arguments.reference, Path(__file__).with_name("reference.py"), task, folder], check=True)

    photos = photographs()
    inputs = make_inputs(photos)
    save_file(inputs, folder / "inputs.safetensors")
    reference("weights")
    files = [compare_file(folder, name) for name in MODELS]
    reference("record")
    outputs = [result for name in MODELS for result in compare_outputs(folder, name, inputs)]
    runs = [compare_run(folder, run, inputs) for run in RUNS]
    held = limits(files, outputs, runs)
    versions = json.loads((folder / "reference" / "environment.json").read_text())
    arguments.output.write_text(render(held, outputs, runs, versions, with_photographs=photos is not None))
    print(arguments.output)
    if failures := [f"{what}: {value:.1e} exceeds {limit:g}" for what, limit, value in held if not value <= limit]:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
