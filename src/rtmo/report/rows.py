"""Runs that differ only in seed and place make one row of a report, labeled by what sets it apart from the others."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtmo.errors import InputError
from rtmo.report.runs import Run
from rtmo.targets import did_you_mean

# Parts of a config that do not change what is learned: a resumed run is the one that it goes on from.
IGNORED = ("seed", "name", "paths", "logger", "ckpt_path")
DEFAULT = "default"  # label of the row without overrides
ABSENT = "-"  # shown for a key that a config lacks
LONGEST_LABEL = 80  # characters
SETTINGS = ("flip_test", "image_size", "score_thr", "nms_thr", "metric", "skeleton")  # of an evaluation

Flat = dict[str, Any]  # values by dotted key


@dataclass(frozen=True)
class Row:
    """Runs of the same config.

    Attributes:
        label: What sets them apart from other rows.
        config: What they share, flat, without seed and places; empty if no run has a config.
        runs: All of them, also those that failed.
    """

    label: str
    config: Flat
    runs: tuple[Run, ...]

    @property
    def finished(self) -> list[Run]:
        return [run for run in self.runs if run.finished]

    @property
    def analyses(self) -> list[Mapping[str, Any]]:
        """Contents of analysis.json, of those finished runs that have one."""
        return [run.analysis for run in self.finished if run.analysis is not None]

    @property
    def score_names(self) -> list[str]:
        return sorted({name for run in self.finished for name in run.scores})

    def values(self, name: str) -> list[float]:
        """A score of every finished run that has it."""
        return [run.scores[name] for run in self.finished if name in run.scores]


def make_rows(runs: Sequence[Run]) -> list[Row]:
    """Groups runs, in the order of the first of each."""
    seed_keys = _seed_keys(runs)
    configs = [_comparable(run, seed_keys) for run in runs]
    by_overrides = {tuple(own_overrides(run)): config for run, config in zip(runs, configs, strict=True) if config}
    groups: dict[str, tuple[Flat, list[Run]]] = {}
    for run, own in zip(runs, configs, strict=True):
        # a job that was refused left no config: its command line tells which row it was meant for
        config = own or (by_overrides.get(tuple(own_overrides(run)), {}) if run.overrides else {})
        what = config or own_overrides(run) or (_evaluated(run) if run.kind == "evaluation" else run.name)
        key = json.dumps(what, sort_keys=True, default=str)
        groups.setdefault(key, (config, []))[1].append(run)
    labels = _labels([members for _, members in groups.values()], [config for config, _ in groups.values()])
    return [
        Row(label, config, tuple(members)) for label, (config, members) in zip(labels, groups.values(), strict=True)
    ]


def choose_baseline(rows: Sequence[Row], chosen: str | None) -> Row:
    """The row that others are compared with: the one named, else that without overrides, else the first.

    Args:
        chosen: A label, or a part of one that no other label has.

    Raises:
        InputError: If it names no row, or several.
    """
    labels = [row.label for row in rows]
    if chosen is None:
        return rows[labels.index(DEFAULT) if DEFAULT in labels else 0]
    named = [row for row in rows if row.label == chosen] or [row for row in rows if chosen in row.label]
    if len(named) != 1:
        count = "several rows" if named else "no row"
        raise InputError(f"baseline={chosen}: names {count}; {did_you_mean(chosen, labels)}")
    return named[0]


def differences(configs: Sequence[Flat]) -> dict[str, list[Any]]:
    """The values of keys in which configs differ, in the order of the configs; ``ABSENT`` where one lacks a key.

    A key that ends with another and always has its value, as ``data.image_size`` that of ``image_size``, is left out.
    """
    keys = dict.fromkeys(key for config in configs for key in config)
    table = {key: [config.get(key, ABSENT) for config in configs] for key in keys}
    changed = {key: values for key, values in table.items() if any(value != values[0] for value in values)}

    def follows(key: str) -> bool:
        return any(key.endswith(f".{other}") and changed[key] == values for other, values in changed.items())

    return {key: values for key, values in changed.items() if not follows(key)}


def shared(configs: Sequence[Flat]) -> Flat:
    """What all configs say alike."""
    first = configs[0] if configs else {}
    return {key: value for key, value in first.items() if all(config.get(key, ABSENT) == value for config in configs)}


def flatten(node: Any, key: str = "") -> Flat:
    """Dotted keys of everything below a node; lists and empty mappings are values."""
    if not isinstance(node, Mapping) or not node:
        return {key: node}
    flat: Flat = {}
    for name, value in node.items():
        flat |= flatten(value, f"{key}.{name}" if key else str(name))
    return flat


def own_overrides(run: Run) -> list[str]:
    """What the command line changed, without seed and places, sorted: their order on the line says nothing."""
    keys = {override: override.lstrip("+~").partition("=")[0] for override in run.overrides}
    return sorted(o for o, key in keys.items() if not _is_ignored(key) and not key.startswith("hydra"))


def _is_ignored(key: str) -> bool:
    return key.partition(".")[0] in IGNORED


def _seed_keys(runs: Sequence[Run]) -> set[str]:
    """Keys that follow ``seed`` in every config; a data set may have a seed of its own, which does not."""
    flats = [(run.seed, flatten(run.config)) for run in runs if run.config]
    names = {key for _, flat in flats for key in flat if key.rpartition(".")[2] == "seed"}
    return {key for key in names if all(flat.get(key, seed) == seed for seed, flat in flats)}


def _comparable(run: Run, seed_keys: set[str]) -> Flat:
    """The flat config without what may differ within a row; paths below the run or its data start with a name."""
    paths = run.config.get("paths", {})
    places = {str(paths[name]): f"<{name}>" for name in ("output_dir", "data_dir") if paths.get(name)}

    def without_place(value: Any) -> Any:
        if isinstance(value, list):
            return [without_place(item) for item in value]
        place = next(
            (place for place in places if isinstance(value, str) and f"{value}/".startswith(f"{place}/")), None
        )
        return value if place is None else places[place] + value[len(place) :]

    flat = flatten(run.config) if run.config else {}
    return {key: without_place(value) for key, value in flat.items() if not _is_ignored(key) and key not in seed_keys}


def _evaluated(run: Run) -> Flat:
    """What an evaluation scored, a checkpoint or a file of results, on what, and how."""
    given = run.summary
    what, data = given.get("checkpoint", given.get("results")), given.get("data", given.get("annotations"))
    return {"what": what, "data": data, **{name: given.get(name) for name in SETTINGS}}


def _labels(groups: Sequence[Sequence[Run]], configs: Sequence[Flat]) -> list[str]:
    """Trainings by overrides if they tell all apart, else by configs, else by folder; evaluations by what they did."""
    labels = [group[0].name for group in groups]
    evaluations = [index for index, group in enumerate(groups) if group[0].kind == "evaluation"]
    scored = _evaluation_labels([_evaluated(groups[index][0]) for index in evaluations])
    for index, label in zip(evaluations, scored, strict=True):
        labels[index] = label if scored.count(label) == 1 else f"{label} ({labels[index]})"
    known = [index for index, group in enumerate(groups) if configs[index] or group[0].overrides]
    by_overrides = _labels_by_overrides([groups[index] for index in known])
    by_config = _labels_by_config([configs[index] for index in known])
    for candidates in (by_overrides, by_config):
        if len(set(candidates)) == len(known) > 1 and max(map(len, candidates)) <= LONGEST_LABEL:
            for index, label in zip(known, candidates, strict=True):
                labels[index] = label
            break
    return labels


def _labels_by_overrides(groups: Sequence[Sequence[Run]]) -> list[str]:
    """What all runs of a row have and some rows have not; no labels if overrides do not tell what a row is."""
    told = [[set(own_overrides(run)) for run in group if run.environment or run.overrides] for group in groups]
    in_all_runs = [set.intersection(*own) if own else set() for own in told]
    unclear = [not own or (any(own) and not common) for own, common in zip(told, in_all_runs, strict=True)]
    if any(unclear):
        return []
    in_all_rows = set.intersection(*in_all_runs) if in_all_runs else set()
    return [", ".join(sorted(overrides - in_all_rows)) or DEFAULT for overrides in in_all_runs]


def _evaluation_labels(evaluated: Sequence[Flat]) -> list[str]:
    """Ends of paths, which may be the same, and those settings in which evaluations differ."""
    changed = differences([{name: each[name] for name in SETTINGS if name != "flip_test"} for each in evaluated])
    labels = []
    for index, each in enumerate(evaluated):
        what, data = ("/".join(Path(str(each[name])).parts[-3:]) for name in ("what", "data"))
        settings = [f"{name}={values[index]}" for name, values in changed.items() if values[index] is not None]
        flipped = ["flip test"] if each["flip_test"] else []
        labels.append(", ".join([f"evaluation of {what} on {data}", *flipped, *settings]))
    return labels


def _labels_by_config(configs: Sequence[Flat]) -> list[str]:
    changed = differences(configs)
    return [
        ", ".join(f"{key}={values[index]}" for key, values in changed.items() if values[index] != ABSENT)
        for index in range(len(configs))
    ]
