"""What an exported file computes, in three forms, as torch modules made of RTMO's own steps.

raw    what the head says of every grid point, for who decodes elsewhere
topk   poses of a fixed number of best candidates, plain operators only: whoever reads them suppresses duplicates
nms    poses of the people, duplicates suppressed: as many rows as the fullest image of the batch has people
"""

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rtmo.models.rtmo import RTMO
from rtmo.ops.boxes import decode_bboxes
from rtmo.ops.nms import nms
from rtmo.types import HeadOutputs

POSE_OUTPUTS = ("detections", "keypoints")


class RawGraph(nn.Module):
    """Gives those fields of ``HeadOutputs`` that this network has, float32, in ``output_names``' order."""

    def __init__(self, model: RTMO) -> None:
        super().__init__()
        self.model = model
        regressed = model.dcc is None  # then nobody reads pose vectors, and the proxy keypoints are the pose
        absent = {"image_size", "pose_vectors" if regressed else "proxy_offsets"}
        self.output_names = tuple(field.name for field in fields(HeadOutputs) if field.name not in absent)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """Images are BGR 0..255."""
        outputs = self.model(images)
        return tuple(getattr(outputs, name).float() for name in self.output_names)


class TopKGraph(nn.Module):
    """Gives the ``candidates`` best-scored grid points of each image as poses, best first, duplicates among them."""

    output_names = POSE_OUTPUTS

    def __init__(self, model: RTMO, *, candidates: int) -> None:
        super().__init__()
        self.model, self.candidates = model, candidates

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B N 5"], Float[Tensor, "B N K 3"]]:
        """Images are BGR 0..255; outputs as those of ``poses_at``."""
        outputs = self.model(images)
        bboxes, scores = scored_bboxes(outputs)
        best, priors = scores.topk(self.candidates)
        return poses_at(self.model, outputs, bboxes, best, priors)


class NMSGraph(nn.Module):
    """Gives the people of each image, best first, then rows of zeros up to the fullest image's count, or to one."""

    output_names = POSE_OUTPUTS

    def __init__(self, model: RTMO, *, score_thr: float, nms_thr: float) -> None:
        super().__init__()
        self.model, self.score_thr, self.nms_thr = model, score_thr, nms_thr

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B N 5"], Float[Tensor, "B N K 3"]]:
        """Images are BGR 0..255; outputs as those of ``poses_at``.

        Its work after the network is that of B times N people: those of the images, but for the padding.
        """
        outputs = self.model(images)
        bboxes, scores = scored_bboxes(outputs)
        kept = suppressed(bboxes, scores, self.score_thr, self.nms_thr)
        # At least one row: runtimes and clients are not to be trusted with none.
        most: Any = (kept > 0).sum(dim=1).max().clamp(min=1).item()  # a symbol while it is exported
        torch._check(most >= 1)
        torch._check(most <= kept.shape[1])
        best, priors = kept.topk(most)
        detections, keypoints = poses_at(self.model, outputs, bboxes, best, priors)
        is_person = (best > 0)[..., None]
        return detections * is_person, keypoints * is_person[..., None]


def scored_bboxes(outputs: HeadOutputs) -> tuple[Float[Tensor, "B P 4"], Float[Tensor, "B P"]]:
    """The box of every grid point in px of the network input, not clipped, and its score, 0..1."""
    bboxes = decode_bboxes(outputs.bbox_offsets.to(outputs.priors.dtype), outputs.priors, outputs.strides)
    return bboxes, outputs.cls_logits.float().sigmoid()[..., 0]


def poses_at(
    model: RTMO,
    outputs: HeadOutputs,
    bboxes: Float[Tensor, "B P 4"],
    scores: Float[Tensor, "B N"],
    priors: Int[Tensor, "B N"],
) -> tuple[Float[Tensor, "B N 5"], Float[Tensor, "B N K 3"]]:
    """Poses at some grid points of each image.

    Args:
        bboxes: Of all grid points, px.
        scores: Of the chosen ones.
        priors: The chosen ones.

    Returns:
        Detections (x1, y1, x2, y2, score), boxes not clipped: who suppresses duplicates again must get the same ones;
        and keypoints (x, y, score). px of the network input.
    """
    shape = priors.shape
    images = torch.arange(shape[0], device=priors.device)[:, None].expand(shape).flatten()
    priors = priors.flatten()
    chosen = bboxes[images, priors]
    keypoints = model.keypoints(outputs, images, priors, chosen)
    visibility = outputs.visibility_logits[images, priors].float().sigmoid()
    detections = torch.cat((chosen.unflatten(0, shape), scores[..., None]), dim=-1)
    return detections, torch.cat((keypoints, visibility[..., None]), dim=-1).unflatten(0, shape)


@torch.library.custom_op("rtmo::suppressed", mutates_args=())
def suppressed(bboxes: Tensor, scores: Tensor, score_thr: float, nms_thr: float) -> Tensor:
    """Scores (B, P) of the grid points that are people, 0 elsewhere.

    An operator of its own because its loop has no graph: a file has ONNX's NonMaxSuppression in its place.
    """
    kept = torch.zeros_like(scores)
    for image, (image_bboxes, image_scores) in enumerate(zip(bboxes, scores, strict=True)):
        above = (image_scores > score_thr).nonzero()[:, 0]
        people = above[nms(image_bboxes[above], image_scores[above], nms_thr)]
        kept[image, people] = image_scores[people]
    return kept


@suppressed.register_fake
def _(bboxes: Tensor, scores: Tensor, score_thr: float, nms_thr: float) -> Tensor:
    return torch.empty_like(scores)


def graph_of(
    model: RTMO, form: str, *, score_thr: float, nms_thr: float, candidates: int
) -> RawGraph | TopKGraph | NMSGraph:
    """The graph of a form around a network that ``models.fusing.for_inference`` made ready."""
    make: dict[str, Callable[[RTMO], RawGraph | TopKGraph | NMSGraph]] = {
        "raw": RawGraph,
        "topk": partial(TopKGraph, candidates=candidates),
        "nms": partial(NMSGraph, score_thr=score_thr, nms_thr=nms_thr),
    }
    return make[form](model).eval()
