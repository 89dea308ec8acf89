import pytest
import torch
from networks import small_rtmo

from rtmo.models.flip_test import flip_test, mirror_bboxes, mirror_points, partner_priors
from rtmo.skeletons import COCO17, CROWDPOSE14
from rtmo.types import Poses

THRESHOLDS = {"score_thr": 0.1, "nms_thr": 0.65}


def images(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand((2, 3, height, width), generator=torch.Generator().manual_seed(seed)) * 255


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (96, 160)])
def test_every_grid_point_has_its_partner(height, width):
    outputs = small_rtmo()(images(height, width))
    partners = partner_priors(outputs)
    assert sorted(partners.tolist()) == list(range(len(outputs.priors)))
    assert torch.equal(mirror_points(outputs.priors, width), outputs.priors[partners])
    assert torch.equal(outputs.strides, outputs.strides[partners])


def features(poses: Poses) -> torch.Tensor:
    """All that is known of each person, in a row; scores count as much as 100 px, boxes are clipped and left out."""
    return torch.cat([poses.keypoints.flatten(1), 100 * poses.keypoint_scores, 100 * poses.scores[:, None]], dim=1)


def mirrored(poses: Poses, width: int, joints: list[int]) -> Poses:
    return Poses(
        bboxes=mirror_bboxes(poses.bboxes, width),
        scores=poses.scores,
        keypoints=mirror_points(poses.keypoints, width)[:, joints],
        keypoint_scores=poses.keypoint_scores[:, joints],
    )


def are_the_same(a: Poses, b: Poses) -> bool:
    """Whether everybody of the one has a twin in the other; people of nearly the same score may come in any order."""
    distance = torch.cdist(features(a), features(b), p=torch.inf)
    return len(a) == len(b) and max(distance.amin(dim=0).max().item(), distance.amin(dim=1).max().item()) < 0.01


@pytest.mark.parametrize(("skeleton", "decoding"), [(COCO17, "dcc"), (CROWDPOSE14, "dcc"), (COCO17, "regression")])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (96, 160)])
def test_a_mirrored_image_gives_the_mirrored_poses(skeleton, decoding, height, width):
    model, batch = small_rtmo(skeleton, decoding=decoding), images(height, width)
    joints = list(skeleton.flip_indices)
    found = flip_test(model, batch, joints, **THRESHOLDS)
    of_mirrored = flip_test(model, batch.flip(-1), joints, **THRESHOLDS)
    for poses, others in zip(found, of_mirrored, strict=True):
        assert len(poses) > 10
        assert are_the_same(poses, mirrored(others, width, joints))
    plain, plain_mirrored = (model.decode(model(each), **THRESHOLDS)[0] for each in (batch, batch.flip(-1)))
    assert not are_the_same(plain, mirrored(plain_mirrored, width, joints))  # else it would say nothing


def test_both_images_count_half():
    model, batch, joints = small_rtmo(), images(64, 96), list(COCO17.flip_indices)
    everybody = {"score_thr": 0.0, "nms_thr": 1.0}  # at every grid point

    def visibility(poses: Poses) -> torch.Tensor:
        return poses.keypoint_scores.double().logit().mean(dim=0)

    both = visibility(flip_test(model, batch, joints, **everybody)[0])
    plain = visibility(model.decode(model(batch), **everybody)[0])
    of_mirrored = visibility(model.decode(model(batch.flip(-1)), **everybody)[0])[joints]
    assert (plain - of_mirrored).abs().max() > 0.01
    torch.testing.assert_close(both, (plain + of_mirrored) / 2, atol=1e-4, rtol=0)


def test_no_people():
    found = flip_test(small_rtmo(), images(64, 96), COCO17.flip_indices, score_thr=1.0, nms_thr=0.65)
    assert [len(poses) for poses in found] == [0, 0]
    assert found[0].keypoints.shape == (0, 17, 2)
