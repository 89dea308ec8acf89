"""The records that flow through rtmo: Sample -> Batch -> HeadOutputs -> Poses.

Dimension letters, used in every annotation: B images, C channels, H W height and width, P priors, G ground-truth
people, N predicted people, F positives, K keypoints, D features, X Y bins.

Coordinates are pixels of the frame a record lives in: a ``Sample``'s own image, the network input for ``Batch`` and
``HeadOutputs``. Boxes are corners (x1, y1, x2, y2). Images are BGR.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, UInt8
from torch import Tensor


class Undrawn(ABC):
    """An image on its way to its final place, drawn in one go when its pixels are needed.

    Attributes:
        image_size: (height, width) in px.
    """

    image_size: tuple[int, int]

    @abstractmethod
    def draw(self) -> tuple[UInt8[np.ndarray, "H W 3"], Bool[np.ndarray, "H W"] | None]:
        """The image and, where there is one, the ignore mask."""


@dataclass(slots=True)
class Sample:
    """One image and its people, in numpy, before batching.

    Attributes:
        image: BGR, 0..255. Undrawn only between those steps of a pipeline that say they take such images.
        bboxes: Corners in px.
        keypoints: px; meaningless where ``visibility`` is 0.
        visibility: COCO flag: 0 not labeled, 1 labeled and hidden, 2 labeled and visible.
        annotated: Whether the source of this person annotates the joint at all. False carries no loss.
        area: Object area in px^2.
        image_id: Identifies the image in its source's ground truth.
        ignore_mask: True where unlabeled people are (crowds, people without keypoints); None where nobody asked, and
            while the image is undrawn, which then has it.
        warp: Maps original pixels onto ``image`` (x' = A x + b), identity after loading.
    """

    image: UInt8[np.ndarray, "H W 3"] | Undrawn
    bboxes: Float32[np.ndarray, "G 4"]
    keypoints: Float32[np.ndarray, "G K 2"]
    visibility: UInt8[np.ndarray, "G K"]
    annotated: Bool[np.ndarray, "G K"]
    area: Float32[np.ndarray, " G"]
    image_id: int
    ignore_mask: Bool[np.ndarray, "H W"] | None = None
    warp: Float[np.ndarray, "2 3"] | None = None

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in px; nothing is drawn to find out."""
        if isinstance(self.image, Undrawn):
            return self.image.image_size
        return self.image.shape[0], self.image.shape[1]

    @property
    def pixels(self) -> UInt8[np.ndarray, "H W 3"]:
        """``image`` where it is known to be drawn.

        Raises:
            TypeError: If it is not.
        """
        if isinstance(self.image, Undrawn):
            raise TypeError("the image is undrawn; ask for sample.drawn() first")
        return self.image

    def drawn(self) -> "Sample":
        """The sample with an array for its image; itself if it has one."""
        if not isinstance(self.image, Undrawn):
            return self
        image, ignore_mask = self.image.draw()
        return replace(self, image=image, ignore_mask=ignore_mask)

    @property
    def num_people(self) -> int:
        return len(self.bboxes)

    def select(self, keep: Bool[np.ndarray, " G"]) -> "Sample":
        """The same image with only some of its people."""
        return replace(
            self,
            bboxes=self.bboxes[keep],
            keypoints=self.keypoints[keep],
            visibility=self.visibility[keep],
            annotated=self.annotated[keep],
            area=self.area[keep],
        )


@dataclass(slots=True)
class Targets:
    """The people of a batch, padded to the fullest image; ``valid`` tells people from padding."""

    bboxes: Float[Tensor, "B G 4"]
    keypoints: Float[Tensor, "B G K 2"]
    visibility: UInt8[Tensor, "B G K"]
    annotated: Bool[Tensor, "B G K"]
    area: Float[Tensor, "B G"]
    valid: Bool[Tensor, "B G"]

    @property
    def labeled(self) -> Bool[Tensor, "B G K"]:
        """Whether a keypoint has a position: visibility 1 or 2."""
        return self.visibility > 0

    def to(self, device: torch.device | str) -> "Targets":
        return _to(self, device)


@dataclass(slots=True)
class Batch:
    """What the loader yields.

    Attributes:
        images: BGR 0..255, in the network's frame.
        ignore_mask: True where no loss is due to negatives; None if no sample has any.
        image_ids: As in ``Sample``.
        warps: Per image, original pixels to network input.
        original_sizes: Per image (height, width) of the original, px.
    """

    images: UInt8[Tensor, "B 3 H W"] | Float[Tensor, "B 3 H W"]
    targets: Targets
    ignore_mask: Bool[Tensor, "B H W"] | None
    image_ids: list[int]
    warps: Float[Tensor, "B 2 3"]
    original_sizes: Int[Tensor, "B 2"]

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> "Batch":
        return _to(self, device)

    def pin_memory(self) -> "Batch":
        """Called by torch's DataLoader for records it does not know."""
        return _map(self, lambda tensor: tensor.pin_memory())


@dataclass(slots=True)
class HeadOutputs:
    """What the network says about every prior; levels are flattened in order, the finest first, each row-major.

    Attributes:
        cls_logits: Person score before the sigmoid.
        bbox_offsets: Raw (dx, dy, log w, log h) in units of the stride.
        visibility_logits: Keypoint visibility before the sigmoid.
        pose_vectors: Input of the Dynamic Coordinate Classifier.
        proxy_offsets: Directly regressed keypoints in units of the stride; training only, else None.
        priors: Grid points in px.
        strides: Stride of each prior's level in px.
        image_size: (height, width) of the network input in px.
    """

    cls_logits: Float[Tensor, "B P 1"]
    bbox_offsets: Float[Tensor, "B P 4"]
    visibility_logits: Float[Tensor, "B P K"]
    pose_vectors: Float[Tensor, "B P D"]
    proxy_offsets: Float[Tensor, "B P K 2"] | None
    priors: Float[Tensor, "P 2"]
    strides: Float[Tensor, " P"]
    image_size: tuple[int, int]


@dataclass(slots=True)
class Poses:
    """The people found in one image, best first.

    Attributes:
        bboxes: Corners in px, clipped to the image.
        scores: 0..1.
        keypoints: px, not clipped: a joint may lie outside the image.
        keypoint_scores: Predicted visibility, 0..1.
    """

    bboxes: Float[Tensor, "N 4"]
    scores: Float[Tensor, " N"]
    keypoints: Float[Tensor, "N K 2"]
    keypoint_scores: Float[Tensor, "N K"]

    def __len__(self) -> int:
        return len(self.scores)

    def to(self, device: torch.device | str) -> "Poses":
        return _to(self, device)


class CoordinateCodes(NamedTuple):
    """What the Dynamic Coordinate Classifier says about some people (paper, section 3.1).

    Attributes:
        heatmap_x: Probability of each horizontal bin.
        heatmap_y: Probability of each vertical bin.
        bins_x: Bin positions in px of the network input.
        bins_y: Likewise, vertical.
        keypoints: Expectation of the bins, px of the network input.
        pred_sigmas: Learned spread, dimensionless; None unless asked for.
    """

    heatmap_x: Float[Tensor, "F K X"]
    heatmap_y: Float[Tensor, "F K Y"]
    bins_x: Float[Tensor, "F X"]
    bins_y: Float[Tensor, "F Y"]
    keypoints: Float[Tensor, "F K 2"]
    pred_sigmas: Float[Tensor, "F K"] | None


_Record = TypeVar("_Record")


def _map(record: _Record, function: Callable[[Tensor], Tensor]) -> _Record:
    """Applies a function to every tensor of a record, nested records included."""
    changed: dict[str, Any] = {}
    for field in fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if isinstance(value, Tensor):
            changed[field.name] = function(value)
        elif isinstance(value, Targets):
            changed[field.name] = _map(value, function)
    return replace(record, **changed)  # type: ignore[type-var]


def _to(record: _Record, device: torch.device | str) -> _Record:
    return _map(record, lambda tensor: tensor.to(device))
