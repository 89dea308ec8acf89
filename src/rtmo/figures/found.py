"""People that a network finds, with the heatmaps that place their joints."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from rtmo.errors import InputError
from rtmo.figures.network import Network
from rtmo.ops.affine import unwarp_points
from rtmo.types import CoordinateCodes, Sample


@dataclass(frozen=True)
class Found:
    """The people found in an image, best first, in px of the image as it is stored.

    Attributes:
        image: BGR.
        bboxes: As predicted, neither clipped nor padded.
        scores: 0..1.
        codes: Heatmaps, where their bins lie, joints and learned spread.
    """

    image: UInt8[np.ndarray, "H W 3"]
    bboxes: Float[Tensor, "N 4"]
    scores: Float[Tensor, " N"]
    codes: CoordinateCodes

    def __len__(self) -> int:
        return len(self.scores)


@torch.no_grad()
def find_people(network: Network, sample: Sample) -> Found:
    """Finds people as ``RTMO.decode`` does, and keeps the heatmaps."""
    outputs, seen = network.see(sample)
    people = network.model.find_people(outputs, network.score_thr, network.nms_thr)
    vectors, priors = outputs.pose_vectors[0, people.priors], outputs.priors[people.priors]
    codes = network.classifier(vectors, people.bboxes, priors, with_sigmas=True)
    warp = torch.eye(2, 3) if seen.warp is None else torch.from_numpy(seen.warp).float()
    return Found(
        image=sample.drawn().pixels,
        bboxes=unwarp_points(people.bboxes.cpu().reshape(-1, 2, 2), warp).reshape(-1, 4),
        scores=people.scores.cpu(),
        codes=_unwarped(codes, warp),
    )


def nobody_found(network: Network, where: str) -> InputError:
    """The error of a figure that has nobody to show."""
    return InputError(
        f"score_thr={network.score_thr}: the network finds nobody {where}; lower it, or give other images"
    )


def _unwarped(codes: CoordinateCodes, warp: Float[Tensor, "2 3"]) -> CoordinateCodes:
    """Bins and joints in px of the image before ``warp``, which must not rotate."""
    on_cpu = CoordinateCodes._make(None if code is None else code.cpu() for code in codes)
    zeros_x, zeros_y = torch.zeros_like(on_cpu.bins_x), torch.zeros_like(on_cpu.bins_y)
    return on_cpu._replace(
        bins_x=unwarp_points(torch.stack((on_cpu.bins_x, zeros_x), dim=-1), warp)[..., 0],
        bins_y=unwarp_points(torch.stack((zeros_y, on_cpu.bins_y), dim=-1), warp)[..., 1],
        keypoints=unwarp_points(on_cpu.keypoints, warp),
    )
