"""Weights under our names or the reference's: ``python -m rtmo.convert``; ``--help`` lists what can be set."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rtmo import config
from rtmo.errors import InputError
from rtmo.weights.checkpoint import Checkpoint, find, read_checkpoint
from rtmo.weights.file import RECORD, check_suffix, write_file
from rtmo.weights.load import LoadReport, load_weights
from rtmo.weights.reference import CONSTANTS, reference_constants, to_reference

KEYS = frozenset(("input", "output", "to", "report"))


@config.main("convert", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Converts, and prints what became of every entry."""
    output = Path(cfg["output"])
    report = convert(cfg["input"], output, cfg["to"])
    print(f"{output} ({output.stat().st_size / 1e6:.1f} MB)", *str(report).split("; "), sep="\n  ")
    if cfg["report"] is not None:
        Path(cfg["report"]).write_text(json.dumps(asdict(report), indent=2) + "\n")


def convert(source: str | Path, output: Path, to: str) -> LoadReport:
    """Writes a checkpoint under other names.

    Args:
        source: A file, or the name of a published model.
        output: Its suffix decides the format.
        to: ``rtmo`` or ``mmpose``.

    Raises:
        InputError: If an argument cannot be used, or the file is no RTMO's.
    """
    if to not in ("rtmo", "mmpose"):
        raise InputError(f"to={to}: choose rtmo or mmpose")
    check_suffix(output)
    checkpoint = read_checkpoint(find(source, "input"))
    with_place = checkpoint.build_model()
    report = load_weights(with_place, checkpoint)  # refuses what is no whole network before anything is written
    if to == "rtmo":
        write_file(output, {**checkpoint.state_dict, **checkpoint.constants}, {RECORD: _record(checkpoint)})
    else:
        constants = checkpoint.constants
        if missing := set(CONSTANTS) - set(constants):
            if checkpoint.skeleton is None:
                raise InputError(f"{checkpoint.path}: does not tell its OKS constants, which mmpose stores ({missing})")
            constants = reference_constants(with_place, checkpoint.skeleton.oks_sigmas) | constants
        write_file(output, to_reference(checkpoint.state_dict, constants), {"meta": _meta(checkpoint)})
    return report


def _record(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """What ``read_checkpoint`` rebuilds the network from, in plain containers."""
    skeleton = checkpoint.skeleton
    return {
        "model": checkpoint.model,
        **({"skeleton": skeleton.to_plain()} if skeleton else {}),
        **({"config": checkpoint.config} if checkpoint.config else {}),
    }


def _meta(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """Where the weights come from, and the names of the joints as mmpose calls that field."""
    joints = checkpoint.skeleton.joints if checkpoint.skeleton else ()
    return {"dataset_meta": {"keypoint_id2name": dict(enumerate(joints))}} if joints else {}


if __name__ == "__main__":
    main()
