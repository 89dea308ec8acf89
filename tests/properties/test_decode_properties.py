"""What must hold of decoded poses whatever the network says."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import small_rtmo
from strategies import PROPERTY, seeds

from rtmo.types import HeadOutputs

MODEL = small_rtmo()
SIZE = (64, 96)
with torch.inference_mode():
    OUTPUTS = MODEL(torch.rand(3, 3, *SIZE) * 255)


def outputs(seed, strength):
    """What a head may say, mildly or wildly."""
    rng = np.random.default_rng(seed)

    def noise(like):
        return torch.from_numpy(rng.normal(0, strength, like.shape)).float()

    fields = {name: noise(getattr(OUTPUTS, name)) for name in ("cls_logits", "visibility_logits", "pose_vectors")}
    offsets = noise(OUTPUTS.bbox_offsets).clamp(max=20)  # beyond, exp of a side is no box any more
    grid = {name: getattr(OUTPUTS, name) for name in ("priors", "strides", "image_size")}
    return HeadOutputs(**fields, bbox_offsets=offsets, proxy_offsets=None, **grid)


def of_image(found, index):
    fields = ("cls_logits", "bbox_offsets", "visibility_logits", "pose_vectors")
    grid = {name: getattr(found, name) for name in ("priors", "strides", "image_size")}
    alone = {name: getattr(found, name)[index : index + 1] for name in fields}
    return HeadOutputs(**alone, proxy_offsets=None, **grid)


@given(seeds, st.sampled_from((0.1, 1.0, 10.0, 1000.0)))
@settings(PROPERTY, max_examples=8)
def test_poses_are_finite_within_the_image_and_of_their_own_image(seed, strength):
    found = outputs(seed, strength)
    poses = MODEL.decode(found, 0.6, 0.65)
    for index, of_batch in enumerate(poses):
        for field in ("bboxes", "scores", "keypoints", "keypoint_scores"):
            assert getattr(of_batch, field).isfinite().all(), field
        assert (of_batch.bboxes >= 0).all()
        assert (of_batch.bboxes <= torch.tensor([SIZE[1], SIZE[0]] * 2)).all()
        assert (of_batch.scores[:-1] >= of_batch.scores[1:]).all()
        assert (of_batch.scores > 0.6).all()
        (alone,) = MODEL.decode(of_image(found, index), 0.6, 0.65)
        torch.testing.assert_close(alone.bboxes, of_batch.bboxes)
        torch.testing.assert_close(alone.keypoints, of_batch.keypoints, rtol=1e-3, atol=1e-2)
