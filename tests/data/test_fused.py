"""Images that are moved by several steps and drawn once are what they are when every step draws."""

import numpy as np
import pytest
from sources import SPOT, always, spots_in, spotted

from rtmo.data.affine import RandomAffine
from rtmo.data.coco_pose import CocoPose
from rtmo.data.letterbox import LightAffine
from rtmo.data.mixup import MixUp
from rtmo.data.mosaic import Mosaic
from rtmo.skeletons import COCO17


def geometry(size, skeleton):
    return [
        Mosaic(image_size=size),
        RandomAffine(image_size=size),
        MixUp(image_size=size, skeleton=skeleton),
    ]


def fused(steps, sample, draw, seed):
    rng = np.random.default_rng(seed)
    for step in steps:
        sample = step(sample, rng, draw)
    return sample.drawn()


def stepwise(steps, sample, draw, seed):
    """The same, drawn after every step and every move within MixUp."""
    rng = np.random.default_rng(seed)
    sample = sample.drawn()
    for step in steps:
        if isinstance(step, MixUp):
            assert rng.random() < step.prob
            other = draw(rng).drawn()
            for move in step.moves(step.draw(rng)):
                other = move(other).drawn()
            sample = step.blend(sample, other)
        else:
            sample = step(sample, rng, lambda rng: draw(rng).drawn()).drawn()
    return sample


def assert_same_people(first, second):
    np.testing.assert_allclose(first.keypoints, second.keypoints, atol=1e-3)
    np.testing.assert_allclose(first.bboxes, second.bboxes, atol=1e-3)
    np.testing.assert_array_equal(first.visibility, second.visibility)
    np.testing.assert_allclose(first.area, second.area, rtol=1e-6)
    np.testing.assert_allclose(first.warp, second.warp, atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("mixed_in", [False, True])
def test_pixels_are_at_the_keypoints(seed, mixed_in):
    size, grey = (256, 256), spotted((9, 9), (20, 20), size=(240, 256))
    grey.image[:] = 114
    shown = spotted(left=(150, 180), right=(175, 150), size=(240, 256), ignore=True)
    if mixed_in:
        steps = [MixUp(image_size=size, skeleton=SPOT)]
        results = [run(steps, grey, always(shown), seed) for run in (fused, stepwise)]
    else:
        steps = [*geometry(size, SPOT)[:2], MixUp(image_size=size, skeleton=SPOT)]
        results = [run(steps, shown, always(grey), seed) for run in (fused, stepwise)]
    ours, expected = results
    assert_same_people(ours, expected)
    keypoints, visible = ours.keypoints[-1 if mixed_in else 0], ours.visibility[-1 if mixed_in else 0]
    if (visible > 0).all() and (np.abs(keypoints - 128) < 120).all():
        found = [spots_in(result.image) for result in results]
        np.testing.assert_allclose(found[0], found[1], atol=0.25)
        order = [1, 0] if np.abs(found[0] - keypoints).max() > np.abs(found[0] - keypoints[::-1]).max() else [0, 1]
        np.testing.assert_allclose(
            found[0], keypoints[order], atol=1.0
        )  # resizing moves pixels by half of what they grow
        assert (ours.ignore_mask != expected.ignore_mask).mean() < 0.005


@pytest.fixture(scope="module")
def photographs(shared_dir):
    folder = shared_dir / "data" / "coco"
    return CocoPose(
        name="photographs",
        annotation_file=folder / "annotations" / "person_keypoints_train2017.json",
        image_dir=folder / "train2017",
        skeleton=COCO17,
        max_images=12,
    )


@pytest.mark.parametrize("seed", range(4))
def test_photographs_look_the_same(photographs, seed):
    def draw(rng):
        return photographs.load_undrawn(int(rng.integers(len(photographs))), with_ignore_mask=True)

    for steps in (geometry((640, 640), COCO17), [LightAffine(image_size=(640, 640))]):
        ours, expected = (
            run(steps, photographs.load_undrawn(seed, with_ignore_mask=True), draw, seed) for run in (fused, stepwise)
        )
        assert_same_people(ours, expected)
        difference = np.abs(ours.image.astype(int) - expected.image)
        print(seed, difference.mean(), (difference > 40).mean(), (ours.ignore_mask != expected.ignore_mask).mean())
        assert difference.mean() < 2
        assert (difference > 40).mean() < 0.01  # one interpolation is sharper than two
        assert (ours.ignore_mask != expected.ignore_mask).mean() < 0.005
