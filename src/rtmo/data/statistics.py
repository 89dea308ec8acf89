"""What a data set holds, in numbers: how many people of what size, which joints have labels, how crowded it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from rtmo.data.coco_json import People, RawAnnotations, box_overlaps, check_content, joints_by_category, pack_people
from rtmo.data.doctor.images import open_images, said_size
from rtmo.skeletons import KeypointSet

SMALL, MEDIUM = 32.0**2, 96.0**2  # px^2: COCO's people are small, medium or large below, between and above these
JOINT_STATES = ("visible", "hidden", "not labeled", "not annotated")
OVERLAPS = (0.1, 0.3, 0.5)  # IoU


@dataclass(frozen=True)
class Statistics:
    """Numbers of a data set. A person is one with a labeled joint; the others are ignored by training.

    Attributes:
        joints: Names, of the skeleton that is trained.
        num_ignored: Annotations of people without a labeled joint, crowds included.
        people_per_image: One number per image.
        area: Of every person, px^2.
        scale: sqrt(area) of every person over sqrt(width * height) of the image; NaN where its size is unknown.
        joint_states: Of how many people a joint is visible, hidden, not labeled, not annotated (``JOINT_STATES``).
        overlap: Of every person, the highest IoU of its box with that of another person in the image.
        image_sizes: (height, width) of every image, px; NaN where unknown.
    """

    joints: tuple[str, ...]
    num_ignored: int
    people_per_image: Int[np.ndarray, " I"]
    area: Float[np.ndarray, " P"]
    scale: Float[np.ndarray, " P"]
    joint_states: Int[np.ndarray, "K 4"]
    overlap: Float[np.ndarray, " P"]
    image_sizes: Float[np.ndarray, "I 2"]

    def summary(self) -> dict[str, Any]:
        """The numbers in plain containers, distributions as counts and quantiles."""
        shares = {"small": self.area < SMALL, "large": self.area >= MEDIUM}
        shares["medium"] = ~shares["small"] & ~shares["large"]
        ratios = self.image_sizes[:, 1] / self.image_sizes[:, 0]
        return {
            "images": len(self.people_per_image),
            "images_without_people": int((self.people_per_image == 0).sum()),
            "people": len(self.area),
            "ignored_people": self.num_ignored,
            "people_per_image": np.bincount(self.people_per_image).tolist(),
            "people_by_size": {size: int(shares[size].sum()) for size in ("small", "medium", "large")},
            "scale": _quantiles(self.scale),
            "joints": {
                joint: dict(zip(JOINT_STATES, states, strict=True))
                for joint, states in zip(self.joints, self.joint_states.tolist(), strict=True)
            },
            "people_by_overlap": {str(iou): int((self.overlap >= iou).sum()) for iou in OVERLAPS},
            "image_height": _quantiles(self.image_sizes[:, 0]),
            "image_width": _quantiles(self.image_sizes[:, 1]),
            "aspect_ratio": _quantiles(ratios),
        }


def measure(
    people: People, joints: tuple[str, ...], image_ids: Int[np.ndarray, " I"], image_sizes: Float[np.ndarray, "I 2"]
) -> Statistics:
    """The numbers of some annotations.

    Args:
        joints: Names of the joints of ``people``.
        image_ids: All images.
        image_sizes: (height, width) of each, px; NaN where unknown.
    """
    posed = people.is_labeled
    rows = {number: row for row, number in enumerate(image_ids.tolist())}
    places = np.array([rows[number] for number in people.image_ids[posed].tolist()], dtype=np.int64)
    area, flags, annotated = people.area[posed].astype(np.float64), people.visibility[posed], people.annotated[posed]
    states = [flags == 2, flags == 1, (flags == 0) & annotated, (flags == 0) & ~annotated]
    return Statistics(
        joints=joints,
        num_ignored=int((~posed).sum()),
        people_per_image=np.bincount(places, minlength=len(image_ids)),
        area=area,
        scale=np.sqrt(area / image_sizes[places].prod(axis=1)),
        joint_states=np.stack([state.sum(axis=0) for state in states], axis=1),
        overlap=_overlaps(people.bboxes[posed].astype(np.float64), places),
        image_sizes=image_sizes,
    )


def read_statistics(raw: RawAnnotations, skeleton: KeypointSet, joints: tuple[str, ...] | None) -> Statistics:
    """The numbers of a whole annotation file; image files are opened only where it does not say their size.

    Args:
        joints: Names in the order of the annotations, where they override those of the file.

    Raises:
        InputError: If an annotation cannot be used.
    """
    content = raw.content
    check_content(raw.file, content)
    names = joints_by_category(raw.file, content["categories"], joints, skeleton)
    entries = [entry for entry in content["annotations"] if entry["category_id"] in names]
    people = pack_people(raw.file, entries, names, skeleton)
    sizes = [said_size(image) for image in content["images"]]
    opened = open_images(raw, [row for row, size in enumerate(sizes) if size is None], "header", lambda: None)
    known = [size or opened[row].size or (np.nan, np.nan) for row, size in enumerate(sizes)]
    image_ids = np.array([image["id"] for image in content["images"]], dtype=np.int64)
    return measure(people, skeleton.joints, image_ids, np.array(known, dtype=np.float64).reshape(-1, 2))


def _overlaps(bboxes: Float[np.ndarray, "P 4"], places: Int[np.ndarray, " P"]) -> Float[np.ndarray, " P"]:
    """For every box (x, y, width, height) the highest IoU with another of its image."""
    highest = np.zeros(len(bboxes))
    order = np.argsort(places, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(places[order])) + 1):
        if len(group) > 1:
            overlaps = box_overlaps(bboxes[group])
            np.fill_diagonal(overlaps, 0)
            highest[group] = overlaps.max(axis=1)
    return highest


def _quantiles(values: Float[np.ndarray, " _"]) -> dict[str, float] | None:
    """Smallest, quartiles and largest of what is known; None if nothing is."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    names = ("min", "25%", "50%", "75%", "max")
    return {
        name: round(float(value), 4)
        for name, value in zip(names, np.quantile(known, np.linspace(0, 1, 5)), strict=True)
    }
