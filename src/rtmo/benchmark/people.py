"""Score thresholds at which a certain number of people come out of an image."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rtmo.errors import InputError
from rtmo.models.rtmo import RTMO
from rtmo.types import HeadOutputs


@dataclass(frozen=True)
class Cut:
    """A score threshold at which a certain number of people come out.

    Attributes:
        people: Found after NMS.
        score_thr: Half way between the score of the last of them and of the next.
        candidates: Grid points above the threshold, before NMS.
    """

    people: int
    score_thr: float
    candidates: int


@torch.no_grad()
def find_cuts(model: RTMO, outputs: HeadOutputs, counts: Sequence[int], nms_thr: float) -> list[Cut]:
    """Thresholds at which exactly so many people come out of the one image of a batch.

    Greedy suppression decides on a box by better ones alone, so the people above a threshold are the first of those
    above a lower one.

    Raises:
        InputError: If fewer come out at any threshold.
    """
    ranked = model.find_people(outputs, 0.0, nms_thr).scores
    cuts = []
    for count in counts:
        if len(ranked) <= count:
            raise InputError(
                f"people={count}: the network finds at most {len(ranked) - 1} in the image; raise image_size"
            )
        threshold = float((ranked[count - 1] + ranked[count]) / 2)
        candidates = model.find_people(outputs, threshold, nms_thr=1.0)  # which suppresses none
        cuts.append(Cut(count, threshold, len(candidates.scores)))
        came_out = len(model.decode(outputs, threshold, nms_thr)[0])
        if came_out != count:
            raise InputError(f"people={count}: {came_out} come out, as scores tie; leave this number out")
    return cuts
