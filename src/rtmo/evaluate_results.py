"""Scores predictions of anybody: ``python -m rtmo.evaluate results=FILE annotations=FILE metric=coco``."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from rtmo.console_tables import print_errors, print_scores
from rtmo.data.coco_json import check_content, pack_people, read_coco, write_json
from rtmo.data.coco_results import read_results
from rtmo.data.named_joints import named_keypoint_set, use_usual_names
from rtmo.errors import InputError
from rtmo.evaluation.analysis import analyse
from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.evaluation.crowdpose import CrowdPoseAP
from rtmo.skeletons import CROWDPOSE14, KeypointSet, keypoint_set, usual_name
from rtmo.targets import build, locate

log = logging.getLogger(__name__)


def evaluate_results(cfg: Mapping[str, Any]) -> dict[str, float]:
    """Scores a file in COCO's result format against one of annotations; writes ``summary.json`` and ``analysis.json``.

    Args:
        cfg: As ``rtmo.config.validate`` returns it.

    Returns:
        The figures of the metric, in double precision.

    Raises:
        InputError: If a file cannot be used, or they do not fit each other or the metric.
    """
    started = time.monotonic()
    results, annotations = Path(cfg["results"]), Path(cfg["annotations"])
    skeleton, ground_truth = read_ground_truth(annotations, default_skeleton(cfg))
    metric: CocoKeypointAP = build(cfg["metric"], "metric", skeleton, ground_truth=ground_truth)
    image_ids = [image["id"] for image in ground_truth["images"]]
    found = read_results(
        results,
        image_ids=image_ids,
        category_ids=[category["id"] for category in ground_truth["categories"]],
        num_keypoints=skeleton.num_keypoints,
    )
    metric.update(image_ids, found.poses, found.areas)
    scores = {name: float(value) for name, value in metric.compute().items()}
    folder = Path(cfg["paths"]["output_dir"])
    summary = {
        "results": str(results),
        "annotations": str(annotations),
        "skeleton": skeleton.name,
        "metric": cfg["metric"]["_target_"],
        "images": len(image_ids),
        "predictions": sum(map(len, found.poses)),
        "metrics": scores,
        "seconds": round(time.monotonic() - started, 1),
    }
    analysis = analyse(metric)
    write_json(folder / "analysis.json", analysis, label="paths.output_dir", indent=2)
    write_json(folder / "summary.json", summary, label="paths.output_dir", indent=2)
    console = Console(highlight=False, soft_wrap=True)
    print_errors(console, analysis)
    print_scores(console, scores, f"{results}, {len(image_ids)} images", folder)
    return scores


def default_skeleton(cfg: Mapping[str, Any]) -> KeypointSet | None:
    """The skeleton asked for, else the one that the metric is defined for, else None."""
    if cfg["skeleton"] is not None:
        return keypoint_set(cfg["skeleton"])
    return CROWDPOSE14 if locate(cfg["metric"]["_target_"], "metric") is CrowdPoseAP else None


def read_ground_truth(file: Path, chosen: KeypointSet | None) -> tuple[KeypointSet, dict[str, Any]]:
    """The joints that a file's annotations have, in their order, and its people in COCO's format.

    Args:
        chosen: Gives names and sigmas. Without it they follow from the names that the file's categories list.

    Raises:
        InputError: If the file cannot be used, or has other joints than those chosen.
    """
    if not file.is_file():
        raise InputError(f"annotations={file}: no such file")
    content = read_coco(file, image_dir=file.parent).content
    check_content(file, content)
    skeleton = joints_of(file, content["categories"], chosen)
    categories = [each for each in content["categories"] if each.get("keypoints")] or content["categories"]
    joints = {category["id"]: skeleton.joints for category in categories}
    people = [annotation for annotation in content["annotations"] if annotation["category_id"] in joints]
    pack_people(file, people, joints, skeleton)  # says what is wrong with them, if anything is
    return skeleton, {"images": content["images"], "categories": categories, "annotations": people}


def joints_of(file: Path, categories: list[dict[str, Any]], chosen: KeypointSet | None) -> KeypointSet:
    """The keypoint set of the categories, in their order of joints, which names tell in whatever spelling.

    Raises:
        InputError: If it cannot be told, or is not the chosen one.
    """
    if not categories:
        raise InputError(f"{file}: lists no categories; add the one that its annotations are of")
    orders = {tuple(category["keypoints"]) for category in categories if category.get("keypoints")}
    if len(orders) > 1:
        raise InputError(f"{file}: its categories have different joints; score each category on its own")
    if not orders:
        if chosen is None:
            raise InputError(f"{file}: no category lists its joints under 'keypoints'; say skeleton=..., what they are")
        return chosen
    (order,) = orders
    if chosen is None:
        use_usual_names({"categories": categories})
        chosen, summary = named_keypoint_set({"categories": categories}, file.stem, str(file))
        log.info("%s: %s", file, summary)
    if len(order) != chosen.num_keypoints:
        raise InputError(
            f"skeleton={chosen.name}: has {chosen.num_keypoints} joints, but {file} lists {len(order)}: {list(order)}; "
            "choose the skeleton of these annotations"
        )
    joints = chosen_names(order, chosen)
    unknown = [joint for joint, name in joints.items() if name is None]
    if unknown or len(set(joints.values())) < chosen.num_keypoints:
        raise InputError(
            f"skeleton={chosen.name}: its joints {list(chosen.joints)} are not those that {file} lists: "
            f"{unknown or list(order)}; choose the skeleton of these annotations, or rename their joints"
        )
    renamed = [f"{joint} is {name}" for joint, name in joints.items() if joint != name]
    if renamed:
        log.info("%s: %s", file, ", ".join(renamed))
    names = tuple(str(name) for name in joints.values())
    sigmas = tuple(chosen.oks_sigmas[chosen.joints.index(name)] for name in names)
    return replace(chosen, joints=names, oks_sigmas=sigmas)


def chosen_names(order: Sequence[str], chosen: KeypointSet) -> dict[str, str | None]:
    """What the chosen set calls each joint, None where it has none of that name."""
    known = {usual_name(joint) or joint: joint for joint in chosen.joints} | {joint: joint for joint in chosen.joints}
    if "top_head" in known:
        known.setdefault("head", known["top_head"])  # so CrowdPose's own files call it
    return {joint: known.get(joint, known.get(usual_name(joint) or joint)) for joint in order}
