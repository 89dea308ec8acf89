"""Latency of a whole prediction by rtmo and by the reference, in turns, on the same weights and photograph.

    python scripts/parity/latency.py --reference .venv-parity/bin/python --checkpoint best.ckpt --image street.jpg \
        --exported rtmo_s.onnx rtmo_s_int8.onnx

A process each, with all cores, RTMO-s at 640 px; a prediction goes from the pixels of the photograph to poses in it.
The reference runs its own test pipeline. Prints a table in Markdown. `make parity` makes the reference's environment.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rtmo import config
from rtmo.benchmark.predict import KEYS, Bench, all_cases, score_request
from rtmo.benchmark.prediction import DECODE, FIT, NETWORK
from rtmo.benchmark.series import PREDICTION, Case, Row, measure_cases
from rtmo.benchmark.tables import known, markdown, measured, reasons
from rtmo.convert import convert

SIZE = (640, 640)
REFERENCE = "reference"
HEADINGS = ("", FIT, NETWORK, DECODE, PREDICTION, "95th", "of the reference", "of peak", "MiB", "people", "AP")


def main() -> None:
    """Reads the arguments, measures in turns, prints a row for each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="python of the reference's environment")
    parser.add_argument("--checkpoint", type=Path, required=True, help="an RTMO-s of ours")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--exported", type=Path, nargs="*", default=[], help="files of rtmo.export")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--score-thr", type=float, default=0.3)
    parser.add_argument("--without", nargs="*", default=[], help="cases to leave out")
    parser.add_argument("--coco", type=Path, help="folder with annotations/ and val2017/, for the AP of every case")
    arguments = parser.parse_args()
    cfg = composed(arguments)
    given = {name: getattr(arguments, name) for name in ("checkpoint", "image", "score_thr")}
    bench = Bench(**given, image_size=SIZE, device="cpu")
    with TemporaryDirectory() as folder:
        weights = Path(folder) / "converted.pth"
        convert(arguments.checkpoint, weights, to="mmpose")
        request = {"checkpoint": str(weights), "image": str(arguments.image), "score_thr": arguments.score_thr}
        script = Path(__file__).with_name("reference_prediction.py")
        reference = Case(request, (str(arguments.reference), str(script)))
        rows, rates = measure_cases(
            {REFERENCE: reference, **all_cases(bench, cfg)},
            bench.peaks(),
            rounds=arguments.rounds,
            batch=arguments.batch,
            score=score_request(cfg),
        )
    print(table(rows), *reasons(rows), sep="\n")
    print(f"\nPeak: {', '.join(f'{rate:.0f} GFLOP/s in {precision}' for precision, rate in rates.items())}")


def composed(arguments: argparse.Namespace) -> dict[str, Any]:
    """The config of the benchmark with our arguments in it."""
    files = ",".join(str(file.resolve()) for file in arguments.exported)
    overrides = [
        f"exported=[{files}]",
        "paths.output_dir=unused",
        *(f"cases.{name}=null" for name in arguments.without),
    ]
    if arguments.coco is not None:
        overrides += ["data=coco", f"paths.data_dir={arguments.coco.resolve().parent}", "image_size=[640,640]"]
    return config.validate(config.compose("benchmark_predict", overrides), "benchmark_predict", KEYS)


def table(rows: list[Row]) -> str:
    """Markdown, a row for each case: medians in ms."""
    slowest = next((row.milliseconds[PREDICTION].median_ms for row in measured(rows) if row.name == REFERENCE), None)
    lines = []
    for row in measured(rows):
        prediction = row.milliseconds[PREDICTION]
        times = [f"{row.milliseconds[part].median_ms:.1f}" for part in (FIT, NETWORK, DECODE, PREDICTION)]
        ratio = known(None if slowest is None else prediction.median_ms / slowest, ".2f")
        rest = [known(row.share_of_peak, ".0%"), known(row.memory_mib, ".0f"), known(row.people, "d")]
        lines.append(
            [f"{row.name} ({row.description})", *times, f"{prediction.p95_ms:.1f}", ratio, *rest, known(row.ap, ".3f")]
        )
    return markdown(HEADINGS, lines)


if __name__ == "__main__":
    main()
