"""Run folders as records: what trainings and evaluations left behind, also those that failed."""

import csv
import glob
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from rtmo.errors import InputError
from rtmo.training.batch_plan import plan_batch

FINISHED = "finished"
# One of them makes a run folder; a job of a sweep begins with job.json.
MARKS = ("summary.json", "config.yaml", "environment.json", "metrics.csv", "error.txt", "job.json")
CONFIG_KEYS = ("seed", "skeleton", "image_size", "nominal_batch", "phases", "model", "data", "trainer")  # read here

Curve = list[tuple[int, float]]  # optimiser steps done, value


@dataclass(frozen=True)
class Run:
    """One folder of a training or an evaluation.

    Attributes:
        folder: Where it lies.
        name: Its path below the folder that all runs of a report share.
        state: ``FINISHED``, or why it has no results.
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
        return "evaluation" if self.summary and "steps" not in self.summary else "training"

    @property
    def finished(self) -> bool:
        return self.state == FINISHED

    @property
    def seed(self) -> int | None:
        return self.config.get("seed")

    @property
    def scores(self) -> dict[str, float]:
        """Figures of the last validation; those of further data sets carry their names, as ``crowdpose/AP``."""
        metrics = self.summary.get("metrics", {})
        prefix = "" if self.kind == "evaluation" else "val/"
        named = {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}
        return {name: value for name, value in named.items() if value >= 0}  # COCO's -1: nobody of that size

    @property
    def images_per_step(self) -> int:
        """Images that an optimiser step of a training sees."""
        devices = self.environment.get("world_size", 1)
        return plan_batch(self.config["data"]["batch_size"], devices, self.config["nominal_batch"]).total

    @property
    def images(self) -> int | None:
        """Images that training saw; None for an evaluation."""
        return self.summary["steps"] * self.images_per_step if self.config else None


def find_runs(patterns: Sequence[str]) -> list[Run]:
    """The runs of run folders, of folders that hold some at any depth, or of globs of either.

    Raises:
        InputError: If one of the patterns leads to no run.
    """
    folders: dict[Path, None] = {}
    for pattern in patterns:
        matches = [Path(match) for match in glob.glob(pattern, recursive=True)]
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
    faults: list[str] = []

    def read(file: str, parse: Callable[[str], Any], otherwise: Any) -> Any:
        if not (folder / file).is_file():
            return otherwise
        try:
            return parse((folder / file).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            faults.append(f"{file} cannot be read: {str(error).splitlines()[0]}")
            return otherwise

    config = read("config.yaml", _parse_config, {})
    environment = read("environment.json", _parse_mapping, {})
    job = read("job.json", _parse_mapping, {})
    summary = read("summary.json", _parse_mapping, {})
    curves = read("metrics.csv", _parse_curves, {})
    analysis = read("analysis.json", _parse_mapping, None)
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


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts 10 after 9."""
    return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", str(path))]


def _parse_mapping(text: str) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("expected an object")
    return content


def _parse_config(text: str) -> dict[str, Any]:
    config = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if not isinstance(config, dict) or (missing := [key for key in CONFIG_KEYS if key not in config]):
        raise ValueError(
            f"no config of rtmo.train, it lacks {', '.join(missing) if isinstance(config, dict) else 'all'}"
        )
    return config


def _parse_curves(text: str) -> dict[str, Curve]:
    """Lightning counts the step that a line belongs to from 0, so that one more is done."""
    curves: dict[str, Curve] = {}
    for line in csv.DictReader(text.splitlines()):
        for column, value in line.items():
            if value and column.startswith(("train/", "val/")):
                curves.setdefault(column, []).append((int(line["step"]) + 1, float(value)))
    return curves
