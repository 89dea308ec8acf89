"""Weights under our names or the reference's: ``python -m rtmo.convert``; ``--help`` lists what can be set."""

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rtmo import config
from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet, keypoint_set
from rtmo.weights.checkpoint import Checkpoint, find, read_checkpoint
from rtmo.weights.file import RECORD, check_suffix, write_file
from rtmo.weights.load import LoadReport, load_weights
from rtmo.weights.reference import CONSTANTS, describe_joints, reference_constants, to_reference

KEYS = frozenset(("input", "output", "to", "skeleton", "report"))

log = logging.getLogger(__name__)


@config.main("convert", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Converts, and prints what became of every entry."""
    output = Path(cfg["output"])
    skeleton = None if cfg["skeleton"] is None else keypoint_set(cfg["skeleton"])
    report = convert(cfg["input"], output, cfg["to"], skeleton)
    print(f"{output} ({output.stat().st_size / 1e6:.1f} MB)", *str(report).split("; "), sep="\n  ")
    if cfg["report"] is not None:
        write_report(Path(cfg["report"]), report)


def convert(source: str | Path, output: Path, to: str, skeleton: KeypointSet | None = None) -> LoadReport:
    """Writes a checkpoint under other names.

    Args:
        source: A file, or the name of a published model.
        output: Its suffix decides the format.
        to: ``rtmo`` or ``mmpose``.
        skeleton: Joints of a file that does not name them.

    Raises:
        InputError: If an argument cannot be used, or the file is no RTMO's.
    """
    if to not in ("rtmo", "mmpose"):
        raise InputError(f"to={to}: choose rtmo or mmpose")
    check_suffix(output)
    checkpoint = read_checkpoint(find(source, "input"))
    joints = joints_of(checkpoint, skeleton)
    if to == "mmpose" and (decoding := checkpoint.model.get("decoding", "dcc")) != "dcc":
        raise InputError(f"to=mmpose: {checkpoint.path} decodes by {decoding}; mmpose knows RTMO with its dcc only")
    model = checkpoint.build_model()
    report = load_weights(model, checkpoint)  # refuses what is no whole network before anything is written
    record = {
        "model": checkpoint.model,
        **({"skeleton": joints.to_plain()} if joints else {}),
        **({"config": checkpoint.config} if checkpoint.config else {}),
    }
    weights = {name: checkpoint.state_dict[name] for name in model.state_dict() if name in checkpoint.state_dict}
    if to == "rtmo":
        write_file(output, {**weights, **checkpoint.constants}, {RECORD: record})
        return report
    if report.fresh:
        log.warning("%s: lacks %s; mmpose loads it with strict=False only", checkpoint.path, ", ".join(report.fresh))
    constants = dict(checkpoint.constants)
    if joints is not None:
        constants = reference_constants(model, joints.oks_sigmas) | constants
    elif missing := [name for name in CONSTANTS if name not in constants]:
        raise InputError(
            f"{checkpoint.path}: lacks {', '.join(missing)}, which mmpose stores and which follow from the joints; "
            "name them with skeleton=, a built-in set or a .yaml file"
        )
    meta = {"dataset_meta": describe_joints(joints)} if joints else {}
    write_file(output, to_reference(weights, constants), {"meta": meta, RECORD: record})
    return report


def joints_of(checkpoint: Checkpoint, skeleton: KeypointSet | None) -> KeypointSet | None:
    """The joints that a file names, or else those given.

    Raises:
        InputError: If what is given contradicts the file.
    """
    own = checkpoint.skeleton
    if skeleton is None or own == skeleton:
        return own
    if own is not None or skeleton.num_keypoints != checkpoint.num_keypoints:
        named = "others than the given ones" if own is None else f"those of {own.name}"
        raise InputError(
            f"skeleton={skeleton.name}: {checkpoint.path} has {checkpoint.num_keypoints} joints, {named}; leave "
            "skeleton out, or give as many"
        )
    return skeleton


def write_report(path: Path, report: LoadReport) -> None:
    """Every entry of the file and what became of it, as JSON.

    Raises:
        InputError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(report), indent=2) + "\n")
    except OSError as error:
        raise InputError(f"report={path}: cannot be written ({error}); the conversion itself is done") from error


if __name__ == "__main__":
    main()
