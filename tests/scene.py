"""Random people and network outputs to compute losses of."""

import torch
from torch import Tensor

from rtmo.ops.priors import make_priors
from rtmo.types import CoordinateCodes, HeadOutputs, Targets

IMAGE_SIZE = (128, 160)
NUM_KEYPOINTS = 17
POSE_DIM = 6
STRIDES = (16, 32)


def make_targets(counts: list[int], generator: torch.Generator, padding: int = 0) -> Targets:
    """That many people in each image, padded to the fullest image and by ``padding`` more, with garbage in between."""
    size = (len(counts), max(counts) + padding)
    height, width = IMAGE_SIZE
    centers = torch.rand(*size, 2, generator=generator) * torch.tensor([width, height])
    sides = torch.rand(*size, 2, generator=generator) * 60 + 20
    return Targets(
        bboxes=torch.cat((centers - sides / 2, centers + sides / 2), dim=-1),
        keypoints=centers[:, :, None]
        + (torch.rand(*size, NUM_KEYPOINTS, 2, generator=generator) - 0.5) * sides[:, :, None],
        visibility=torch.randint(0, 3, (*size, NUM_KEYPOINTS), generator=generator, dtype=torch.uint8),
        annotated=torch.ones(*size, NUM_KEYPOINTS, dtype=torch.bool),
        area=sides.prod(dim=-1) * 0.53,
        valid=torch.arange(size[1]) < torch.tensor(counts)[:, None],
    )


def make_outputs(num_images: int, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> HeadOutputs:
    """What a network in early training might say; every tensor is a leaf that takes a gradient."""
    priors, strides = make_priors(IMAGE_SIZE, STRIDES)
    size = (num_images, len(priors))

    def random(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(*size, *shape, generator=generator) * scale).to(dtype).requires_grad_()

    return HeadOutputs(
        cls_logits=random(1),
        bbox_offsets=random(4, scale=0.7),
        visibility_logits=random(NUM_KEYPOINTS),
        pose_vectors=random(POSE_DIM),
        proxy_offsets=random(NUM_KEYPOINTS, 2),
        priors=priors,
        strides=strides,
        image_size=IMAGE_SIZE,
    )


class TinyClassifier(torch.nn.Module):
    """A coordinate classifier in a few lines: linear heatmaps over bins that span the box."""

    def __init__(self, num_bins: tuple[int, int] = (12, 16)) -> None:
        super().__init__()
        self.num_bins = num_bins
        generator = torch.Generator().manual_seed(0)
        outputs = NUM_KEYPOINTS * (sum(num_bins) + 1)
        self.weight = torch.nn.Parameter(torch.randn(POSE_DIM, outputs, generator=generator) / POSE_DIM)

    def forward(
        self, pose_vectors: Tensor, bboxes: Tensor, priors: Tensor, with_sigmas: bool = False
    ) -> CoordinateCodes:
        logits = (pose_vectors.to(self.weight.dtype) @ self.weight).unflatten(1, (NUM_KEYPOINTS, -1))
        logits_x, logits_y, spread = logits.split((*self.num_bins, 1), dim=-1)
        heatmap_x, heatmap_y = logits_x.softmax(-1), logits_y.softmax(-1)
        bins_x, bins_y = (
            low + (high - low) * torch.linspace(0, 1, num).to(bboxes.dtype)
            for low, high, num in zip(
                (bboxes[:, :1], bboxes[:, 1:2]), (bboxes[:, 2:3], bboxes[:, 3:]), self.num_bins, strict=True
            )
        )
        keypoints = torch.stack(((heatmap_x * bins_x[:, None]).sum(-1), (heatmap_y * bins_y[:, None]).sum(-1)), dim=-1)
        sigmas = spread[..., 0].sigmoid() * 0.1 if with_sigmas else None
        return CoordinateCodes(heatmap_x, heatmap_y, bins_x, bins_y, keypoints, sigmas)
