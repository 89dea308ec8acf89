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
from matplotlib.figure import Figure

from rtmo import config
from rtmo.benchmark.charts import draw_curve
from rtmo.benchmark.latency import Latency, interleaved
from rtmo.benchmark.people import Cut, find_cuts
from rtmo.data.coco_json import write_json
from rtmo.data.letterbox import fitted
from rtmo.data.source import PoseSource
from rtmo.errors import InputError
from rtmo.figures.network import Network
from rtmo.figures.options import KEYS as SHARED_KEYS
from rtmo.figures.options import check_counts, listed, network_of, prepare, val_source
from rtmo.figures.panels import BLUE, ORANGE, write_figure
from rtmo.models.rtmo import SIZE_DIVISOR
from rtmo.training.callbacks.run_record import environment
from rtmo.types import HeadOutputs

KEYS = SHARED_KEYS | {"nms_thr", "people", "rounds", "tiles"}


@dataclass(frozen=True)
class Measured:
    """Latency of decoding with NMS, and of that and the network, at a cut."""

    cut: Cut
    decode: Latency
    total: Latency


@config.main("figures_latency", KEYS, prepare=prepare)
def main(cfg: dict[str, Any]) -> None:
    """Measures, draws and prints the files."""
    check_counts(cfg, ("rounds", "tiles"))
    counts = listed(cfg, "people", int)
    if not counts or min(counts) < 1:
        raise InputError(f"people: expected whole numbers from 1 on, got {cfg['people']}")
    network, folder = network_of(cfg), Path(cfg["output"])
    network.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    source = val_source(cfg, network.skeleton)
    images = mosaic(source, network.image_size, cfg["tiles"]).to(cfg["device"])
    with torch.no_grad():
        outputs = network.model(images)
    cuts = find_cuts(network.model, outputs, sorted(set(counts)), network.nms_thr)
    alone, measured = measure(network, images, cuts, rounds=cfg["rounds"])
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


@torch.inference_mode()
def measure(network: Network, images: torch.Tensor, cuts: Sequence[Cut], rounds: int) -> tuple[Latency, list[Measured]]:
    """Latency of the network alone, and of decoding (with NMS) and both for each cut, all in turns."""
    model, outputs = network.model, network.model(images)
    finish = torch.cuda.synchronize if images.is_cuda else lambda: None

    def forward() -> HeadOutputs:
        seen = model(images)
        finish()
        return seen

    def decode(seen: HeadOutputs, cut: Cut) -> None:
        model.decode(seen, cut.score_thr, network.nms_thr)
        finish()

    calls: dict[str, Callable[[], object]] = {"network": forward}
    for cut in cuts:
        calls[f"decode {cut.people}"] = partial(decode, outputs, cut)
        calls[f"total {cut.people}"] = lambda cut=cut: decode(forward(), cut)  # type: ignore[misc]
    times = interleaved(calls, rounds=rounds)
    return times["network"], [
        Measured(cut, decode=times[f"decode {cut.people}"], total=times[f"total {cut.people}"]) for cut in cuts
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
        "people": [{**asdict(one.cut), "decode": asdict(one.decode), "total": asdict(one.total)} for one in measured],
    }


def draw_latency(network: Latency, measured: Sequence[Measured]) -> Figure:
    """Medians, and bands up to the 95th percentile: of everything at the left, of decoding alone at the right."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    whole, part = figure.subplots(1, 2)
    people = [one.cut.people for one in measured]
    whole.axhline(network.median_ms, color="0.4", linestyle="--", label="network, median")
    draw_curve(whole, people, [one.total for one in measured], BLUE, "network, decoding and NMS")
    draw_curve(part, people, [one.decode for one in measured], ORANGE, "decoding and NMS")
    numbers, ends = describe(network, measured), f"from {people[0]} to {people[-1]} people"
    whole.set_title(f"{ends} {numbers['growth']:+.1%}", fontsize=11)
    part.set_title(f"{ends} decoding adds {numbers['decoding_adds']:.1%} of the total", fontsize=11)
    for axes in (whole, part):
        axes.set(xlabel="people found", ylabel="ms", ylim=(0, None), xticks=people)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="lower right")
    return figure


if __name__ == "__main__":
    main()
