"""Heatmaps with and without dynamic bin encoding: ``python -m rtmo.figures bins checkpoint=... compare=...``.

Reference: RTMO (arXiv:2312.07526), section 4.4 and figure 6: without the encoding, nearby bins differ wildly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from rtmo import config
from rtmo.data.coco_json import write_json
from rtmo.errors import InputError
from rtmo.evaluate import trained_with
from rtmo.figures.found import Found, find_people
from rtmo.figures.network import Network, chosen_joints
from rtmo.figures.options import KEYS as SHARED_KEYS
from rtmo.figures.options import THRESHOLDS, check_counts, listed, network_of, prepare, val_source
from rtmo.figures.panels import BLUE, ORANGE, show_heatmap, write_figure, write_rows
from rtmo.ops.boxes import pairwise_iou
from rtmo.skeletons import KeypointSet
from rtmo.types import Sample
from rtmo.weights.checkpoint import find, read_checkpoint

KEYS = SHARED_KEYS | THRESHOLDS | {"compare", "num_images", "people", "joints"}
CHECKPOINTS = ("checkpoint", "compare")
JOINTS = 2  # shown of a person, without a choice
MIN_IOU = 0.5  # of a found and an annotated box of the same person
MIN_PEAK = 0.05  # of the highest; lower maxima are ripples that show in no picture
LEAST_SHOWN = 0.01  # of the peak: curves are drawn as far as one of them is higher
COLOURS = (BLUE, ORANGE)


@dataclass(frozen=True)
class Pair:
    """A person whom two networks find.

    Attributes:
        image_id: Of the image.
        keypoints: Annotated, px of the image.
        labeled: Which of them are.
        found: What each network finds in the image.
        indices: The person among them.
    """

    image_id: int
    keypoints: Float[np.ndarray, "K 2"]
    labeled: Bool[np.ndarray, " K"]
    found: tuple[Found, Found]
    indices: tuple[int, int]


class Roughness(NamedTuple):
    """How rough a 1-D heatmap is.

    Attributes:
        total_variation: Sum of the differences of neighbouring bins, of the peak: 2 for one smooth hill, 1 for one
            that ends at its peak, 2 more for every further hill as high.
        peaks: Local maxima of at least ``MIN_PEAK`` of the highest.
    """

    total_variation: float
    peaks: int


@config.main("figures_bins", KEYS, prepare=prepare)
def main(cfg: dict[str, Any]) -> None:
    """Measures, draws and prints the files."""
    check_counts(cfg, ("num_images", "people"))
    networks = network_of(cfg), network_of(cfg, "compare")
    check_alike(cfg, networks)
    skeleton, folder = networks[0].skeleton, Path(cfg["output"])
    joints = chosen_joints(listed(cfg, "joints", str), skeleton, JOINTS)
    source = val_source(cfg, skeleton)
    samples = [source.load(index) for index in range(min(cfg["num_images"], len(source)))]
    pairs = [pair for sample in samples for pair in find_pairs(networks, sample)]
    if not pairs:
        raise InputError(
            f"score_thr={cfg['score_thr']}: checkpoint and compare find nobody in common; lower it or raise num_images"
        )
    names = network_names(networks)
    drawn = [pair for pair in pairs if pair.labeled[joints].all()] or pairs
    print(write_figure(draw_bins(drawn[: cfg["people"]], joints, skeleton, names), folder / "bins.png"))
    rows = measure(pairs, skeleton, names)
    print(write_rows(rows, folder / "bins.csv"))
    write_json(folder / "bins.json", summary(rows), label=f"output={folder}", indent=2)
    print(folder / "bins.json")


def check_alike(cfg: Mapping[str, Any], networks: tuple[Network, Network]) -> None:
    """Refuses two checkpoints that differ in more than what is compared.

    Raises:
        InputError: If they have other joints, or were trained with another image size.
    """
    first, second = (f"{key}={cfg[key]}" for key in CHECKPOINTS)
    joints, other_joints = (network.skeleton for network in networks)
    if not joints.equals_but_for_name(other_joints):
        raise InputError(
            f"{second}: has joints {other_joints.name}, but {first} {joints.name}; give two with the same joints"
        )
    (height, width), (other_height, other_width) = (
        trained_with(read_checkpoint(find(cfg[key], key)))["image_size"] for key in CHECKPOINTS
    )
    if (height, width) != (other_height, other_width):
        raise InputError(
            f"{second}: was trained at {other_height} x {other_width} px, but {first} at {height} x {width} px; give "
            "two of the same image_size"
        )


def network_names(networks: tuple[Network, Network]) -> tuple[str, str]:
    """What the networks are called: their kind of decoding, and the option they were given as if it is the same."""
    first, second = (network.model.decoding for network in networks)
    return (first, second) if first != second else (f"{first}, checkpoint", f"{second}, compare")


def find_pairs(networks: tuple[Network, Network], sample: Sample) -> list[Pair]:
    """The annotated people of an image whom both networks find, each by the best-scored box that overlaps theirs."""
    found = find_people(networks[0], sample), find_people(networks[1], sample)
    boxes = torch.from_numpy(sample.bboxes)
    first, second = (_first_overlap(boxes, one.bboxes) for one in found)
    labeled = sample.visibility > 0
    return [
        Pair(sample.image_id, sample.keypoints[person], labeled[person], found, (first[person], second[person]))
        for person in range(sample.num_people)
        if labeled[person].any() and first[person] >= 0 and second[person] >= 0
    ]


def roughness(heatmap: Float[Tensor, " X"]) -> Roughness:
    """How rough a heatmap is over its bins."""
    heights = heatmap / heatmap.max()
    padded = torch.nn.functional.pad(heights, (1, 1))
    is_peak = (heights > padded[:-2]) & (heights >= padded[2:]) & (heights >= MIN_PEAK)
    return Roughness(float(heights.diff().abs().sum()), int(is_peak.sum()))


def measure(pairs: Sequence[Pair], skeleton: KeypointSet, names: tuple[str, str]) -> list[dict[str, Any]]:
    """The roughness of both heatmaps of every labeled joint by either network, a row each."""
    return [
        {
            "network": name,
            "image_id": pair.image_id,
            "person": number,
            "joint": skeleton.joints[joint],
            "axis": axis,
            **roughness(heatmaps[index, joint])._asdict(),
        }
        for number, pair in enumerate(pairs)
        for name, found, index in zip(names, pair.found, pair.indices, strict=True)
        for axis, heatmaps in (("x", found.codes.heatmap_x), ("y", found.codes.heatmap_y))
        for joint in np.flatnonzero(pair.labeled)
    ]


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Number of heatmaps and mean roughness by network."""
    by_network: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_network.setdefault(row["network"], []).append(row)
    return {
        name: {
            "heatmaps": len(own),
            **{field: round(float(np.mean([row[field] for row in own])), 4) for field in Roughness._fields},
        }
        for name, own in by_network.items()
    }


def draw_bins(pairs: Sequence[Pair], joints: Sequence[int], skeleton: KeypointSet, names: tuple[str, str]) -> Figure:
    """A row for each person and joint: the heatmap by either network over the image, then both along x and y.

    The ring is the annotated joint; dotted lines are where the networks put it.

    Raises:
        ValueError: If nobody was found by both.
    """
    if not pairs:
        raise ValueError("the networks found nobody in common, so there is nothing to draw")
    rows = [(pair, joint) for pair in pairs for joint in joints]
    figure = Figure(figsize=(14, 3.6 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), 4, squeeze=False, width_ratios=(1, 1, 1.4, 1.4))
    for (pair, joint), (*pictures, along_x, along_y) in zip(rows, grid, strict=True):
        joint_name = skeleton.joints[joint].replace("_", " ")
        for axes, name, found, index, colour in zip(pictures, names, pair.found, pair.indices, COLOURS, strict=True):
            show_heatmap(axes, found, index, joint, colour)
            if pair.labeled[joint]:
                axes.plot(*pair.keypoints[joint], "o", mfc="none", mec="white", markersize=15, markeredgewidth=1.5)
            axes.set_title(f"{joint_name}, {name}")
        for axes, axis in ((along_x, 0), (along_y, 1)):
            _draw_curves(axes, pair, joint, axis, names)
    return figure


def _draw_curves(axes: Axes, pair: Pair, joint: int, axis: int, names: tuple[str, str]) -> None:
    """The heatmaps of a joint by both networks along x (0) or y (1), each as a share of its peak, where they show."""
    shown: list[float] = []
    for name, found, index, colour in zip(names, pair.found, pair.indices, COLOURS, strict=True):
        codes = found.codes
        heatmap, bins = ((codes.heatmap_x, codes.bins_x), (codes.heatmap_y, codes.bins_y))[axis]
        curve = heatmap[index, joint] / heatmap[index, joint].max()
        label = f"{name}: total variation {roughness(curve).total_variation:.1f}"
        axes.plot(bins[index].numpy(), curve.numpy(), color=colour, linewidth=1.5, label=label)
        axes.axvline(float(codes.keypoints[index, joint, axis]), color=colour, linestyle=":", linewidth=1.2)
        shown += bins[index, curve > LEAST_SHOWN].tolist()
    margin = 2 + 0.2 * (max(shown) - min(shown))  # px
    axes.set(xlabel=f"{'xy'[axis]}, px", xlim=(min(shown) - margin, max(shown) + margin), ylim=(0, 1.05))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), fontsize=9)


def _first_overlap(boxes: Float[Tensor, "G 4"], found: Float[Tensor, "N 4"]) -> list[int]:
    """For each box the first found one that overlaps it enough; -1 where there is none."""
    if len(found) == 0:
        return [-1] * len(boxes)
    overlaps = pairwise_iou(boxes, found) >= MIN_IOU
    return torch.where(overlaps.any(dim=1), overlaps.int().argmax(dim=1), -1).tolist()


if __name__ == "__main__":
    main()
