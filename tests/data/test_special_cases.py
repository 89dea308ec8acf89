"""Images without people, crowds, people without keypoints and tiny people: what docs/data.md says becomes of them."""

import json

import cv2
import numpy as np
import pytest
import torch
from sources import SIZE, SPOT

from rtmo.assigners.simota import SimOTA
from rtmo.data.affine import RandomAffine
from rtmo.data.coco_pose import CocoPose
from rtmo.data.collate import collate
from rtmo.data.letterbox import LightAffine
from rtmo.data.mixup import MixUp
from rtmo.data.mosaic import Mosaic
from rtmo.data.pipeline import TrainDataset, ValDataset
from rtmo.data.transforms import Filter
from rtmo.ops.priors import make_priors
from rtmo.phases import Phases
from rtmo.types import Targets

PERSON = {"bbox": [10, 10, 30, 40], "keypoints": [15, 15, 2, 35, 45, 2], "area": 900}
UNLABELED = {"bbox": [50, 10, 30, 40], "keypoints": [0] * 6, "area": 900}
CROWD = {"bbox": [0, 60, 90, 30], "keypoints": [20, 70, 2, 60, 80, 2], "area": 2700, "iscrowd": 1}
TINY = {"bbox": [70, 70, 0.9, 5], "keypoints": [70.2, 71, 2, 70.8, 74, 2], "area": 4.5}
STEPS = {
    "main": {
        "mosaic": Mosaic(image_size=SIZE),
        "affine": RandomAffine(image_size=SIZE),
        "mixup": MixUp(image_size=SIZE, skeleton=SPOT),
        "filter": Filter(),
    },
    "light": {"affine": LightAffine(image_size=SIZE, shift=0, rotation=0, scale=(1, 1)), "filter": Filter()},
}


@pytest.fixture
def source(tmp_path):
    """A data set of images with these people in each."""

    def make(*images, **options):
        cv2.imwrite(str(tmp_path / "grey.png"), np.full((90, 90, 3), 114, dtype=np.uint8))
        content = {
            "images": [{"id": number, "file_name": "grey.png"} for number in range(len(images))],
            "annotations": [
                {**person, "id": 10 * number + place, "image_id": number, "category_id": 1}
                for number, people in enumerate(images)
                for place, person in enumerate(people)
            ],
            "categories": [{"id": 1, "name": "person", "keypoints": list(SPOT.joints)}],
        }
        (tmp_path / "people.json").write_text(json.dumps(content))
        return CocoPose(
            name="cases", annotation_file=tmp_path / "people.json", image_dir=tmp_path, skeleton=SPOT, **options
        )

    return make


def samples(source, phase):
    """Twenty epochs of augmented samples of the first image."""
    phases = Phases(refine_start=0.0, light_start=0.0) if phase == "C" else Phases()
    data = TrainDataset(source=source, image_size=SIZE, augment=STEPS, phases=phases, max_epochs=100, seed=0)
    return [data[epoch, 0] for epoch in range(20)]


@pytest.mark.parametrize("phase", ["A", "C"])
def test_images_without_people_are_negatives_where_they_are_wanted(source, phase):
    assert len(source([PERSON], [])) == 1
    both = source([], [PERSON], drop_empty=False)
    assert len(both) == 2
    shown = samples(both, phase)
    assert (phase == "A") == any(item.sample.num_people for item in shown)  # of the other images of a mosaic
    batch = collate(samples(source([], [], drop_empty=False), phase)[:2])
    assert not batch.targets.valid.any()


@pytest.mark.parametrize("nobody", [CROWD, UNLABELED], ids=["crowd", "without keypoints"])
def test_whom_nobody_labeled_is_no_target_and_in_phase_c_no_background_either(source, nobody):
    ours = source([PERSON, nobody])
    for item in samples(ours, "A"):
        assert item.sample.ignore_mask is None  # as published, background in phases A and B
        assert item.sample.num_people <= 5  # the person of four tiles and of the other image of MixUp
    (item, *_) = samples(ours, "C")
    assert item.sample.num_people == 1
    scale = SIZE[0] / 90
    x, y, width, height = (round(value * scale) for value in nobody["bbox"])
    covered = np.zeros(SIZE, dtype=bool)
    covered[y : y + height, x : x + width] = True
    assert (item.sample.ignore_mask & covered).sum() > 0.9 * covered.sum()
    assert (item.sample.ignore_mask & ~covered).sum() < 0.1 * covered.sum()
    assert ValDataset(source=ours, image_size=SIZE)[0].sample.num_people == 1


def test_people_of_a_pixel_or_less_are_dropped_after_augmentation(source):
    (item, *_) = samples(source([PERSON, TINY]), "C")
    assert item.sample.num_people == 1
    kept = SIZE[0] / 90 * np.array(PERSON["area"]) * SIZE[0] / 90
    np.testing.assert_allclose(item.sample.area, kept, rtol=1e-3)


def test_people_smaller_than_a_grid_cell_are_learned_from():
    """A person of 3 px between two priors of stride 16 still gets priors: those near the centre are candidates."""
    targets = Targets(
        bboxes=torch.tensor([[[38.5, 38.5, 41.5, 41.5]]]),
        keypoints=torch.tensor([[[[39.0, 39.0], [41.0, 41.5]]]]),
        visibility=torch.full((1, 1, 2), 2, dtype=torch.uint8),
        annotated=torch.ones(1, 1, 2, dtype=torch.bool),
        area=torch.tensor([[9.0]]),
        valid=torch.tensor([[True]]),
    )
    priors, strides = make_priors((128, 128), (16, 32))
    num_priors = len(priors)
    boxes = torch.cat([priors - 8, priors + 8], dim=-1)[None]
    assignment = SimOTA(oks_sigmas=SPOT.oks_sigmas)(
        torch.zeros(1, num_priors, 1),
        boxes,
        priors[None, :, None].expand(1, num_priors, 2, 2),
        priors=priors,
        strides=strides,
        targets=targets,
    )
    assert (assignment.gt_index >= 0).sum() >= 1
