"""Latency against the number of people found: ``python -m rtmo.figures latency checkpoint=...``; see ``--help``.

Reference: RTMO (arXiv:2312.07526), section 4.2 and figure 3: more people cost next to nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rtmo import config
from rtmo.benchmark.latency import Latency, interleaved
from rtmo.data.coco_json import write_json
from rtmo.data.letterbox import fitted
from rtmo.data.source import PoseSource
from rtmo.errors import InputError
from rtmo.figures.network import Network
from rtmo.figures.options import KEYS as SHARED_KEYS
from rtmo.figures.options import check_counts, network_of, prepare, val_source
from rtmo.figures.panels import BLUE, ORANGE, write_figure
from rtmo.models.rtmo import SIZE_DIVISOR, choose_candidates
from rtmo.ops.boxes import decode_bboxes
from rtmo.training.callbacks.run_record import environment
from rtmo.types import HeadOutputs

KEYS = SHARED_KEYS | {"people", "rounds", "tiles"}


@dataclass(frozen=True)
class Crowd:
    """A number of people, and the score threshold at which so many come out.

    Attributes:
        people: Found after NMS.
        score_thr: Half way between the score of the last of them and of the next.
        candidates: Grid points above the threshold, before NMS.
    """

    people: int
    score_thr: float
    candidates: int


@dataclass(frozen=True)
class Measured:
    """Latency of decoding with NMS, and of that and the network, at which a crowd comes out."""

    crowd: Crowd
    decode: Latency
    total: Latency


@config.main("figures_latency", KEYS, prepare=prepare)
def main(cfg: dict[str, Any]) -> None:
    """Measures, draws and prints the files."""
    check_counts(cfg, ("rounds", "tiles"))
    counts = cfg["people"]
    if not counts or any(type(count) is not int or count < 1 for count in counts):
        raise InputError(f"people: expected a list of whole numbers from 1 on, got {counts}")
    network, folder = network_of(cfg), Path(cfg["output"])
    network.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    source = val_source(cfg)
    images = mosaic(source, network.image_size, cfg["tiles"]).to(cfg["device"])
    crowds = find_crowds(network, images, sorted(set(counts)))
    alone, measured = measure(network, images, crowds, rounds=cfg["rounds"])
    for suffix in ("png", "svg"):
        print(write_figure(draw_latency(alone, measured), folder / f"latency.{suffix}"))
    record = {
        **describe(alone, measured),
        "image": f"{cfg['tiles']} x {cfg['tiles']} images of {source.name}, {images.shape[2]} x {images.shape[3]} px",
        "rounds": cfg["rounds"],
        "device": cfg["device"],
        "environment": environment(),
    }
    write_json(folder / "latency.json", record, label=f"output={folder}", indent=2)
    print(folder / "latency.json")


def mosaic(source: PoseSource, image_size: tuple[int, int], tiles: int) -> torch.Tensor:
    """The first images of a source side by side, (1, 3, H, W) and BGR 0..255 for the network; they repeat if need be.

    Args:
        image_size: (height, width) of the whole, px.
        tiles: Images in a row and rows of images; each is as large as fits, in multiples of 32 px.

    Raises:
        InputError: If none fits.
    """
    height, width = (side // tiles // SIZE_DIVISOR * SIZE_DIVISOR for side in image_size)
    if min(height, width) == 0:
        raise InputError(
            f"tiles={tiles}: too many for {image_size[0]} x {image_size[1]} px; each needs {SIZE_DIVISOR} px"
        )
    canvas = np.full((*image_size, 3), 114, np.uint8)
    for number in range(tiles**2):
        row, column = divmod(number, tiles)
        tile = fitted(source.load(number % len(source)), (height, width)).drawn().pixels
        canvas[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    images = torch.from_numpy(canvas).permute(2, 0, 1)[None].float()
    return images.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def find_crowds(network: Network, images: torch.Tensor, counts: Sequence[int]) -> list[Crowd]:
    """Thresholds at which exactly so many people come out of an image.

    Greedy suppression decides on a box by better ones alone, so the people above a threshold are the first of those
    above a lower one.

    Raises:
        InputError: If fewer come out at any threshold.
    """
    outputs = network.model(images)
    scores = outputs.cls_logits.float().sigmoid()[0, :, 0]
    bboxes = decode_bboxes(outputs.bbox_offsets, outputs.priors, outputs.strides)[0]
    ranked = scores[choose_candidates(bboxes, scores, 0.0, network.nms_thr)]
    crowds = []
    for count in counts:
        if len(ranked) <= count:
            raise InputError(
                f"people={count}: the network finds at most {len(ranked) - 1} in the image; raise image_size"
            )
        threshold = float((ranked[count - 1] + ranked[count]) / 2)
        crowds.append(Crowd(count, threshold, int((scores > threshold).sum())))
        came_out = len(network.model.decode(outputs, threshold, network.nms_thr)[0])
        if came_out != count:
            raise InputError(f"people={count}: {came_out} come out, as scores tie; leave this number out")
    return crowds


@torch.inference_mode()
def measure(
    network: Network, images: torch.Tensor, crowds: Sequence[Crowd], rounds: int
) -> tuple[Latency, list[Measured]]:
    """Latency of the network alone, and of decoding (with NMS) and both for each crowd, all in turns."""
    model, outputs = network.model, network.model(images)
    finish = torch.cuda.synchronize if images.is_cuda else lambda: None

    def forward() -> HeadOutputs:
        seen = model(images)
        finish()
        return seen

    def decode(seen: HeadOutputs, crowd: Crowd) -> None:
        model.decode(seen, crowd.score_thr, network.nms_thr)
        finish()

    calls: dict[str, Callable[[], object]] = {"network": forward}
    for crowd in crowds:
        calls[f"decode {crowd.people}"] = partial(decode, outputs, crowd)
        calls[f"total {crowd.people}"] = lambda crowd=crowd: decode(forward(), crowd)  # type: ignore[misc]
    times = interleaved(calls, rounds=rounds)
    return times["network"], [
        Measured(crowd, decode=times[f"decode {crowd.people}"], total=times[f"total {crowd.people}"])
        for crowd in crowds
    ]


def describe(network: Latency, measured: Sequence[Measured]) -> dict[str, Any]:
    """The numbers of the figure, and by how much they grow from the fewest to the most people.

    ``growth`` is that of the total. ``decoding_adds`` is what decoding alone grows by, as a share of the total: the
    same but for the noise of the network's time, which does not depend on people.
    """
    fewest, most = measured[0], measured[-1]
    return {
        "growth": round(most.total.median_ms / fewest.total.median_ms - 1, 4),
        "decoding_adds": round((most.decode.median_ms - fewest.decode.median_ms) / fewest.total.median_ms, 4),
        "network": asdict(network),
        "people": [{**asdict(one.crowd), "decode": asdict(one.decode), "total": asdict(one.total)} for one in measured],
    }


def draw_latency(network: Latency, measured: Sequence[Measured]) -> Figure:
    """Medians, and bands up to the 95th percentile: of everything at the left, of decoding alone at the right."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    whole, part = figure.subplots(1, 2)
    people = [one.crowd.people for one in measured]
    whole.axhline(network.median_ms, color="0.4", linestyle="--", label="network, median")
    _draw_curve(whole, people, [one.total for one in measured], BLUE, "network, decoding and NMS")
    _draw_curve(part, people, [one.decode for one in measured], ORANGE, "decoding and NMS")
    numbers, ends = describe(network, measured), f"from {people[0]} to {people[-1]} people"
    whole.set_title(f"{ends} {numbers['growth']:+.1%}", fontsize=11)
    part.set_title(f"{ends} decoding adds {numbers['decoding_adds']:.1%} of the total", fontsize=11)
    for axes in (whole, part):
        axes.set(xlabel="people found", ylabel="ms", ylim=(0, None), xticks=people)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="lower right")
    return figure


def _draw_curve(axes: Axes, people: Sequence[int], times: Sequence[Latency], colour: str, label: str) -> None:
    medians = [time.median_ms for time in times]
    axes.plot(people, medians, "o-", color=colour, label=f"{label}, median")
    axes.fill_between(
        people,
        medians,
        [time.p95_ms for time in times],
        color=colour,
        alpha=0.2,
        linewidth=0,
        label="to 95th percentile",
    )


if __name__ == "__main__":
    main()
