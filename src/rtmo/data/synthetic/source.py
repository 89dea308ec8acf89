"""Synthetic people as a source of images and poses."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from rtmo.data.source import PoseSource
from rtmo.skeletons import COCO17, KeypointSet
from rtmo.types import Sample

from .person import joints_that_show
from .poses import ACTIVITIES
from .scene import Person, Scene, SceneStyle, paint_scene, sample_scene


class SyntheticPeople(PoseSource):
    """Images of articulated people, drawn on the fly; image ``i`` is a pure function of ``(seed, i)``.

    Nothing is stored or downloaded. Flags are true: 2 for a joint that shows, 1 for one hidden by the person itself,
    by another or by a thing, 0 outside the image. Boxes and areas are those of the visible silhouette.

    Args:
        num_images: How many images there are.
        image_size: (height, width) in px.
        seed: Sources with different seeds share no image; use different ones for training and validation.
        skeleton: Its joints must be among those a synthetic body has.
        max_people: Per image; at most 8 are drawn.
        min_height: Of one stature, as a fraction of the image's height; the smallest people are that tall.
        max_things: Per image, between which and behind which people stand.
        colors: ``natural``: skin, hair and clothes of many kinds; ``parts``: each part of the body has one colour, the
            same for all, so that little has to be learned.
        activities: What people do, of ``poses.ACTIVITIES``.
        max_yaw: How far people turn away from the camera, degrees.
        keep: Whether each process keeps what it has drawn, for small images that are seen often.
        name: How logs and metrics refer to it.

    Raises:
        ValueError: If a number is out of range or the skeleton has a joint that cannot be drawn.
    """

    def __init__(
        self,
        *,
        num_images: int,
        image_size: tuple[int, int],
        seed: int,
        skeleton: KeypointSet = COCO17,
        max_people: int = 8,
        min_height: float = 0.13,
        max_things: int = 5,
        colors: str = "natural",
        activities: Sequence[str] = tuple(ACTIVITIES),
        max_yaw: float = 180.0,
        keep: bool = False,
        name: str = "synthetic",
    ) -> None:
        known = joints_that_show()
        unknown = [joint for joint in skeleton.joints if joint not in known]
        if unknown:
            raise ValueError(f"skeleton={skeleton.name!r}: synthetic people have no {unknown}; they have {known}")
        if num_images < 1:
            raise ValueError(f"num_images={num_images} must be at least 1")
        if len(image_size) != 2 or min(image_size) < 32:
            raise ValueError(f"image_size={image_size} must be (height, width), each at least 32 px")
        if not 0 <= max_people <= 8:
            raise ValueError(f"max_people={max_people} must be 0 to 8")
        if not 0 < min_height <= 0.8:
            raise ValueError(f"min_height={min_height} must be above 0 and at most 0.8 of the image's height")
        if max_things < 0:
            raise ValueError(f"max_things={max_things} must not be negative")
        if colors not in ("natural", "parts"):
            raise ValueError(f"colors={colors!r}; choose natural or parts")
        if not activities or not set(activities) <= set(ACTIVITIES):
            raise ValueError(f"activities={list(activities)}: choose one or several of {list(ACTIVITIES)}")
        if not 0 <= max_yaw <= 180:
            raise ValueError(f"max_yaw={max_yaw} must be 0 to 180 degrees")
        if seed < 0:
            raise ValueError(f"seed={seed} must not be negative")
        self.name = name
        self.skeleton = skeleton
        self.num_images = num_images
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.seed = seed
        self.style = SceneStyle(max_people, min_height, max_things, colors, tuple(activities), max_yaw)
        self._kept: dict[int, Sample] | None = {} if keep else None

    def __len__(self) -> int:
        return self.num_images

    def load(self, index: int, with_ignore_mask: bool = False) -> Sample:
        """Draws an image.

        Raises:
            IndexError: If there is none of that index.
        """
        if not 0 <= index < self.num_images:
            raise IndexError(f"{self.name}: image {index} of {self.num_images}")
        if self._kept is None:
            sample = self._draw(index)
        else:
            if index not in self._kept:
                self._kept[index] = self._draw(index)
            sample = copy.deepcopy(self._kept[index])
        return replace(sample, ignore_mask=np.zeros(self.image_size, bool) if with_ignore_mask else None)

    def _draw(self, index: int) -> Sample:
        scene = self._scene(index)
        people, num_joints = scene.people, self.skeleton.num_keypoints
        return Sample(
            image=paint_scene(scene, np.random.default_rng((self.seed, index, 1)), self.style.colors),
            bboxes=np.array([one.bbox for one in people], np.float32).reshape(-1, 4),
            keypoints=np.array([one.keypoints for one in people], np.float32).reshape(-1, num_joints, 2),
            visibility=np.array([one.visibility for one in people], np.uint8).reshape(-1, num_joints),
            annotated=np.ones((len(people), num_joints), bool),
            area=np.array([one.area for one in people], np.float32),
            image_id=index,
            warp=np.eye(2, 3, dtype=np.float32),
        )

    def ground_truth(self) -> dict[str, Any]:
        """All annotations in COCO's format. Draws the silhouettes of every image once; no picture is painted."""
        return self._ground_truth

    @cached_property
    def _ground_truth(self) -> dict[str, Any]:
        height, width = self.image_size
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index in range(self.num_images):
            file_name = f"{self.name}_{self.seed}_{index:06d}.png"
            images.append({"id": index, "file_name": file_name, "height": height, "width": width})
            for person in self._scene(index).people:
                annotations.append(_annotation(person, index, len(annotations) + 1))
        category = {
            "id": 1,
            "name": "person",
            "supercategory": "person",
            "keypoints": list(self.skeleton.joints),
            "skeleton": [[a + 1, b + 1] for a, b in self.skeleton.limb_indices],
        }
        return {"images": images, "annotations": annotations, "categories": [category]}

    def _scene(self, index: int) -> Scene:
        rng = np.random.default_rng((self.seed, index, 0))
        return sample_scene(rng, self.image_size, self.style, self.skeleton.joints)


def _annotation(person: Person, image_id: int, annotation_id: int) -> dict[str, Any]:
    """COCO's record of a person; numbers are rounded to float32 as in ``Sample``, so both say the same."""
    x1, y1, x2, y2 = person.bbox.tolist()
    keypoints = person.keypoints.astype(np.float32).tolist()
    flags = person.visibility.tolist()
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": 1,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": person.area,
        "keypoints": [value for (x, y), flag in zip(keypoints, flags, strict=True) for value in (x, y, flag)],
        "num_keypoints": int(np.count_nonzero(person.visibility)),
        "iscrowd": 0,
    }
