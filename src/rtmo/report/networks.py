"""The networks of rows: how large they are, and how fast beside each other on this machine."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rtmo.benchmark.latency import Latency, interleaved
from rtmo.data.synthetic.source import SyntheticPeople
from rtmo.errors import InputError
from rtmo.hub import load_model
from rtmo.inference.torch_backend import choose_device
from rtmo.models.rtmo import RTMO
from rtmo.report.rows import Row
from rtmo.report.runs import Run
from rtmo.skeletons import keypoint_set
from rtmo.targets import build, refuse_foreign_packages
from rtmo.types import Poses


@dataclass(frozen=True)
class Timing:
    """Latency of a row's network.

    Attributes:
        people: How many it found in the picture: decoding takes longer the more there are.
        weights: Where its weights come from.
    """

    latency: Latency
    people: int
    weights: str


@dataclass(frozen=True)
class Timings:
    """Latencies by row label, and how they were measured."""

    by_label: Mapping[str, Timing]
    conditions: str


def count_parameters(row: Row) -> int | None:
    """Parameters that inference needs; None without a config.

    Raises:
        InputError: If the config describes a network that cannot be built here.
    """
    configured = [run for run in row.runs if run.config]
    if not configured:
        return None
    with torch.device("meta"):
        counts = _build_network(configured[0]).parameter_counts()
    return counts["total"] - counts["training_only"]


def measure_latencies(rows: Sequence[Row], rounds: int, device: str) -> tuple[Timings, list[str]]:
    """Times forward pass and decoding of one image of every row in turns, in this process.

    The image is one of drawn people of the size that the row validates on.

    Returns:
        The latencies, and which networks could not be built, in sentences.

    Raises:
        InputError: If there is no such device.
    """
    target = choose_device(device)
    calls: dict[str, Callable[[], Poses]] = {}
    weights: dict[str, str] = {}
    faults = []
    for row in rows:
        configured = [run for run in row.finished if run.config]
        if not configured:
            continue
        try:
            weights[row.label], calls[row.label] = _prepare(configured, target)
        except InputError as error:
            faults.append(f"Latency of {row.label} is unknown. {error}")
    times = interleaved(calls, rounds=rounds)
    by_label = {label: Timing(times[label], len(calls[label]().scores), weights[label]) for label in calls}
    name = torch.cuda.get_device_name(target) if target.type == "cuda" else f"{target.type} ({platform.machine()})"
    conditions = f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}, batch 1, {rounds} rounds"
    return Timings(by_label, conditions), faults


def _prepare(runs: Sequence[Run], device: torch.device) -> tuple[str, Callable[[], Poses]]:
    trained = next((run for run in runs if _best(run).is_file()), None)
    model = _build_network(runs[0]) if trained is None else load_model(_best(trained))
    settings = runs[0].config
    thresholds = {name: settings["module"][name] for name in ("score_thr", "nms_thr")}
    model = model.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    image = _drawn_people(settings["image_size"]).to(device, memory_format=torch.channels_last)
    origin = "fresh" if trained is None else f"best of {trained.name}"
    return origin, partial(_find_people, model, image, **thresholds)


def _find_people(model: RTMO, image: Tensor, score_thr: float, nms_thr: float) -> Poses:
    with torch.inference_mode():
        return model.decode(model(image), score_thr, nms_thr)[0].to("cpu")  # which waits for a GPU to be done


def _drawn_people(image_size: Sequence[int]) -> Tensor:
    height, width = image_size
    image = np.asarray(SyntheticPeople(num_images=1, image_size=(height, width), seed=0).load(0).image)
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


def _build_network(run: Run) -> RTMO:
    description = run.config["model"]
    refuse_foreign_packages({"model": description}, str(run.folder / "config.yaml"))
    model = build(description, "model", keypoint_set(run.config["skeleton"]))
    if not isinstance(model, RTMO):
        raise InputError(f"{run.folder / 'config.yaml'}: model is no RTMO")
    return model


def _best(run: Run) -> Path:
    return run.folder / "checkpoints" / "best.ckpt"
