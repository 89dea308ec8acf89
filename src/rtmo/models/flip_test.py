"""Flip test: poses from an image and its mirror image together, at twice the cost."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rtmo.models.rtmo import RTMO
from rtmo.types import HeadOutputs, Poses


@torch.no_grad()
def flip_test(
    model: RTMO, images: Float[Tensor, "B 3 H W"], flip_indices: Sequence[int], score_thr: float, nms_thr: float
) -> list[Poses]:
    """Poses as ``RTMO.decode`` gives them, from images seen as they are and mirrored.

    A grid point has its partner in the mirrored image: the grid maps onto itself for every width that the network
    takes. Person scores, boxes and visibilities of partners are averaged before the sigmoid and the exponential, left
    and right joints trading places, and people are chosen from that. Pose vectors cannot be mirrored: each of the two
    gives keypoints of its own in the box they share, and those are averaged. As the bins are the same, that is the
    expectation of the averaged heatmaps.

    Args:
        model: In eval mode.
        images: BGR 0..255, unnormalised.
        flip_indices: For each joint, the one that stands in its place in a mirror.
        score_thr: As in ``RTMO.decode``.
        nms_thr: Likewise.
    """
    outputs, mirrored = model(images), model(images.flip(-1))
    width, joints = images.shape[-1], list(flip_indices)
    partners = partner_priors(outputs)
    both = average(outputs, mirrored, partners, joints)
    found = model.find_people(both, score_thr, nms_thr)
    own = model.keypoints(outputs, found.images, found.priors, found.bboxes)
    other = model.keypoints(mirrored, found.images, partners[found.priors], mirror_bboxes(found.bboxes, width))
    return found.poses((own + mirror_points(other, width)[:, joints]) / 2, both)


def average(
    outputs: HeadOutputs, mirrored: HeadOutputs, partners: Int[Tensor, " P"], flip_indices: Sequence[int]
) -> HeadOutputs:
    """What the head says of images, averaged with what it says of the mirrored ones; but for pose vectors."""
    turn = outputs.bbox_offsets.new_tensor((-1, 1, 1, 1))  # (dx, dy, log w, log h)
    return replace(
        outputs,
        cls_logits=(outputs.cls_logits + mirrored.cls_logits[:, partners]) / 2,
        bbox_offsets=(outputs.bbox_offsets + turn * mirrored.bbox_offsets[:, partners]) / 2,
        visibility_logits=(outputs.visibility_logits + mirrored.visibility_logits[:, partners][..., flip_indices]) / 2,
    )


def partner_priors(outputs: HeadOutputs) -> Int[Tensor, " P"]:
    """For each prior, the one at its place in the mirrored image."""
    width, partners, start = outputs.image_size[1], [], 0
    for stride, count in zip(*torch.unique_consecutive(outputs.strides, return_counts=True), strict=True):
        level = torch.arange(start, start + int(count), device=outputs.priors.device)
        partners.append(level.reshape(-1, width // int(stride)).flip(1).flatten())
        start += int(count)
    return torch.cat(partners)


def mirror_points(points: Float[Tensor, "*shape 2"], width: int) -> Float[Tensor, "*shape 2"]:
    """Points in px of the mirrored image: pixel centres lie at integers, column 0 becomes ``width - 1``."""
    x, y = points.unbind(-1)
    return torch.stack([width - 1 - x, y], dim=-1)


def mirror_bboxes(bboxes: Float[Tensor, "*shape 4"], width: int) -> Float[Tensor, "*shape 4"]:
    """Corners in px of the mirrored image."""
    x1, y1, x2, y2 = bboxes.unbind(-1)
    return torch.stack([width - 1 - x2, y1, width - 1 - x1, y2], dim=-1)
