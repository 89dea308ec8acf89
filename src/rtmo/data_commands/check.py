"""Faults of data sets, found before training: ``python -m rtmo.data check``; ``--help`` lists what can be set."""

import inspect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from rtmo import config, config_data
from rtmo.config_data import data_sets
from rtmo.data.coco_json import RawAnnotations, write_json
from rtmo.data.coco_pose import CocoPose
from rtmo.data.described import Node, joint_names, read
from rtmo.data.doctor.examine import DataSet, examine, held_out_images
from rtmo.data.doctor.findings import Finding
from rtmo.data.doctor.images import open_images, refuse_turned, wanted_images
from rtmo.data.doctor.repair import repaired, write_copy
from rtmo.data.shards import ShardedImages
from rtmo.data_commands.console import report_console
from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet, keypoint_set
from rtmo.targets import locate
from rtmo.train import KEYS as TRAIN_KEYS

TARGET, COCO_POSE = "_target_", f"{CocoPose.__module__}.{CocoPose.__qualname__}"
KEYS = TRAIN_KEYS | {"images", "output", "fix", "output_dir", "overwrite"}
DEPTHS = ("decode", "header", "none")
COLOURS = {"error": "red", "warning": "yellow", "info": "dim"}


@dataclass
class Checked:
    """A data set of the command.

    Attributes:
        node: What the config says of it.
        data: None if it could not be read, or has no files.
        held_out: Images that validation has as well, and where.
        findings: What is wrong with it.
    """

    node: Node
    data: DataSet | None
    held_out: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def show_unreadable(cfg: DictConfig) -> None:
    """Shows what keeps the joints of a data set from being read in the table, as all other faults."""
    try:
        config_data.expand(cfg, config.conf_dir() / "source")
    except InputError as error:
        if cfg.skeleton is not None or "root" in cfg.data:
            raise  # it is the config that is wrong
        unread = Checked(
            {}, None, findings=[Finding("annotation_file", 1, (line,)) for line in str(error).splitlines()]
        )
        print_report(report_console(), {"data.train": unread})
        raise InputError("correct that first: nothing else can be checked before") from error


@config.main("data_check", KEYS, prepare=show_unreadable)
def main(cfg: dict[str, Any]) -> None:
    """Checks, prints a table and, if asked, writes copies.

    Raises:
        InputError: If training would refuse a data set or suffer from it.
    """
    console = report_console()
    checked = check(cfg["data"], keypoint_set(cfg["skeleton"]), cfg["images"], console)
    print_report(console, checked)
    if cfg["output"] is not None:
        write_report(Path(cfg["output"]), checked)
    if cfg["fix"]:
        folder = None if cfg["output_dir"] is None else Path(cfg["output_dir"])
        print_copies(console, write_copies(checked, folder, cfg["overwrite"]))
    errors = [finding for one in checked.values() for finding in one.findings if finding.rule.severity == "error"]
    if errors:
        raise InputError(
            f"{sum(finding.count for finding in errors)} errors of {len({finding.kind for finding in errors})} kinds; "
            + ("train on the copies" if cfg["fix"] else "correct them, or write repaired copies with --fix")
        )


def check(data: Node, skeleton: KeypointSet, images: str, console: Console) -> dict[str, Checked]:
    """Examines every data set that a config describes.

    Args:
        data: The config's ``data``.
        images: How closely image files are looked at.

    Returns:
        By key in the config.

    Raises:
        InputError: If ``images`` is none of the choices.
    """
    if images not in DEPTHS:
        raise InputError(f"images={images}: choose one of {', '.join(DEPTHS)}")
    checked = {}
    for key, node in data_sets(data):
        try:
            raw = read(node, key, skeleton)
        except InputError as error:
            checked[key] = Checked(node, None, findings=[Finding("annotation_file", 1, (str(error),))])
            continue
        checked[key] = Checked(node, None if raw is None else opened(raw, node, key, skeleton, images, console))
    validation = [one.data for key, one in checked.items() if one.data is not None and not key.startswith("data.train")]
    for key, one in checked.items():
        if one.data is not None:
            one.held_out = held_out_images(one.data, validation) if key.startswith("data.train") else {}
            one.findings = examine(one.data, one.held_out)
    return checked


def opened(raw: RawAnnotations, node: Node, key: str, skeleton: KeypointSet, images: str, console: Console) -> DataSet:
    """A data set with a look at those of its image files that training opens."""
    choice = {name: node[name] for name in ("drop_empty", "image_ids", "max_images") if node.get(name) is not None}
    packed = issubclass(locate(node[TARGET], key), ShardedImages)  # type: ignore[arg-type]
    positions = [] if packed else wanted_images(raw.content, **choice)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"images of {key}", total=len(positions))
        files = open_images(raw, positions, images, lambda: progress.advance(task))  # type: ignore[arg-type]
    return DataSet(raw, skeleton, joint_names(node), files)


def print_report(console: Console, checked: Mapping[str, Checked]) -> None:
    """A line per data set, and one table of all that was found."""
    for key, one in checked.items():
        console.print(f"[bold]{key}[/bold] {summary(one)}", soft_wrap=True)
    table = Table(show_lines=True, expand=True)
    for name, share in (("data set", 3), ("finding", 6), ("count", 1), ("examples", 9), ("what to do", 6)):
        table.add_column(name, ratio=share, overflow="fold")
    for key, one in checked.items():
        for finding in one.findings:
            rule = finding.rule
            colour = COLOURS[rule.severity]
            what = f"[{colour}]{rule.severity}[/{colour}]: {rule.title}"
            table.add_row(key, what, str(finding.count), _plain("\n".join(finding.examples)), advice(finding))
    console.print(table if table.row_count else "nothing was found")


def summary(one: Checked) -> str:
    """What a data set is, in a line."""
    name = _plain(str(one.node.get("name", "")))
    if one.data is None:
        return f"{name}: not read" if one.findings else f"{name}: no files of its own to check"
    content, count = one.data.raw.content, len(one.data.opened)
    sizes = f"{len(content['images'])} images ({count} opened), {len(content['annotations'])} annotations"
    return f"{name}: {sizes}, {_plain(str(one.data.raw.file))}"


def advice(finding: Finding) -> str:
    """What the user does, or has done."""
    rule = finding.rule
    return rule.advice if rule.repair is None else f"{rule.advice}; --fix {rule.repair}"


def write_report(path: Path, checked: Mapping[str, Checked]) -> None:
    """The report for programs."""
    report = {
        key: {
            "name": one.node.get("name"),
            "file": None if one.data is None else str(one.data.raw.file),
            "findings": [
                {
                    "kind": finding.kind,
                    "severity": finding.rule.severity,
                    "count": finding.count,
                    "title": finding.rule.title,
                    "examples": list(finding.examples),
                    "fix": advice(finding),
                }
                for finding in one.findings
            ],
        }
        for key, one in checked.items()
    }
    write_json(path, report, label=f"output={path}", indent=2)


@dataclass(frozen=True)
class Copy:
    """A repaired copy: its file, what was done how often, and what to say to train on it."""

    file: Path
    done: Counter[str]
    overrides: list[str]


def write_copies(checked: Mapping[str, Checked], output_dir: Path | None, overwrite: bool) -> list[Copy]:
    """Repairs every data set with a fault that has a repair, each into ``<stem>.fixed.json``.

    Args:
        output_dir: Folder of the copies; None: beside the originals.
        overwrite: Whether they may replace files.

    Raises:
        InputError: If one would replace a file, no image would be left, or images are turned by their EXIF header.
    """
    files = Counter(one.data.raw.file for one in checked.values() if one.data is not None)
    repairable = {key for key, one in checked.items() if any(finding.rule.repair for finding in one.findings)}
    copies = []
    for key, one in checked.items():
        # a folder is train and val at once: where one of them has a copy, the other needs one as well
        if one.data is None or not (key in repairable or (repairable and "annotation_file" not in one.node)):
            continue
        refuse_turned(one.data.raw, f"correct {key} by hand instead of --fix")
        original = one.data.raw.file
        stem, split = original.stem, key.removeprefix("data.")
        if "annotation_file" not in one.node:  # within its folder a copy would be taken for annotations of that folder
            original = one.data.raw.image_dir.resolve()
            stem = f"{original.name}.{split}"
        elif files[original] > 1:
            stem = f"{stem}.{split}"
        file = (output_dir or original.parent) / f"{stem}.fixed.json"
        content, done = repaired(one.data, one.held_out)
        write_copy(content, file, overwrite)
        copies.append(Copy(file, done, overrides(key, one.node, file, one.data.raw.image_dir)))
    return copies


def overrides(key: str, node: Node, file: Path, image_dir: Path) -> list[str]:
    """What the command line says to train on a copy instead."""
    if "annotation_file" not in node:
        return ["data=custom", f"{key}.annotation_file={file}", f"{key}.image_dir={image_dir}"]
    accepted = inspect.signature(CocoPose).parameters
    words = [f"++{key}.annotation_file={file}", *(f"~{key}.{name}" for name in node if name not in (*accepted, TARGET))]
    if node[TARGET] != COCO_POSE:
        words.append(f"++{key}.{TARGET}={COCO_POSE}")
    if node.get("first_pixel"):
        words.append(f"++{key}.first_pixel=0")
    return words


def print_copies(console: Console, copies: list[Copy]) -> None:
    """What was written, what was changed, and how to train on it."""
    if not copies:
        console.print("--fix: nothing to repair")
    for copy in copies:
        changes = ", ".join(f"{number} {what}" for what, number in copy.done.items()) or "nothing changed"
        console.print(f"{copy.file}: {changes}", soft_wrap=True, markup=False)
    if copies:
        words = dict.fromkeys(word for copy in copies for word in copy.overrides)
        console.print("to train on them:", *words, soft_wrap=True, markup=False)


def _plain(text: str) -> str:
    """Text in which rich sees no markup."""
    return text.replace("[", r"\[")


if __name__ == "__main__":
    main()
