"""How much faster than pycocotools AP and AR are computed: ``python -m rtmo.benchmark evaluation``."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from rich.console import Console
from rich.table import Table

from rtmo import config
from rtmo.benchmark.latency import interleaved
from rtmo.data.coco_json import write_json
from rtmo.errors import InputError
from rtmo.evaluation.coco import BACKENDS
from rtmo.evaluation.pairs import Annotation
from rtmo.skeletons import KeypointSet, keypoint_set
from rtmo.training.callbacks.run_record import environment

KEYS = frozenset(("output", "images", "detections", "people", "rounds", "skeleton", "seed", "paths"))
NOISE = 0.04  # of a prediction, as a share of the person's size: AP is a third


@config.main("benchmark_evaluation", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Times the evaluators on the same people in turns, compares their figures, prints and writes both."""
    for field in ("images", "detections", "people", "rounds"):
        if not isinstance(cfg[field], int) or cfg[field] < 1:
            raise InputError(f"{field}: expected a whole number from 1 on, got {cfg[field]!r}")
    if not isinstance(cfg["seed"], int) or cfg["seed"] < 0:
        raise InputError(f"seed: expected a whole number from 0 on, got {cfg['seed']!r}")
    skeleton = keypoint_set(cfg["skeleton"])
    people, found = draw_people(skeleton, cfg["images"], cfg["people"], cfg["detections"], cfg["seed"])
    calls = {
        name: partial(evaluate, people, found, oks_sigmas=skeleton.oks_sigmas, max_detections=20)
        for name, evaluate in BACKENDS.items()
    }
    figures = {name: call() for name, call in calls.items()}
    latencies = interleaved(calls, rounds=cfg["rounds"], warmup=0)
    ratio = latencies["pycocotools"].median_ms / latencies["numpy"].median_ms
    difference = max(abs(figures["numpy"][name] - figures["pycocotools"][name]) for name in figures["numpy"])

    table = Table(
        "evaluator", "median, ms", "AP", "AR", title=f"{cfg['images']} images, {cfg['detections']} predictions each"
    )
    for name, latency in latencies.items():
        table.add_row(name, f"{latency.median_ms:.0f}", f"{figures[name]['AP']:.4f}", f"{figures[name]['AR']:.4f}")
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(f"{ratio:.1f} times as fast; the ten figures differ by {difference:.1g} at most")
    record = {
        "milliseconds": {name: asdict(latency) for name, latency in latencies.items()},
        "times_as_fast": ratio,
        "figures": figures,
        "largest_difference": difference,
        "settings": {key: cfg[key] for key in ("images", "detections", "people", "rounds", "skeleton", "seed")},
        "environment": environment(),
    }
    output = Path(cfg["output"])
    write_json(output, record, label=f"output={output}", indent=2)
    console.print(f"written to {output}")


def draw_people(
    skeleton: KeypointSet, num_images: int, most_people: int, num_detections: int, seed: int
) -> tuple[dict[int, list[Annotation]], dict[int, Float[np.ndarray, "_ D"]]]:
    """Ground truth and predictions of random images: everybody found nearly, the rest of the predictions of nobody."""
    rng = np.random.default_rng(seed)
    people, found = {}, {}
    for image_id in range(num_images):
        sizes = rng.choice((20, 80, 300), rng.integers(0, most_people + 1))  # px: small, medium, large
        shape = (len(sizes), skeleton.num_keypoints, 2)
        points = rng.uniform(0, 300, (len(sizes), 1, 2)) + sizes[:, None, None] * rng.uniform(0, 1, shape)
        people[image_id] = [_annotation(each, rng.integers(0, 3, skeleton.num_keypoints)) for each in points]
        near = points + sizes[:, None, None] * rng.normal(0, NOISE, shape)
        others = rng.uniform(0, 400, (num_detections, *shape[1:]))
        scores = np.concatenate([rng.uniform(0.3, 1, len(near)), rng.uniform(0, 0.5, len(others))])
        found[image_id] = _rows(np.concatenate([near, others])[:num_detections], scores[:num_detections])
    return people, found


def _annotation(points: Float[np.ndarray, "K 2"], flags: np.ndarray) -> Annotation:
    (left, top), (width, height) = points.min(axis=0), np.ptp(points, axis=0)
    return {
        "keypoints": np.column_stack([points, flags]).ravel(),
        "bbox": (left, top, width, height),
        "area": width * height / 2,
        "iscrowd": 0,
        "num_keypoints": int((flags > 0).sum()),
    }


def _rows(points: Float[np.ndarray, "N K 2"], scores: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N D"]:
    scored = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2).reshape(len(points), -1)
    return np.column_stack([scores, scored, np.prod(np.ptp(points, axis=1), axis=1)])
