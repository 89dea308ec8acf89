"""Where a network believes joints to be: ``python -m rtmo.figures heatmaps checkpoint=...``; see ``--help``.

Reference: RTMO (arXiv:2312.07526), figure 4.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rtmo import config
from rtmo.data.coco_json import write_json
from rtmo.errors import InputError
from rtmo.figures.found import Found, find_people, nobody_found
from rtmo.figures.network import chosen_joints, image_sample
from rtmo.figures.options import KEYS as SHARED_KEYS
from rtmo.figures.options import THRESHOLDS, check_counts, listed, network_of, prepare, val_source
from rtmo.figures.panels import show_heatmap, show_person, write_figure
from rtmo.skeletons import KeypointSet
from rtmo.types import Sample

KEYS = SHARED_KEYS | THRESHOLDS | {"image", "num_images", "people", "joints"}
JOINTS = 4  # without a choice


@config.main("figures_heatmaps", KEYS, prepare=prepare)
def main(cfg: dict[str, Any]) -> None:
    """Draws a picture an image, and prints the files."""
    check_counts(cfg, ("num_images", "people"))
    network = network_of(cfg)
    joints = chosen_joints(listed(cfg, "joints", str), network.skeleton, JOINTS)
    folder, drawn = Path(cfg["output"]), 0
    for name, sample in samples(cfg, network.skeleton):
        found = find_people(network, sample)
        if len(found) == 0:
            print(f"{name}: nobody scores above {network.score_thr}")
            continue
        drawn += 1
        figure = draw_heatmaps(found, joints, network.skeleton, most_people=cfg["people"])
        print(write_figure(figure, folder / f"heatmaps_{name}.png"))
        record = describe(found, joints, network.skeleton, most_people=cfg["people"])
        write_json(folder / f"heatmaps_{name}.json", record, label=f"output={folder}")
    if not drawn:
        raise nobody_found(network, "in any image")


def samples(cfg: Mapping[str, Any], skeleton: KeypointSet) -> Iterator[tuple[str, Sample]]:
    """The chosen images by a name for their files, or else the first validation images.

    Raises:
        InputError: If two images have the same name, or one cannot be read.
    """
    if paths := [Path(image) for image in listed(cfg, "image", str)]:
        named: dict[str, Path] = {}
        for path in paths:
            if (other := named.setdefault(path.stem, path)) is not path:
                raise InputError(f"image: {other} and {path} would be drawn into the same file; draw one at a time")
        for name, path in named.items():
            yield name, image_sample(path, skeleton.num_keypoints)
        return
    source = val_source(cfg, skeleton)
    for index in range(min(cfg["num_images"], len(source))):
        sample = source.load(index)
        yield str(sample.image_id), sample


def draw_heatmaps(found: Found, joints: Sequence[int], skeleton: KeypointSet, most_people: int = 3) -> Figure:
    """A row for each of the best people: the person in the image, then the heatmap of each joint.

    Raises:
        ValueError: If nobody was found.
    """
    if len(found) == 0:
        raise ValueError("nobody was found, so there is nothing to draw")
    people = range(min(most_people, len(found)))
    figure = Figure(figsize=(2.8 * (1 + len(joints)), 4.2 * len(people)), layout="constrained")
    grid = figure.subplots(len(people), 1 + len(joints), squeeze=False)
    for person, (overview, *panels) in zip(people, grid, strict=True):
        show_person(overview, found, person, skeleton)
        for joint, axes in zip(joints, panels, strict=True):
            show_heatmap(axes, found, person, joint)
            axes.set_title(skeleton.joints[joint].replace("_", " "))
    return figure


def describe(found: Found, joints: Sequence[int], skeleton: KeypointSet, most_people: int = 3) -> list[dict[str, Any]]:
    """What ``draw_heatmaps`` shows: each person's joints with heatmaps; bins are evenly spaced, px of the image."""
    codes = found.codes
    return [
        {
            "score": round(float(found.scores[person]), 4),
            "bbox": _rounded(found.bboxes[person].numpy(), 2),
            "bins_x": _rounded(codes.bins_x[person, [0, -1]].numpy(), 2),
            "bins_y": _rounded(codes.bins_y[person, [0, -1]].numpy(), 2),
            "joints": {
                skeleton.joints[joint]: {
                    "keypoint": _rounded(codes.keypoints[person, joint].numpy(), 2),
                    "peak": [
                        round(float(codes.bins_x[person, codes.heatmap_x[person, joint].argmax()]), 2),
                        round(float(codes.bins_y[person, codes.heatmap_y[person, joint].argmax()]), 2),
                    ],
                    "heatmap_x": _rounded(codes.heatmap_x[person, joint].numpy(), 5),
                    "heatmap_y": _rounded(codes.heatmap_y[person, joint].numpy(), 5),
                }
                for joint in joints
            },
        }
        for person in range(min(most_people, len(found)))
    ]


def _rounded(values: np.ndarray, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


if __name__ == "__main__":
    main()
