"""Run folders with known numbers, as a training leaves them."""

import copy
import csv
import json
from pathlib import Path
from typing import Any

import yaml
from networks import SMALL
from PIL import Image

CONFIG: dict[str, Any] = {
    "model_name": "rtmo_n",
    "data_name": "synthetic",
    "name": "planted",
    "seed": 0,
    "skeleton": "coco17",
    "image_size": [64, 96],
    "nominal_batch": None,
    "ckpt_path": None,
    "phases": {"_target_": "rtmo.phases.Phases", "refine_start": 0.5, "light_start": 0.75},
    "model": {"_target_": "rtmo.models.rtmo.RTMO", **SMALL},
    "data": {"batch_size": 8, "seed": 0, "image_size": [64, 96], "train": {"seed": 1}},
    "module": {"score_thr": 0.1, "nms_thr": 0.65},
    "optimizer": {"lr": 0.001},
    "trainer": {"max_epochs": 4},
    "logger": {"csv": {"save_dir": "somewhere"}},
}
ANALYSIS: dict[str, Any] = {
    "keypoints": {
        "nose": {"labeled": 10, "oks": 0.9, "pck": 0.8},
        "left_ankle": {"labeled": 5, "oks": 0.5, "pck": 0.4},
    },
    "errors": {
        "keypoints": {"good": 6, "jitter": 2, "inversion": 1, "swap": 1, "miss": 0},
        "people": {"found": 7, "missed": 3, "false_positives": 2},
    },
    "by_people": [{"people": "1", "images": 4, "AP": 0.7}, {"people": "2", "images": 2, "AP": 0.4}],
    "by_crowding": [{"crowding": "0.0-0.1", "images": 6, "AP": 0.6}],
    "calibration": {
        "instance": [{"score": 0.2, "oks": 0.3, "count": 5}, {"score": 0.9, "oks": 0.7, "count": 5}],
        "keypoint": [{"score": 0.5, "labeled": 0.5, "count": 9}],
        "instance_error": 0.15,
        "keypoint_error": 0.0,
    },
}
STEPS, EPOCHS = 40, 4


def plant(
    folder: Path,
    *,
    seed: int = 0,
    ap: float = 0.5,
    overrides: tuple[str, ...] = (),
    changes: dict[str, Any] | None = None,
    environment: dict[str, Any] | None = None,
    analysis: bool = False,
) -> Path:
    """A finished training: AP rises by steps of a quarter to ``ap``; the loss of step s is 10 - s / 10 + seed.

    Args:
        changes: Of the config, by dotted key.
    """
    config = copy.deepcopy(CONFIG)
    paths = {"output_dir": str(folder), "data_dir": "data"}
    for key, value in {"seed": seed, "data.seed": seed, "paths": paths, **(changes or {})}.items():
        *parents, name = key.split(".")
        node = config
        for parent in parents:
            node = node[parent]
        node[name] = value
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    record = {"overrides": [*overrides, f"seed={seed}"], "commit": "0123456789abcdef", **(environment or {})}
    (folder / "environment.json").write_text(json.dumps(record))
    summary = {
        "metrics": {"val/AP": ap, "val/AP50": ap + 0.1, "val/APL": -1.0, "train/loss": 6.0 + seed},
        **{"epochs": EPOCHS, "steps": STEPS, "total_seconds": 100.0, "images_per_second": 4.0},
        **{"peak_memory_mib": 500.0, "best_val_AP": ap + 0.01},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    write_metrics(folder / "metrics.csv", seed, ap)
    if analysis:
        (folder / "analysis.json").write_text(json.dumps(ANALYSIS))
    return folder


def write_metrics(file: Path, seed: int, ap: float) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["epoch", "lr", "step", "train/loss", "train/loss_oks", "val/AP"])
        writer.writeheader()
        for step in range(STEPS):
            loss = 10 - (step + 1) / 10 + seed
            writer.writerow({"lr": 0.1, "step": step})
            writer.writerow({"epoch": step // 10, "step": step, "train/loss": loss, "train/loss_oks": loss / 2})
            if step % 10 == 9:
                writer.writerow({"epoch": step // 10, "step": step, "val/AP": ap * (step + 1) / STEPS})


def plant_refused(folder: Path, *overrides: str) -> Path:
    """A job of a sweep that did not come so far as to train."""
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"overrides": list(overrides), "state": "refused"}))
    (folder / "error.txt").write_text("error: no such thing\n")
    return folder


def plant_worst(run: Path, images: int) -> None:
    """``images/worst.json`` and its pictures, each of another grey."""
    folder = run / "images" / "worst"
    folder.mkdir(parents=True)
    listed = []
    for rank in range(images):
        file = f"{rank:02d}_{100 + rank}.png"
        Image.new("RGB", (1000, 400), (20 * rank,) * 3).save(folder / file)
        counts = {"people": 2, "found": 1, "missed": 1, "false_positives": 0}
        listed.append({"file": f"worst/{file}", "image_id": 100 + rank, "oks": rank / 10, **counts})
    (folder.parent / "worst.json").write_text(json.dumps(listed))


def plant_sweep(folder: Path) -> Path:
    """Two rows of three seeds, jobs 0 to 5; AP of the first .4, .41, .42, of the second .1 more."""
    for job, (lr, seed) in enumerate((lr, seed) for lr in (0.001, 0.002) for seed in range(3)):
        changed = lr != 0.001
        plant(
            folder / str(job),
            seed=seed,
            ap=0.4 + seed / 100 + changed / 10,
            overrides=("experiment=demo", f"optimizer.lr={lr}") if changed else ("experiment=demo",),
            changes={"optimizer.lr": lr},
            analysis=True,
        )
    return folder
