"""Training samples a second of rtmo and of the reference, in turns, on the same COCO photographs.

    python scripts/parity/data_speed.py --reference .venv-parity/bin/python --coco data/coco

One process each, OpenCV on one thread, the published augmentation of RTMO-s at 640 px.
Ours includes collating batches. `make parity` makes the reference's environment.
"""

import argparse
import statistics
import subprocess
from pathlib import Path

from rtmo import config
from rtmo.benchmark.data import KEYS, make_datasets, run_samples
from rtmo.data.pipeline import TrainDataset
from rtmo.data.process import prepare_process
from rtmo.skeletons import COCO17
from rtmo.targets import build

SIZE = (640, 640)
OPTIONS = ("data=coco", "augment=mosaic", f"image_size=[{SIZE[0]},{SIZE[1]}]")


def main() -> None:
    """Reads the arguments, measures in turns, prints a row for each side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="python of the reference's environment")
    parser.add_argument("--coco", type=Path, required=True, help="folder with annotations/ and train2017/")
    parser.add_argument("--samples", type=int, default=200, help="in each round")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    datasets = our_datasets(arguments.coco)
    prepare_process()
    for dataset in datasets.values():
        run_samples(dataset, 0, arguments.samples)
    seconds: dict[str, list[float]] = {name: [] for name in ("reference", *datasets)}
    script = Path(__file__).with_name("reference_samples.py")
    with subprocess.Popen(
        [arguments.reference, script, arguments.coco], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reference:
        assert reference.stdin is not None
        assert reference.stdout is not None
        while reference.stdout.readline() != "ready\n":
            pass
        for turn in range(arguments.rounds + 1):
            print(arguments.samples, file=reference.stdin, flush=True)
            taken = {"reference": float(reference.stdout.readline())}
            taken |= {name: run_samples(dataset, turn, arguments.samples) for name, dataset in datasets.items()}
            for name, value in taken.items():
                seconds[name] += [value] if turn else []  # the first one warms up
        reference.stdin.close()
    slowest = statistics.median(seconds["reference"])
    for name, times in seconds.items():
        median = statistics.median(times)
        spread = f"{arguments.samples / max(times):.1f} to {arguments.samples / min(times):.1f}"
        print(
            f"{name:12} {arguments.samples / median:6.1f} images/s ({spread}), {slowest / median:.1f} x the reference"
        )


def our_datasets(coco: Path) -> dict[str, TrainDataset]:
    """Without and with a cache that holds all images."""
    cfg = config.compose(
        "benchmark_data", [*OPTIONS, f"paths.data_dir={coco.resolve().parent}", "paths.output_dir=unused"]
    )
    plain = config.validate(cfg, "benchmark_data", KEYS)
    source = build(plain["data"]["train"], "data.train", COCO17)
    augment = {name: build(plain["augment"][name], f"augment.{name}", COCO17) for name in ("main", "light")}
    ours, cached = make_datasets(source, augment, plain).values()
    return {"ours": ours, "ours, cached": cached}


if __name__ == "__main__":
    main()
