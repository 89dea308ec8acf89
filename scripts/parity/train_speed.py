"""Training steps of rtmo and of the reference, in turns, on the same people.

    python scripts/parity/train_speed.py --reference .venv-parity/bin/python

A process each, with all cores, RTMO-s at 640 px, fresh weights. Ours are steps of rtmo.train itself. Prints tables in
Markdown. `make parity` makes the reference's environment.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.torch import save_file

from rtmo.benchmark.predict import PRECISIONS
from rtmo.benchmark.series import Case, Row, measure_cases, measure_losses
from rtmo.benchmark.tables import known, markdown, measured, reasons
from rtmo.benchmark.train import all_cases
from rtmo.benchmark.training import ASSIGNMENT, AVERAGE, BACKWARD, FORWARD, PARTS, STEP, WORK
from rtmo.skeletons import COCO17
from rtmo.training.batch_size import random_people

SIZE = (640, 640)
OURS = ["model=rtmo_s", "data=synthetic", "data.num_workers=0", "trainer=cpu", "phases.refine_start=0"]
CASES = {
    "float32": [],
    "float32, nchw": ["module.channels_last=false"],
    "float32, activations checkpointed": ["module.checkpoint_activations=true"],
    "bfloat16": ["trainer.precision=bf16-mixed"],
    "bfloat16, compiled": ["trainer.precision=bf16-mixed", "module.compile=true"],
}
REFERENCE = "reference"
COUNTS = (1, 5, 10, 30)
SHOWN = PARTS[PARTS.index(FORWARD) : PARTS.index(AVERAGE) + 1]


def main() -> None:
    """Reads the arguments, measures in turns, prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="python of the reference's environment")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--people", type=int, default=5, help="in every image of a step")
    parser.add_argument("--without", nargs="*", default=[], help="cases to leave out")
    arguments = parser.parse_args()
    batch, rounds = arguments.batch, arguments.rounds
    script = Path(__file__).with_name("reference_training.py")
    with TemporaryDirectory() as folder:
        for count in {arguments.people, *COUNTS}:
            people = random_people(batch, count, SIZE, COCO17)
            fields = {name: getattr(people, name) for name in ("bboxes", "keypoints", "visibility", "area")}
            save_file(fields, Path(folder) / f"{count}.safetensors")
        shared = {"folder": folder, "image_size": list(SIZE), "batch": batch}

        def reference(**request: object) -> Case:
            return Case({**shared, **request}, (str(arguments.reference), str(script)))

        ours = Case({"kind": "losses", "overrides": OURS, "batch": batch})
        losses = measure_losses(
            {REFERENCE: reference(backward=False), "rtmo": ours}, COUNTS, rounds=3 * rounds, batch=batch
        )
        chosen = {name: overrides for name, overrides in CASES.items() if name not in arguments.without}
        cases = all_cases(OURS, chosen, arguments.people)
        peaks = {name: Case({"kind": "product", "device": "cpu", "precision": name}) for name in PRECISIONS}
        steps, rates = measure_cases(
            {REFERENCE: reference(backward=True, people=arguments.people), **cases},
            peaks,
            rounds=rounds,
            batch=batch,
            work=(FORWARD, BACKWARD),
        )
    print(table_of_steps(steps), *reasons(steps), sep="\n")
    print(f"\nPeak: {', '.join(f'{rate:.0f} GFLOP/s in {precision}' for precision, rate in rates.items())}\n")
    print(table_of_losses(losses))


def table_of_steps(rows: Sequence[Row]) -> str:
    """Markdown, a row for each case: medians in ms."""
    slowest = next((row.milliseconds[WORK].median_ms for row in measured(rows) if row.name == REFERENCE), None)
    lines = []
    for row in measured(rows):
        step = row.milliseconds[WORK].median_ms
        times = [f"{row.milliseconds[part].median_ms:.0f}" for part in SHOWN]
        ratio = known(None if slowest is None else step / slowest, ".2f")
        lines.append(
            [row.name, *times, f"{step:.0f}", ratio, known(row.share_of_peak, ".0%"), known(row.memory_mib, ".0f")]
        )
    return markdown(["case", *SHOWN, "step", "of the reference", "of peak", "MiB"], lines)


def table_of_losses(rows: Mapping[str, Sequence[Row]]) -> str:
    """Markdown: assignment, and assignment and losses, by people in every image; medians in ms."""
    lines = []
    for part, title in ((ASSIGNMENT, "assignment"), (STEP, "assignment and losses")):
        for name, cells in rows.items():
            times = [f"{row.milliseconds[part].median_ms:.1f}" if row.error is None else row.error for row in cells]
            lines.append([f"{name}: {title}", *times])
    return markdown(["people in every image", *map(str, COUNTS)], lines)


if __name__ == "__main__":
    main()
