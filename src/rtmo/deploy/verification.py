"""Whether an exported file finds the poses that torch finds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from rtmo.errors import InputError
from rtmo.inference.exported import INPUT, ExportRecord
from rtmo.inference.onnx_backend import OnnxRuntimeBackend, open_session
from rtmo.models.rtmo import RTMO
from rtmo.ops.boxes import pairwise_iou
from rtmo.types import HeadOutputs, Poses

SAME_PERSON = 0.5  # IoU of boxes from which two runtimes mean the same person
OVERLAP_MARGIN = 1e-3  # IoU this close to the threshold may lie on either side of it: runtimes round differently

Batch = UInt8[np.ndarray, "B H W 3"]


@dataclass(frozen=True)
class Limits:
    """By how much an exported file may differ from torch.

    Attributes:
        unmatched: Share of people that one of the two does not find, though their score is clear of the threshold.
        keypoints: px of the network input, between joints of the same person.
        scores: Between scores of the same person.
        quantile: Share of joints, and of people, that must keep to these limits.
    """

    unmatched: float
    keypoints: float
    scores: float
    quantile: float = 1.0


@dataclass(frozen=True)
class Expected:
    """The people of one image by torch.

    Attributes:
        poses: Found with the threshold of overlap that the exported file has.
        nearly: Found with thresholds a little below and above it. Who is not in all of these may be missing from the
            file, who is in one of these may be in it.
    """

    poses: Poses
    nearly: tuple[Poses, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """How the poses of an exported file differ from those of torch.

    Attributes:
        images: How many were compared.
        people: Found by torch.
        matched: Found by both.
        unmatched: Found by one of the two only, clear of the thresholds of score and overlap.
        keypoints: Distance between joints of the same person, px of the network input, at the limits' quantile.
        scores: Difference between scores of the same person, likewise.
    """

    images: int
    people: int
    matched: int
    unmatched: int
    keypoints: float
    scores: float

    def check(self, limits: Limits, advice: str = "") -> None:
        """Refuses a difference beyond the limits.

        Args:
            advice: What may help, for the message.

        Raises:
            InputError: With every number; also if nobody is found, which proves nothing.
        """
        differences = (
            ("unmatched", self.unmatched / max(self.people, 1), limits.unmatched),
            ("keypoints", self.keypoints, limits.keypoints),
            ("scores", self.scores, limits.scores),
        )
        beyond = [f"{name} {value:.3g} where {most:g} is allowed" for name, value, most in differences if value > most]
        if beyond:
            raise InputError(f"the exported model does not give torch's poses: {', '.join(beyond)} ({self}){advice}")
        if not self.matched:
            raise InputError(
                f"images: {self}; this proves nothing. Give images=... of people that the network finds, or a lower "
                "score_thr"
            )

    def __str__(self) -> str:
        return (
            f"torch finds {self.people} people in {self.images} images, the file {self.matched} of them; "
            f"{self.unmatched} are found by one alone; joints differ by {self.keypoints:.2g} px, scores by "
            f"{self.scores:.2g}"
        )


def poses_by_torch(model: RTMO, batches: Sequence[Batch], score_thr: float, nms_thr: float) -> list[Expected]:
    """The people of some letterboxed images."""
    expected: list[Expected] = []
    with torch.inference_mode():
        for images in batches:
            outputs = model(torch.from_numpy(images).permute(0, 3, 1, 2).float())
            overlaps = (nms_thr, nms_thr - OVERLAP_MARGIN, nms_thr + OVERLAP_MARGIN)
            decoded = (model.decode(outputs, score_thr, overlap) for overlap in overlaps)
            expected += (Expected(poses, (less, more)) for poses, less, more in zip(*decoded, strict=True))
    return expected


def poses_by_file(path: Path, record: ExportRecord, model: RTMO, batches: Sequence[Batch]) -> list[Poses]:
    """The same by an exported file, in ONNX Runtime on the CPU; of form raw, the network decodes its outputs."""
    run = raw_decoder(path, record, model) if record.form == "raw" else whole_decoder(path, record)
    return [poses for images in batches for poses in run(images)]


def whole_decoder(path: Path, record: ExportRecord) -> Callable[[Batch], list[Poses]]:
    """What makes poses of images by a file of form nms or topk."""
    backend = OnnxRuntimeBackend(path, device="cpu", image_size=record.image_size)
    return lambda images: backend.decode(backend.network(images))


def raw_decoder(path: Path, record: ExportRecord, model: RTMO) -> Callable[[Batch], list[Poses]]:
    """Likewise by a file of form raw."""
    session = open_session(path)
    names = [output.name for output in session.get_outputs()]

    def run(images: Batch) -> list[Poses]:
        arrays = session.run(None, {INPUT: images.transpose(0, 3, 1, 2).astype(np.float32)})
        tensors: dict[str, Any] = dict(zip(names, map(torch.from_numpy, arrays), strict=True))
        absent = {"proxy_offsets": None, "pose_vectors": tensors["cls_logits"][..., :0]}
        outputs = HeadOutputs(**(absent | tensors), image_size=(images.shape[1], images.shape[2]))
        return model.decode(outputs, record.score_thr, record.nms_thr)

    return run


def compare(expected: Sequence[Expected], found: Sequence[Poses], score_thr: float, limits: Limits) -> Comparison:
    """Matches the people of each image and measures how far they are apart.

    Args:
        expected: By torch.
        found: By an exported file.
        score_thr: Of both.
        limits: How far scores may differ: who is no further above the threshold may be missing from either.
    """
    joints, scores, num_unmatched = [torch.zeros(0)], [torch.zeros(0)], 0
    for torchs, b in zip(expected, found, strict=True):
        a = torchs.poses
        of_a, of_b = matched_people(a, b)
        joints.append((a.keypoints[of_a] - b.keypoints[of_b]).norm(dim=-1).flatten())
        scores.append((a.scores[of_a] - b.scores[of_b]).abs())
        clear_of_a, clear_of_b = (poses.scores > score_thr + limits.scores for poses in (a, b))
        clear_of_a[of_a], clear_of_b[of_b] = False, False
        for nearly in torchs.nearly:
            always, _ = matched_people(a, nearly)
            clear_of_a &= torch.zeros_like(clear_of_a).index_fill(0, always, True)
            clear_of_b[matched_people(b, nearly)[0]] = False
        num_unmatched += int(clear_of_a.sum() + clear_of_b.sum())
    return Comparison(
        images=len(expected),
        people=sum(len(each.poses) for each in expected),
        matched=sum(map(len, scores)),
        unmatched=num_unmatched,
        keypoints=_quantile(torch.cat(joints), limits.quantile),
        scores=_quantile(torch.cat(scores), limits.quantile),
    )


def matched_people(a: Poses, b: Poses) -> tuple[Tensor, Tensor]:
    """Indices of the same people in both: boxes overlap, and of those the joints are the nearest; one to one."""
    distance = (a.keypoints[:, None] - b.keypoints[None]).norm(dim=-1).mean(dim=-1)
    distance = torch.where(pairwise_iou(a.bboxes, b.bboxes) >= SAME_PERSON, distance, torch.inf)
    pairs: list[tuple[int, int]] = []
    while distance.numel() and distance.min() < torch.inf:
        person, other = divmod(int(distance.argmin()), len(b))
        pairs.append((person, other))
        distance[person], distance[:, other] = torch.inf, torch.inf
    indices = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)
    return indices[:, 0], indices[:, 1]


def _quantile(values: Tensor, quantile: float) -> float:
    return float(values.quantile(quantile)) if len(values) else 0.0
