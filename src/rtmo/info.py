"""What a file holds, or versions and machine for bug reports: ``python -m rtmo.info``; see ``--help``."""

import re
import textwrap
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import psutil
import yaml

from rtmo import config
from rtmo.deploy.description import describe_onnx
from rtmo.errors import InputError
from rtmo.inference.backend import EXPORTED
from rtmo.inference.exported import import_runtime
from rtmo.skeletons import KeypointSet
from rtmo.training.callbacks.run_record import environment, version
from rtmo.training.callbacks.run_summary import STATE
from rtmo.weights.checkpoint import Checkpoint, find, parse_checkpoint
from rtmo.weights.file import read_file
from rtmo.weights.load import load_weights
from rtmo.weights.zoo import MODELS

KEYS = frozenset(("checkpoint", "config"))
WIDTH, INDENT = 100, 18

Facts = dict[str, Any]


@config.main("info", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Prints, as text that can be pasted."""
    if not isinstance(cfg["config"], bool):
        raise InputError(f"config: expected true or false, got {cfg['config']!r}")
    if cfg["checkpoint"] is None:
        if cfg["config"]:
            raise InputError("config=true: of the run that trained a checkpoint; give checkpoint=... too")
        print_facts(facts_of_environment())
        return
    path = find(str(cfg["checkpoint"]))
    facts, of_run = facts_of_onnx(path) if path.suffix == EXPORTED else facts_of_checkpoint(path)
    print_facts(facts)
    if cfg["config"]:
        if of_run is None:
            raise InputError(f"config=true: {path} has no config, as no run of rtmo wrote it; leave config out")
        print("\n" + yaml.safe_dump(of_run, sort_keys=False, allow_unicode=True), end="")


def facts_of_environment() -> Facts:
    """Versions, machine, and what is installed beside; nothing that names the machine or its user."""
    found = environment()
    extras = installed_extras()
    return {
        "rtmo": found["packages"].pop("rtmo") or "not installed, on the path",
        "commit": found["commit"] or "none, not a checkout",
        "python": found["python"],
        "platform": found["platform"],
        "CPU": f"{found['cpu']}, {psutil.cpu_count(logical=False)} cores, {psutil.cpu_count()} threads",
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "torch threads": found["threads"],
        "accelerators": ", ".join(found["accelerators"]) or "none",
        **{package: release or "not installed" for package, release in found["packages"].items()},
        "ONNX Runtime": ", ".join(onnxruntime_providers()) or "no providers",
        "extras": ", ".join(name for name, complete in extras.items() if complete) or "none",
        "not installed": ", ".join(name for name, complete in extras.items() if not complete) or "none",
    }


def onnxruntime_providers() -> list[str]:
    """What ONNX Runtime runs on here; nothing if it is not installed."""
    if version("onnxruntime") is None and version("onnxruntime-gpu") is None:
        return []
    providers: list[str] = import_runtime("onnxruntime", "onnx").get_available_providers()
    return providers


def installed_extras() -> dict[str, bool]:
    """By name of an extra whether all its packages are there; nothing if rtmo itself is not installed."""
    try:
        lines = requires("rtmo") or []
    except PackageNotFoundError:
        return {}
    extras: dict[str, bool] = {}
    for line in lines:
        if found := re.search(r"^([\w.-]+).*extra == ['\"]([\w-]+)['\"]", line):
            package, extra = found.groups()
            extras[extra] = extras.get(extra, True) and version(package) is not None
    return extras


def facts_of_checkpoint(path: Path) -> tuple[Facts, dict[str, Any] | None]:
    """What a file of weights holds, and the config of its run; None if it has none."""
    content = read_file(path)
    checkpoint = parse_checkpoint(content, path)
    model = checkpoint.build_model()
    report = load_weights(model, checkpoint)
    counts = model.parameter_counts()
    parts = ", ".join(f"{part} {counts[part]:,}" for part in ("backbone", "neck", "head", "dcc"))
    trained, published = checkpoint.config or {}, next((e for e in MODELS.values() if e.file == path.name), None)
    facts = {
        "file": f"{path.name}, {path.stat().st_size / 1e6:.1f} MB",
        "kind": kind_of(checkpoint),
        "model": checkpoint.size or "of no published size",
        "decoding": model.decoding,
        "arguments": ", ".join(f"{k}={v}" for k, v in checkpoint.model.items() if k not in ("_target_", "decoding")),
        "parameters": f"{counts['total']:,}: {parts}; {counts['training_only']:,} of them for training only",
        "weights": str(report),
        **facts_of_joints(checkpoint.skeleton, checkpoint.num_keypoints),
    }
    if published is not None:
        ar = "" if published.ar is None else f", AR {published.ar:.3f}"
        facts |= {"data": published.data, "image_size": [published.image_size] * 2}
        facts["published"] = f"AP {published.ap:.3f}, AP50 {published.ap50:.3f}, AP75 {published.ap75:.3f}{ar}"
    if trained:
        facts |= {"data": trained["data_name"], "image_size": trained["image_size"]}
        facts |= {name: trained["module"][name] for name in ("score_thr", "nms_thr")}
    if "epoch" in content:
        facts["saved"] = f"after epoch {content['epoch']}, step {content.get('global_step')}"
    reached = content.get(STATE, {}).get("metrics", {})
    if scores := {name: value for name, value in reached.items() if name.startswith("val/A")}:
        facts["then reached"] = ", ".join(f"{name} {value:.3f}" for name, value in sorted(scores.items()))
    return facts, checkpoint.config


def kind_of(checkpoint: Checkpoint) -> str:
    """Who wrote a file of weights."""
    if checkpoint.config is not None:
        return "checkpoint of a run" if "optimizer_states" in checkpoint.other else "weights of a run"
    return "weights of the reference implementation" if checkpoint.converted else "weights"


def facts_of_onnx(path: Path) -> tuple[Facts, dict[str, Any] | None]:
    """What an exported file says of itself, and the config of the run that trained it; None if it has none."""
    found = describe_onnx(path)
    facts: Facts = {
        "file": f"{path.name}, {path.stat().st_size / 1e6:.1f} MB",
        "kind": "ONNX model of rtmo.export" if found.record else "ONNX model of another program",
        "written by": found.producer or "nobody says",
        "opset": found.opset,
        "inputs": "; ".join(f"{name} {shape}" for name, shape in found.inputs.items()),
        "outputs": "; ".join(f"{name} {shape}" for name, shape in found.outputs.items()),
    }
    if (record := found.record) is None:
        return facts, None
    facts |= {name: getattr(record, name) for name in ("form", "precision", "image_size", "score_thr", "nms_thr")}
    facts |= {"images": "BGR, 0 to 255, letterboxed in the middle, 114 around", "source": record.source.get("file")}
    return {**facts, **facts_of_joints(record.skeleton, record.skeleton.num_keypoints)}, record.source.get("config")


def facts_of_joints(skeleton: KeypointSet | None, num_keypoints: int) -> Facts:
    """Names, pairs, limbs and constants of joints."""
    if skeleton is None:
        return {"skeleton": f"{num_keypoints} joints, which the file does not name"}
    sigmas = zip(skeleton.joints, skeleton.oks_sigmas, strict=True)
    return {
        "skeleton": f"{skeleton.name}, {num_keypoints} joints",
        "joints (sigma)": ", ".join(f"{joint} ({sigma:g})" for joint, sigma in sigmas),
        "pairs": ", ".join(f"{left} - {right}" for left, right in skeleton.flip_pairs) or "none",
        "limbs": ", ".join(f"{one} - {other}" for one, other in skeleton.limbs) or "none",
    }


def print_facts(facts: Mapping[str, Any]) -> None:
    """A line for each, longer ones wrapped."""
    for name, value in facts.items():
        text = textwrap.wrap(str(value), WIDTH - INDENT, break_on_hyphens=False) or [""]
        print(f"{name:{INDENT}}{text[0]}", *text[1:], sep="\n" + " " * INDENT)


if __name__ == "__main__":
    main()
