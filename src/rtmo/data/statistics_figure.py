"""The statistics of data sets as one figure, a row for each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rtmo.data.statistics import JOINT_STATES, MEDIUM, SMALL, Statistics

_COLOURS = ("#1f5fa8", "#7fb2e5", "#d0d0d0", "#ffffff")  # as JOINT_STATES: the more is known, the darker
_MOST_PEOPLE = 20  # of an image; those with more share a bar


def write_figure(path: Path, statistics: Mapping[str, Statistics]) -> None:
    """Draws the statistics of data sets by name into an image file, making its folder."""
    heights = [max(3.2, 0.17 * len(one.joints)) for one in statistics.values()]
    figure = Figure(figsize=(20, sum(heights) + 0.4), layout="constrained")
    grid = figure.subplots(len(heights), 5, squeeze=False, height_ratios=heights, width_ratios=(3, 3, 4, 3, 3))
    for axes, (name, one) in zip(grid, statistics.items(), strict=True):
        axes[0].set_ylabel(name, fontweight="bold")
        _people(axes[0], one)
        _scale(axes[1], one)
        _joints(axes[2], one)
        _overlap(axes[3], one)
        _images(axes[4], one)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _people(axes: Axes, one: Statistics) -> None:
    counts = np.bincount(one.people_per_image.clip(max=_MOST_PEOPLE), minlength=2)
    axes.bar(range(len(counts)), counts, color=_COLOURS[0])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    more = f"; {_MOST_PEOPLE}: or more" if one.people_per_image.max(initial=0) > _MOST_PEOPLE else ""
    axes.set(title=f"{len(one.people_per_image)} images, {len(one.area)} people", xlabel=f"people per image{more}")


def _scale(axes: Axes, one: Statistics) -> None:
    known = one.scale[np.isfinite(one.scale)]
    axes.hist(known.clip(0.005, 1), bins=np.geomspace(0.005, 1, 40).tolist(), color=_COLOURS[0])
    total = max(1, len(one.area))
    small, large = (one.area < SMALL).sum() / total, (one.area >= MEDIUM).sum() / total
    axes.set(
        title=f"small {small:.0%}, medium {1 - small - large if len(one.area) else 0:.0%}, large {large:.0%}",
        xlabel="person / image, sqrt(area)",
        xscale="log",
    )


def _joints(axes: Axes, one: Statistics) -> None:
    shares = one.joint_states / max(1, len(one.area))
    left = np.zeros(len(one.joints))
    for state, colour, share in zip(JOINT_STATES, _COLOURS, shares.T, strict=True):
        hatch = "////" if state == "not annotated" else None
        style: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "#a0a0a0", "linewidth": 0.3}
        axes.barh(one.joints, share, left=left, label=state, **style)
        left += share
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=7)
    axes.set(xlim=(0, 1), xlabel="share of people")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, fontsize=7, frameon=False)


def _overlap(axes: Axes, one: Statistics) -> None:
    axes.hist(one.overlap, bins=np.linspace(0, 1, 21).tolist(), color=_COLOURS[0])
    axes.set_yscale("symlog", linthresh=1)
    crowded = float((one.overlap >= 0.3).mean()) if len(one.overlap) else 0.0
    axes.set(title=f"{crowded:.0%} overlap another by 0.3 or more", xlabel="highest IoU with another person")


def _images(axes: Axes, one: Statistics) -> None:
    sizes, counts = np.unique(one.image_sizes[np.isfinite(one.image_sizes).all(1)], axis=0, return_counts=True)
    area = 8 + 60 * counts / counts.max(initial=1)
    axes.scatter(sizes[:, 1], sizes[:, 0], s=area, alpha=0.5, color=_COLOURS[0])
    height, width = 1.08 * sizes.max(axis=0, initial=1)
    axes.set(
        title=f"{len(sizes)} image sizes", xlabel="width, px", ylabel="height, px", xlim=(0, width), ylim=(0, height)
    )
