"""Learned spread against OKS, grid by grid: ``python -m rtmo.figures spread checkpoint=...``; see ``--help``.

Reference: RTMO (arXiv:2312.07526), section 4.4 and figure 5: grids with higher OKS have lower variance.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.stats import spearmanr

from rtmo import config
from rtmo.data.coco_json import write_json
from rtmo.data.collate import collate
from rtmo.data.pipeline import Item, ValDataset
from rtmo.errors import InputError
from rtmo.evaluate import trained_with
from rtmo.figures.network import Network
from rtmo.figures.options import KEYS as SHARED_KEYS
from rtmo.figures.options import check_counts, network_of, prepare, val_source
from rtmo.figures.panels import BLUE, GREEN, ORANGE, PURPLE, write_figure, write_rows
from rtmo.losses.criterion import Assignment, Criterion
from rtmo.ops.boxes import decode_bboxes
from rtmo.ops.keypoints import decode_proxy, pairwise_oks
from rtmo.targets import build
from rtmo.types import Sample
from rtmo.weights.checkpoint import find, read_checkpoint

KEYS = SHARED_KEYS | {"num_images"}
OKS_STEP = 0.1  # of the means
FEWEST = 5  # points that a mean is drawn of


class Grid(NamedTuple):
    """A grid point and the person it is measured with.

    Attributes:
        image_id: Of the image.
        person: Index among the image's people.
        x: Of the point, px of the network input.
        y: Likewise.
        stride: Of its level, px.
        assigned: Whether training would have it learn the person.
        oks: Of the pose it gives, with the person.
        spread: Learned spread, mean over the person's labeled joints; a share of the person's size.
    """

    image_id: int
    person: int
    x: float
    y: float
    stride: float
    assigned: bool
    oks: float
    spread: float


@config.main("figures_spread", KEYS, prepare=prepare)
def main(cfg: dict[str, Any]) -> None:
    """Measures, draws and prints the files."""
    check_counts(cfg, ("num_images",))
    network, folder = network_of(cfg), Path(cfg["output"])
    criterion = criterion_of(cfg["checkpoint"], network).to(cfg["device"])
    dataset = ValDataset(source=val_source(cfg, network.skeleton), image_size=network.image_size)
    items = [dataset[index] for index in range(min(cfg["num_images"], len(dataset)))]
    grids = [measure_grids(network, criterion.assigner, item) for item in items]
    flat = [grid for of_image in grids for grid in of_image]
    if not any(grid.assigned for grid in flat):
        raise InputError("data.val: nobody with labeled joints in these images; raise num_images or give other data")
    shown = max(range(len(items)), key=lambda number: sum(grid.assigned for grid in grids[number]))
    print(write_figure(draw_spread(flat, items[shown].sample, grids[shown]), folder / "spread.png"))
    print(write_rows([grid._asdict() for grid in flat], folder / "spread.csv"))
    write_json(folder / "spread.json", summary(flat), label=f"output={folder}", indent=2)
    print(folder / "spread.json")


def criterion_of(checkpoint: str, network: Network) -> Criterion:
    """The losses that a network was trained with, whose assigner says what its grid points learned.

    Raises:
        InputError: If they leave the spread untrained.
    """
    trained = trained_with(read_checkpoint(find(checkpoint)))
    criterion: Criterion = build(trained["criterion"], "criterion", network.skeleton)
    if not criterion.learns_spread:
        raise InputError(
            f"checkpoint={checkpoint}: its loss, {criterion.coordinate_loss.name}, learned no spread; give one that "
            "was trained with ablation=mle"
        )
    return criterion


@torch.no_grad()
def measure_grids(network: Network, assigner: Callable[..., Assignment], item: Item) -> list[Grid]:
    """The grid points inside people's boxes and those that training assigns, each with its person.

    A point that is not assigned is measured with the person in whose box it lies, the one its pose fits best.
    """
    outputs, _ = network.see(item.sample, with_proxy=True)
    assert outputs.proxy_offsets is not None
    priors, strides = outputs.priors, outputs.strides
    targets = collate([item]).targets.to(priors.device)
    bboxes = decode_bboxes(outputs.bbox_offsets, priors, strides)
    proxy = decode_proxy(outputs.proxy_offsets, priors, strides)
    oks_sigmas = torch.tensor(network.skeleton.oks_sigmas, device=priors.device)
    gt_index = assigner(outputs.cls_logits, bboxes, proxy, priors=priors, strides=strides, targets=targets).gt_index[0]

    low, high = targets.bboxes[0, :, None, :2], targets.bboxes[0, :, None, 2:]
    inside = ((priors > low) & (priors < high)).all(dim=-1) & targets.valid[0, :, None]  # (G, P)
    chosen = (inside.any(dim=0) | (gt_index >= 0)).nonzero()[:, 0]
    codes = network.classifier(outputs.pose_vectors[0, chosen], bboxes[0, chosen], priors[chosen], with_sigmas=True)
    assert codes.pred_sigmas is not None
    labeled = targets.labeled[0]
    oks = pairwise_oks(codes.keypoints, targets.keypoints[0], labeled, targets.area[0], oks_sigmas)  # (F, G)
    nearest = oks.masked_fill(~inside[:, chosen].T, -1).argmax(dim=1)
    person = torch.where(gt_index[chosen] >= 0, gt_index[chosen], nearest)
    weight = labeled[person].float()
    spread = (codes.pred_sigmas * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
    columns = (
        person,
        *priors[chosen].T,
        strides[chosen],
        gt_index[chosen] >= 0,
        oks.gather(1, person[:, None])[:, 0],
        spread,
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [Grid(item.sample.image_id, *row) for row in rows]


def summary(grids: Sequence[Grid]) -> dict[str, Any]:
    """Figures of the assigned grid points: rank correlation of spread and OKS, and the spread by OKS."""
    oks, spread = _assigned(grids)
    correlation = rank_correlation(oks, spread)
    return {
        "grids": len(oks),
        "rank_correlation": None if correlation is None else round(correlation, 4),
        "by_oks": [
            {"oks": round(low, 2), "grids": int(inside.sum()), "spread": round(float(spread[inside].mean()), 5)}
            for low, inside in _by_oks(oks)
        ],
    }


def rank_correlation(oks: np.ndarray, spread: np.ndarray) -> float | None:
    """Spearman's; None if either has fewer than two values, and so no order."""
    if min(len(np.unique(oks)), len(np.unique(spread))) < 2:
        return None
    return float(spearmanr(oks, spread).statistic)


def draw_spread(grids: Sequence[Grid], sample: Sample, shown: Sequence[Grid]) -> Figure:
    """All assigned grid points, and OKS and spread over the grid of one image.

    Args:
        sample: The image, as the network saw it.
        shown: Its grid points.
    """
    figure = Figure(figsize=(15, 5), layout="constrained")
    points, of_oks, of_spread = figure.subplots(1, 3, width_ratios=(1.15, 1, 1))
    _draw_points(points, grids)
    assigned = [grid.stride for grid in shown if grid.assigned]
    stride = max(set(assigned), key=assigned.count)
    level = [grid for grid in shown if grid.stride == stride]
    for axes, field, cmap, norm in (
        (of_oks, "oks", "viridis", Normalize(0, 1)),
        (of_spread, "spread", "viridis_r", LogNorm()),
    ):
        cells = _draw_cells(axes, sample, level, [getattr(grid, field) for grid in level], cmap, norm)
        figure.colorbar(cells, ax=axes, shrink=0.85)
    of_oks.set_title(f"OKS, stride {stride:.0f}, assigned points framed", fontsize=11)
    of_spread.set_title(f"learned spread, stride {stride:.0f}", fontsize=11)
    return figure


def _assigned(grids: Sequence[Grid]) -> tuple[np.ndarray, np.ndarray]:
    """OKS and spread of the assigned grid points."""
    pairs = np.array([(grid.oks, grid.spread) for grid in grids if grid.assigned]).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _by_oks(oks: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Lower ends of the intervals of OKS that have points, and which those are; the last one includes 1."""
    number = np.minimum((oks / OKS_STEP).astype(int), round(1 / OKS_STEP) - 1)
    return [(step * OKS_STEP, number == step) for step in np.unique(number)]


def _draw_points(axes: Axes, grids: Sequence[Grid]) -> None:
    oks, spread = _assigned(grids)
    strides = np.array([grid.stride for grid in grids if grid.assigned])
    for stride, colour, marker in zip(np.unique(strides), (BLUE, ORANGE, GREEN, PURPLE), "osD^", strict=False):
        of_level = strides == stride
        axes.scatter(
            oks[of_level], spread[of_level], s=14, alpha=0.45, color=colour, marker=marker, label=f"stride {stride:.0f}"
        )
    means = [(oks[inside].mean(), spread[inside].mean()) for _, inside in _by_oks(oks) if inside.sum() >= FEWEST]
    x, y = np.array(means).reshape(-1, 2).T
    axes.plot(x, y, "k-o", linewidth=2, markersize=5, label=f"mean by {OKS_STEP} of OKS")
    axes.set(
        xlabel="OKS of the pose with its person",
        ylabel="learned spread, share of the person's size",
        xlim=(0, 1.01),
        yscale="log",
    )
    correlation = rank_correlation(oks, spread)
    shown = "none" if correlation is None else f"{correlation:.2f}"
    axes.set_title(f"{len(oks)} assigned grid points, rank correlation {shown}", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend()


def _draw_cells(
    axes: Axes, sample: Sample, grids: Sequence[Grid], values: Sequence[float], cmap: str, norm: Normalize
) -> PatchCollection:
    """Cells of one level over an image, coloured by value."""
    axes.imshow(sample.pixels[..., ::-1])
    axes.set(xticks=[], yticks=[])
    side = 0.92 * grids[0].stride
    squares = [Rectangle((grid.x - side / 2, grid.y - side / 2), side, side) for grid in grids]
    cells = PatchCollection(
        squares,
        cmap=cmap,
        norm=norm,
        alpha=0.75,
        edgecolors=["white" if grid.assigned else "none" for grid in grids],
        linewidths=2.5,
    )
    cells.set_array(np.array(values))
    axes.add_collection(cells)
    return cells


if __name__ == "__main__":
    main()
