"""What must hold of moves of images and people, whatever their sizes are."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from sources import SPOT, always, never, spots_in, spotted
from strategies import PROPERTY, seeds

from rtmo.data.affine import AffineParams, RandomAffine
from rtmo.data.letterbox import Letterbox, LightParams
from rtmo.data.mosaic import Mosaic
from rtmo.data.transforms import Flip
from rtmo.ops.affine import unwarp_points

sides = st.integers(40, 300)


def sample(seed, height=96, width=128):
    rng = np.random.default_rng(seed)
    left, right = ((int(x), int(y)) for x, y in rng.uniform((10, 10), (width - 10, height - 10), (2, 2)))
    return spotted(left, right, (height, width))


@given(seeds, sides, sides, st.sampled_from(((64, 64), (96, 160), (320, 64))))
@PROPERTY
def test_a_letterbox_can_be_undone(seed, height, width, frame):
    before = sample(seed, height, width)
    after = Letterbox(image_size=frame).apply(before, LightParams())
    assert after.image_size == frame
    assert (after.visibility == before.visibility).all(), "a joint of the image is outside of the frame"
    back = unwarp_points(torch.from_numpy(after.keypoints).double(), torch.from_numpy(after.warp))
    np.testing.assert_allclose(back, before.keypoints, atol=1e-2)


@given(seeds, st.floats(-180, 180), st.floats(0.3, 3), st.floats(-20, 20))
@PROPERTY
def test_an_affine_move_can_be_undone(seed, rotation, scale, shear):
    before = sample(seed)
    params = AffineParams(translation=(0.1, -0.05), scale=scale, rotation=rotation, shear=(shear, -shear))
    affine = RandomAffine(image_size=(96, 128))
    after = affine.apply(before, params)
    back = unwarp_points(torch.from_numpy(after.keypoints).double(), torch.from_numpy(after.warp))
    np.testing.assert_allclose(back, before.keypoints, atol=1e-2)
    linear = affine.matrix(before.image_size, params)[:, :2]
    np.testing.assert_allclose(after.area, before.area * abs(np.linalg.det(linear)), rtol=1e-5)
    x1, y1, x2, y2 = after.bboxes.T
    assert ((x1 >= 0) & (x1 <= x2) & (x2 <= 128) & (y1 >= 0) & (y1 <= y2) & (y2 <= 96)).all()


@given(seeds, sides, sides)
@PROPERTY
def test_a_flip_undoes_itself(seed, height, width):
    before, rng = sample(seed, height, width), np.random.default_rng(seed)
    flip = Flip(skeleton=SPOT, prob=1.0)
    once = flip(before, rng, never)
    twice = flip(once, rng, never)
    np.testing.assert_allclose(once.keypoints[:, ::-1, 0], width - 1 - before.keypoints[..., 0], atol=1e-3)
    for field in ("keypoints", "visibility", "bboxes", "warp"):
        np.testing.assert_allclose(getattr(twice, field), getattr(before, field), atol=1e-3, err_msg=field)
    np.testing.assert_array_equal(twice.drawn().image, before.image)


@given(seeds)
@PROPERTY
def test_a_mosaic_keeps_keypoints_on_their_pixels(seed):
    before, rng = sample(seed), np.random.default_rng(seed)
    mosaic = Mosaic(image_size=(96, 128), centre=(1.0, 1.0))  # every image whole
    after = mosaic(before, rng, always(sample(seed + 1))).drawn()
    first = after.image[:96, :128]
    if np.linalg.norm(before.keypoints[0, 0] - before.keypoints[0, 1]) > 25:  # spots apart can be told
        np.testing.assert_allclose(spots_in(first), after.keypoints[0], atol=1.0)
