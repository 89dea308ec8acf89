"""Both sides of every comparison, and how far apart they are."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import ours
import torch
from cases import CONSTANT_RATE, MODELS, NUM_IMAGES, Run
from safetensors.torch import load_file
from torch import Tensor

import rtmo
from rtmo.convert import convert
from rtmo.weights.checkpoint import read_checkpoint
from rtmo.weights.reference import reference_constants, to_reference_key

PEOPLE_FIELDS = ("heatmap_x", "heatmap_y", "keypoints", "bboxes", "scores", "keypoint_scores")


@dataclass(frozen=True)
class FileResult:
    """What conversion to our names and back does to a file of the reference.

    Attributes:
        tensors: How many it holds.
        changed: Those whose name, type, shape or bytes are others afterwards.
        constants_changed: Of what the reference stores and we derive, those that we derive with other bytes.
    """

    model: str
    tensors: int
    changed: int
    constants_changed: int


@dataclass(frozen=True)
class OutputResult:
    """Largest difference of every tensor, in units of the reference's largest value.

    Attributes:
        people: Found by both in all images.
        unmatched: Priors that only one side calls a person.
        differences: By name of the tensor.
    """

    model: str
    side: int
    people: int
    unmatched: int
    differences: dict[str, float]


@dataclass(frozen=True)
class RunResult:
    """A training run on both sides.

    Attributes:
        ours: Losses and gradient norm by name, a record a step.
        reference: Likewise.
        weights: Largest difference afterwards, in units of each tensor's largest value, at least the rate: some biases
            stay near zero, for a norm follows that cancels their gradient. None if not compared.
        average: Likewise, of the moving average.
    """

    run: Run
    ours: list[dict[str, float]]
    reference: list[dict[str, float]]
    weights: float | None
    average: float | None

    def relative(self, name: str, step: int) -> float:
        """Relative difference of a number of a step."""
        return _or_infinite(abs(self.ours[step][name] / self.reference[step][name] - 1))

    @property
    def worst_loss(self) -> float:
        """Largest relative difference of the total loss of any step."""
        return max(self.relative("loss", step) for step in range(self.run.steps))


def compare_file(folder: Path, name: str) -> FileResult:
    """Converts weights of the reference to our names and back, for the reference to read."""
    source, middle, result = (
        folder / "weights" / f"{name}.pth",
        folder / "converted" / f"{name}.safetensors",
        folder / "converted" / f"{name}.pth",
    )
    convert(source, middle, "rtmo")
    convert(middle, result, "mmpose")
    before, after = read_checkpoint(source), read_checkpoint(result)
    tensors = {to_reference_key(key): value for key, value in before.state_dict.items()} | before.constants
    returned = {to_reference_key(key): value for key, value in after.state_dict.items()} | after.constants
    assert before.skeleton is not None
    derived = reference_constants(before.build_model(), before.skeleton.oks_sigmas)
    return FileResult(
        model=name,
        tensors=len(tensors),
        changed=_count_changed(tensors, returned),
        constants_changed=_count_changed(before.constants, derived),
    )


def compare_outputs(folder: Path, name: str, inputs: dict[str, Tensor]) -> list[OutputResult]:
    """What a model says of the images, at every size."""
    model = rtmo.load_model(folder / "weights" / f"{name}.pth")
    stored = load_file(folder / "reference" / f"{name}.safetensors")
    results = []
    for side in MODELS[name]:
        theirs = {key.removeprefix(f"{side}/"): stored[key] for key in stored if key.startswith(f"{side}/")}
        mine = ours.evaluate(model, inputs[f"images/{side}"].float())
        differences = {key: _difference(mine[key], theirs[key]) for key in theirs if not key[0].isdigit()}
        people = unmatched = 0
        for image in range(NUM_IMAGES):
            found, expected = (record.get(f"{image}/prior", torch.empty(0)).tolist() for record in (mine, theirs))
            both = set(found) & set(expected)
            people, unmatched = people + len(both), unmatched + len(set(found) ^ set(expected))
            for field in PEOPLE_FIELDS if both else ():
                a, b = (
                    record[f"{image}/{field}"][[priors.index(prior) for prior in both]]
                    for record, priors in ((mine, found), (theirs, expected))
                )
                differences[field] = max(differences.get(field, 0.0), _difference(a, b))
        results.append(OutputResult(name, side, people, unmatched, differences))
    return results


def compare_run(folder: Path, run: Run, inputs: dict[str, Tensor]) -> RunResult:
    """Trains as the reference did."""
    path = folder / "weights" / f"{run.model}.pth"
    history, change = ours.train(run, path, inputs)
    stored = folder / "reference" / f"{run.name}.json"
    weights: dict[str, float] = {}
    if run.keeps_weights:
        start = read_checkpoint(path).state_dict
        theirs = load_file(stored.with_suffix(".safetensors"))
        for name, value in start.items():
            if value.is_floating_point():
                for prefix in ("", "average/"):
                    key = prefix + to_reference_key(name)
                    scale = (value + theirs[key]).abs().max().clamp(min=CONSTANT_RATE)
                    error = (change[key] - theirs[key]).abs().max() / scale
                    weights[prefix] = max(weights.get(prefix, 0.0), _or_infinite(float(error)))
    print(f"rtmo: {run.name}", flush=True)
    return RunResult(run, history, json.loads(stored.read_text()), weights.get(""), weights.get("average/"))


def _count_changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> int:
    return sum(
        name not in before or name not in after or not _identical(before[name], after[name])
        for name in before.keys() | after.keys()
    )


def _identical(a: Tensor, b: Tensor) -> bool:
    def as_bytes(tensor: Tensor) -> bytes:
        return tensor.contiguous().numpy().tobytes()

    return a.dtype == b.dtype and a.shape == b.shape and as_bytes(a) == as_bytes(b)


def _difference(a: Tensor, b: Tensor) -> float:
    return _or_infinite(float((a - b).abs().max() / b.abs().max()))


def _or_infinite(difference: float) -> float:
    """NaN is the largest of all differences; ``max`` would lose it."""
    return difference if math.isfinite(difference) else math.inf
