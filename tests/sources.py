"""Small sources of images and people for tests."""

import numpy as np

from rtmo.data.affine import RandomAffine
from rtmo.data.letterbox import LightAffine
from rtmo.data.mixup import MixUp
from rtmo.data.mosaic import Mosaic
from rtmo.data.photometric import Albumentations, HSVJitter
from rtmo.data.source import PoseSource
from rtmo.data.transforms import Draw, Filter, Flip, Transform
from rtmo.skeletons import COCO17, KeypointSet
from rtmo.types import Sample

SIZE = (64, 64)

SPOT = KeypointSet(
    name="spot",
    joints=("left_spot", "right_spot"),
    flip_pairs=(("left_spot", "right_spot"),),
    limbs=(),
    oks_sigmas=(0.1, 0.1),
)


class NoiseSource(PoseSource):
    """Noise images of several sizes with 0 to 3 people each, a function of the index."""

    name = "noise"
    skeleton = COCO17

    def __init__(self, num_images: int = 5) -> None:
        self.num_images = num_images

    def __len__(self) -> int:
        return self.num_images

    def load(self, index: int, with_ignore_mask: bool = False) -> Sample:
        rng = np.random.default_rng(index)
        height, width, people = 40 + 8 * (index % 3), 56 + 8 * (index % 2), index % 4
        corners = np.sort(rng.uniform(0, 40, (people, 2, 2)), axis=1).reshape(people, 4)
        return Sample(
            image=rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
            bboxes=corners.astype(np.float32),
            keypoints=rng.uniform(0, 40, (people, 17, 2)).astype(np.float32),
            visibility=rng.integers(0, 3, (people, 17)).astype(np.uint8),
            annotated=np.ones((people, 17), dtype=bool),
            area=rng.uniform(100, 900, people).astype(np.float32),
            image_id=100 + index,
            ignore_mask=rng.random((height, width)) < 0.3 if with_ignore_mask else None,
            warp=np.eye(2, 3),
        )

    def ground_truth(self) -> dict:
        return {"images": [{"id": 100 + index} for index in range(len(self))], "annotations": [], "categories": []}


def spotted(
    left: tuple[int, int], right: tuple[int, int], size: tuple[int, int] = (96, 128), ignore: bool = False
) -> Sample:
    """A grey image with a blue spot at the left keypoint and a red one at the right, so that pixels can be asked
    where the keypoints are; the box has the spots in its corners and the ignore mask covers it.

    Args:
        left: (x, y) in px.
        right: Likewise.
        size: (height, width) in px.
        ignore: Whether there is a mask.
    """
    height, width = size
    y, x = np.mgrid[:height, :width]
    image = np.full((height, width, 3), 114, dtype=np.uint8)
    for channel, (spot_x, spot_y) in ((0, left), (2, right)):
        near = np.exp(-((x - spot_x) ** 2 + (y - spot_y) ** 2) / 8)
        image[..., channel] = (114 + 141 * near).astype(np.uint8)
    points = np.array([[left, right]], dtype=np.float32)
    box = np.concatenate([points[0].min(0), points[0].max(0)])
    covered = (x >= box[0]) & (x <= box[2]) & (y >= box[1]) & (y <= box[3])
    return Sample(
        image=image,
        bboxes=box[None],
        keypoints=points,
        visibility=np.array([[2, 1]], dtype=np.uint8),
        annotated=np.array([[True, True]]),
        area=np.array([100.0], dtype=np.float32),
        image_id=7,
        ignore_mask=covered if ignore else None,
        warp=np.eye(2, 3),
    )


def spots_in(image: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """Where the blue and the red spot of an image are: the middle of what is at least half as bright, (2, 2) px."""
    found = []
    for channel in (0, 2):
        excess = image[..., channel].astype(float) - image[..., 1]
        y, x = np.nonzero(excess > excess.max() / 2)
        found.append((x.mean(), y.mean()))
    return np.array(found)


def never(rng: np.random.Generator) -> Sample:
    """A ``draw`` for transforms that must not ask for another image."""
    raise AssertionError("asked for another image")


def always(sample: Sample) -> Draw:
    """A ``draw`` that gives this sample."""
    return lambda rng: sample


def published() -> dict[str, dict[str, Transform | None]]:
    """The steps of the published augmentation, at SIZE."""
    colour = Albumentations(transforms={"hsv": HSVJitter()})
    main = {
        "mosaic": Mosaic(image_size=SIZE),
        "affine": RandomAffine(image_size=SIZE),
        "mixup": MixUp(image_size=SIZE, skeleton=COCO17),
        "colour": colour,
        "flip": Flip(skeleton=COCO17),
        "filter": Filter(),
    }
    light = {"affine": LightAffine(image_size=SIZE), **{name: main[name] for name in ("colour", "flip", "filter")}}
    return {"main": main, "light": light}
