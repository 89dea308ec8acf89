"""Run folders as records: what trainings and evaluations left behind, also those that failed."""

import csv
import glob
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeGuard

import yaml

from rtmo.errors import InputError
from rtmo.evaluation.joint_errors import KINDS
from rtmo.targets import AUTO
from rtmo.training.batch_plan import plan_batch

FINISHED = "finished"
# One of them makes a run folder; a job of a sweep begins with job.json.
MARKS = ("summary.json", "config.yaml", "environment.json", "metrics.csv", "error.txt", "job.json")

Kinds = Mapping[str, Any]  # types, or unions of them, by dotted key
# What a report reads of each file.
CONFIG: Kinds = {
    "seed": int | None,
    "skeleton": str | dict | None,
    "image_size": list,
    "nominal_batch": int | str | None,
    "model": dict,
    "data.batch_size": int,
    "trainer.max_epochs": int,
    "phases.refine_start": float | int,
    "phases.light_start": float | int,
    "module.score_thr": float | int,
    "module.nms_thr": float | int,
}
EVALUATION: Kinds = {"metrics": dict}
TRAINING: Kinds = {"metrics": dict, "steps": int, "epochs": int}
ANALYSIS: Kinds = {
    "keypoints": dict,
    **{f"errors.keypoints.{kind}": int for kind in KINDS},
    **{f"errors.people.{kind}": int for kind in ("found", "missed", "false_positives")},
    "by_people": list,
    "by_crowding": list,
    "calibration.instance": list,
    "calibration.keypoint": list,
    "calibration.instance_error": float | None,
    "calibration.keypoint_error": float | None,
}

Curve = list[tuple[int, float]]  # optimiser steps done, value


@dataclass(frozen=True)
class Run:
    """One folder of a training or an evaluation.

    Attributes:
        folder: Where it lies.
        name: Its path below the folder that all runs of a report share.
        state: ``FINISHED``, and after it what cannot be read beside the scores; or why it has no results.
        overrides: What the command line changed.
        config: Resolved; empty if the folder has none, as that of an evaluation.
        curves: Columns ``train/...`` and ``val/...`` of metrics.csv.
        analysis: Content of analysis.json; None if there is none.
    """

    folder: Path
    name: str
    state: str
    overrides: tuple[str, ...]
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    summary: Mapping[str, Any]
    curves: Mapping[str, Curve]
    analysis: Mapping[str, Any] | None

    @property
    def kind(self) -> Literal["training", "evaluation"]:
        return "evaluation" if self.summary and not self.config and "steps" not in self.summary else "training"

    @property
    def finished(self) -> bool:
        return self.state.startswith(FINISHED)

    @property
    def seed(self) -> int | None:
        return self.config.get("seed")

    @property
    def scores(self) -> dict[str, float]:
        """Figures of the last validation; those of further data sets carry their names, as ``crowdpose/AP``."""
        metrics = self.summary.get("metrics", {})
        prefix = "" if self.kind == "evaluation" else "val/"
        named = {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}
        return {name: value for name, value in named.items() if is_score(value)}

    @property
    def best_score(self) -> float | None:
        """The best of all validations."""
        best = self.summary.get("best_val_AP")
        return best if is_score(best) else None

    @property
    def images_per_step(self) -> int:
        """Images that an optimiser step of a training sees."""
        devices = self.environment.get("world_size", 1)
        return plan_batch(self.config["data"]["batch_size"], devices, self.config["nominal_batch"]).total

    @property
    def images(self) -> int | None:
        """Images that training saw; None for an evaluation."""
        return self.summary["steps"] * self.images_per_step if self.config else None


def is_score(value: float | None) -> TypeGuard[float]:
    """Whether somebody was there to find: COCO says -1 if not."""
    return value is not None and value >= 0


def find_runs(patterns: Sequence[str]) -> list[Run]:
    """The runs of run folders, of folders that hold some at any depth, or of globs of either.

    Raises:
        InputError: If one of the patterns leads to no run.
    """
    folders: dict[Path, None] = {}
    for pattern in patterns:
        # the folder of a sweep's job may have brackets in its name
        there = [pattern] if Path(pattern).exists() else glob.glob(pattern, recursive=True)
        matches = [Path(match) for match in there]
        if not matches:
            raise InputError(
                f"runs={pattern}: no such folder; give run folders, or folders or globs of them, in quotes"
            )
        found = [run for match in sorted(matches, key=_natural) if match.is_dir() for run in _run_folders(match)]
        if not found:
            raise InputError(
                f"runs={pattern}: no run there, for no folder has one of {', '.join(MARKS)}; give folders that "
                "rtmo.train or rtmo.evaluate wrote"
            )
        folders |= dict.fromkeys(folder.resolve() for folder in found)
    shared = os.path.commonpath([folder.parent for folder in folders])
    return [read_run(folder, folder.relative_to(shared).as_posix()) for folder in folders]


def read_run(folder: Path, name: str) -> Run:
    """What a run folder holds; what cannot be read is part of its state."""
    faults: list[str] = []  # of what every number needs
    lesser: list[str] = []  # of what scores do without

    def read(file: str, parse: Callable[[str], Any], otherwise: Any, faults: list[str] = faults) -> Any:
        if not (folder / file).is_file():
            return otherwise
        try:
            return parse((folder / file).read_text(encoding="utf-8"))
        except (OSError, ValueError, csv.Error, yaml.YAMLError) as error:
            faults.append(f"{file} cannot be read: {str(error).splitlines()[0]}")
            return otherwise

    config = read("config.yaml", _parse_config, {})
    environment = read("environment.json", _parse_mapping, {})
    job = read("job.json", _parse_mapping, {})
    summary = read("summary.json", partial(_parse_summary, needed=TRAINING if config else EVALUATION), {})
    curves = read("metrics.csv", _parse_curves, {}, lesser)
    analysis = read("analysis.json", partial(_parse_mapping, needed=ANALYSIS), None, lesser)
    error = read("error.txt", lambda text: text.strip() or "no message", None)
    state = FINISHED
    if error is not None:
        state = f"failed: {error.splitlines()[-1].removeprefix('error: ')}"
    elif faults:
        state = "; ".join(faults)
    elif not summary:
        state = "no summary.json, so it was stopped or is still running"
    elif not config and "steps" in summary:
        state = "no config.yaml"
    elif lesser:
        state = f"{FINISHED}, but {'; '.join(lesser)}"
    overrides = environment.get("overrides", job.get("overrides", ()))
    return Run(folder, name, state, tuple(overrides), config, environment, summary, curves, analysis)


def _run_folders(folder: Path) -> Iterator[Path]:
    """The folder itself if it is of a run, else those of runs below."""
    if any((folder / mark).is_file() for mark in MARKS):
        yield folder
        return
    for child in sorted(folder.iterdir(), key=_natural):
        if child.is_dir() and not child.name.startswith("."):
            yield from _run_folders(child)


def _natural(path: Path) -> list[tuple[str, int]]:
    """Sorts 10 after 9."""
    return [(text, int(part or 0)) for text, part in re.findall(r"(\D*)(\d*)", str(path))]


def _parse_mapping(text: str, needed: Kinds | None = None) -> dict[str, Any]:
    return _checked(json.loads(text), needed or {})


def _parse_summary(text: str, needed: Kinds) -> dict[str, Any]:
    summary = _parse_mapping(text, needed)
    if unusable := [name for name, value in summary["metrics"].items() if not isinstance(value, float | int)]:
        raise ValueError(f"no usable {', '.join(unusable)}")
    return summary


def _parse_config(text: str) -> dict[str, Any]:
    config = _checked(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), CONFIG)
    if isinstance(nominal := config["nominal_batch"], str) and nominal != AUTO:
        raise ValueError("no usable nominal_batch")
    return config


def _checked(content: Any, needed: Kinds) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError("expected names and values")
    if unusable := [key for key, kind in needed.items() if not isinstance(_value(content, key), kind)]:
        raise ValueError(f"no usable {', '.join(unusable)}")
    return content


def _value(content: Any, key: str) -> Any:
    """The value of a dotted key; ``...``, which no file can hold, if there is none."""
    for name in key.split("."):
        content = content.get(name, ...) if isinstance(content, dict) else ...
    return content


def _parse_curves(text: str) -> dict[str, Curve]:
    """Lightning counts the step that a line belongs to from 0, so that one more is done."""
    curves: dict[str, Curve] = {}
    lines = csv.DictReader(text.splitlines(), restval="")
    for line in lines:
        if "step" not in line or None in line:
            raise ValueError(f"line {lines.line_num} has {'too many fields' if None in line else 'no step'}")
        for column, value in line.items():
            if value and (column.startswith("train/") or (column.startswith("val/") and is_score(float(value)))):
                curves.setdefault(column, []).append((int(line["step"]) + 1, float(value)))
    return curves
