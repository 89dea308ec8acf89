"""The reference's augmentation, replayed with the random numbers it drew on four COCO photographs.

Images are drawn after every step, as the reference does; that drawing them once gives the same is test_fused.py's.
"""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from sources import never

from rtmo.data.affine import AffineParams, RandomAffine
from rtmo.data.coco_pose import CocoPose
from rtmo.data.letterbox import LightAffine, LightParams
from rtmo.data.mixup import MixUp, MixUpParams
from rtmo.data.mosaic import Mosaic, MosaicParams
from rtmo.data.photometric import HSVJitter
from rtmo.data.transforms import Filter, Flip
from rtmo.skeletons import COCO17

SIZE = (640, 640)


@pytest.fixture(scope="module")
def golden(shared_dir):
    folder = shared_dir / "golden" / "pixels"
    return np.load(folder / "train_pipeline.npz"), json.loads((folder / "train_pipeline.json").read_text())


@pytest.fixture(scope="module")
def photographs(shared_dir):
    folder = shared_dir / "data" / "samples" / "coco"
    return CocoPose(name="samples", annotation_file=folder / "test_coco.json", image_dir=folder, skeleton=COCO17)


def assert_same(sample, arrays, prefix, grey_levels, mean_grey_level):
    """Compares annotations, and the image by its thumbnail of an eighth of the size."""
    np.testing.assert_allclose(sample.bboxes, arrays[f"{prefix}/bbox"], atol=1e-3)
    np.testing.assert_allclose(sample.keypoints, arrays[f"{prefix}/keypoints"], atol=1e-3)
    np.testing.assert_array_equal(sample.visibility > 0, arrays[f"{prefix}/keypoints_visible"] > 0)
    np.testing.assert_allclose(np.sqrt(sample.area), np.sqrt(arrays[f"{prefix}/area"]), atol=1e-3)
    expected = arrays[f"{prefix}/thumb"].astype(int)
    ours = cv2.resize(sample.image, expected.shape[1::-1], interpolation=cv2.INTER_AREA)
    difference = np.abs(ours - expected)
    assert difference.max() <= grey_levels
    assert difference.mean() <= mean_grey_level


def jitter(sample, shifts):
    rgb = HSVJitter().apply(cv2.cvtColor(sample.image, cv2.COLOR_BGR2RGB), shifts)
    return replace(sample, image=cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


def recorded(run):
    """Draws and parameters by type of step."""
    draws = {step["type"]: [value for _, _, value in step.get("draws", [])] for step in run["steps"]}
    params = {step["type"]: step["params"][0][1] for step in run["steps"] if step.get("params")}
    return draws, params


@pytest.mark.parametrize("number", range(6))
def test_main_augmentation(golden, photographs, number):
    (arrays, runs), prefix = golden, f"s_stage1/{number}"
    draws, params = recorded(runs[prefix])
    sample = photographs.load(runs[prefix]["start_index"])
    assert_same(sample, arrays, f"{prefix}/0_LoadImage", 0, 0)

    _, *others, x, y = draws["Mosaic"]
    meeting = MosaicParams(x=int(x * 640), y=int(y * 640))
    sample = Mosaic(image_size=SIZE).apply([sample, *(photographs.load(other) for other in others)], meeting).drawn()
    assert_same(sample, arrays, f"{prefix}/1_Mosaic", 0, 0)

    translation, (scale,), rotation, shear = params["BottomupRandomAffine"]
    moves = AffineParams(translation=tuple(translation), scale=scale, rotation=rotation, shear=tuple(shear))
    sample = RandomAffine(image_size=SIZE).apply(sample, moves).drawn()
    assert_same(sample, arrays, f"{prefix}/2_BottomupRandomAffine", 1, 0.05)  # warpAffine, not warpPerspective

    _, other, scale, flip, y, x = draws["YOLOXMixUp"]
    mixup, second = MixUp(image_size=SIZE, skeleton=COCO17), photographs.load(other)
    for move in mixup.moves(MixUpParams(scale=scale, flip=flip > 0.5, x=x, y=y)):
        second = move(second).drawn()  # after every move, as the reference does
    sample = mixup.blend(sample, second)
    assert_same(sample, arrays, f"{prefix}/3_YOLOXMixUp", 1, 0.2)

    check_colour_flip_filter(sample, arrays, prefix, params, first=4)


@pytest.mark.parametrize("size", ["s", "ml"])
@pytest.mark.parametrize("number", range(4))
def test_light_augmentation(golden, photographs, size, number):
    (arrays, runs), prefix = golden, f"{size}_stage2/{number}"
    _, params = recorded(runs[prefix])
    shift, (scale,), rotation, _ = params["BottomupRandomAffine"]
    sample = photographs.load(runs[prefix]["start_index"], with_ignore_mask=True)
    moves = LightParams(shift=tuple(shift), scale=scale, rotation=float(rotation))
    sample = LightAffine(image_size=SIZE).apply(sample, moves).drawn()
    np.testing.assert_allclose(sample.warp, arrays[f"{prefix}/1_BottomupRandomAffine/warp_mat"], atol=1e-4)
    assert_same(sample, arrays, f"{prefix}/1_BottomupRandomAffine", 1, 0.2)
    sample = check_colour_flip_filter(sample, arrays, prefix, params, first=2, filtered=5)

    packed = arrays[f"{prefix}/4_BottomupGetHeatmapMask/heatmap_mask"]
    ignored = np.unpackbits(packed).reshape(SIZE).astype(bool)
    assert (sample.ignore_mask != ignored).sum() <= 5  # of 409,600; pixels on the threshold


def check_colour_flip_filter(sample, arrays, prefix, params, first, filtered=None):
    sample = jitter(sample, params["YOLOXHSVRandomAug"])
    assert_same(sample, arrays, f"{prefix}/{first}_YOLOXHSVRandomAug", 2, 0.2)
    if params["RandomFlip"] == "horizontal":
        sample = Flip(skeleton=COCO17).apply(sample)
    assert_same(sample, arrays, f"{prefix}/{first + 1}_RandomFlip", 2, 0.2)
    sample = Filter()(sample, np.random.default_rng(0), never)
    assert_same(sample, arrays, f"{prefix}/{filtered or first + 2}_FilterAnnotations", 2, 0.2)
    return sample
