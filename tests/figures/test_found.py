import numpy as np
import torch

from rtmo.data.letterbox import fitted
from rtmo.data.synthetic.source import SyntheticPeople
from rtmo.figures.found import find_people
from rtmo.ops.affine import unwarp_poses


def test_people_are_those_of_decode_in_px_of_the_stored_image(network):
    sample = SyntheticPeople(num_images=1, image_size=(96, 160), seed=0).load(0)
    seen = fitted(sample, network.image_size).drawn()
    images = torch.from_numpy(seen.pixels).permute(2, 0, 1)[None].float()
    (poses,) = network.model.decode(network.model(images), network.score_thr, network.nms_thr)
    poses = unwarp_poses(poses, torch.from_numpy(seen.warp).float())

    found = find_people(network, sample)

    assert len(found) == len(poses) == 20
    np.testing.assert_array_equal(found.image, sample.pixels)
    torch.testing.assert_close(found.scores, poses.scores)
    torch.testing.assert_close(found.codes.keypoints, poses.keypoints)


def test_joints_are_the_means_of_their_heatmaps_over_the_bins(network):
    codes = find_people(network, SyntheticPeople(num_images=1, image_size=(96, 160), seed=0).load(0)).codes

    means = [(codes.heatmap_x * codes.bins_x[:, None]).sum(-1), (codes.heatmap_y * codes.bins_y[:, None]).sum(-1)]

    torch.testing.assert_close(torch.stack(means, dim=-1), codes.keypoints, atol=1e-2, rtol=1e-4)


def test_nobody_above_the_threshold(network):
    sure = type(network)(network.model, network.skeleton, network.image_size, score_thr=1.0)
    found = find_people(sure, SyntheticPeople(num_images=1, image_size=(64, 64), seed=0).load(0))
    assert len(found) == 0
    assert found.codes.keypoints.shape == (0, 17, 2)
