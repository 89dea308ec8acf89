"""What must hold of OKS whatever the poses are."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import PROPERTY, seeds

from rtmo.ops.keypoints import oks, pairwise_oks
from rtmo.skeletons import COCO17

SIGMAS = torch.tensor(COCO17.oks_sigmas, dtype=torch.float64)


def people(seed, count=4):
    rng = np.random.default_rng(seed)
    gt = torch.from_numpy(rng.uniform(-50, 600, (count, 17, 2)))
    pred = gt + torch.from_numpy(rng.normal(0, rng.choice((1e-3, 5, 80, 1e5)), gt.shape))
    area = torch.from_numpy(rng.choice((0.0, 1.0, 900.0, 4e5), count))
    return pred, gt, torch.from_numpy(rng.random((count, 17)) < 0.6), area, rng


@given(seeds)
@PROPERTY
def test_oks_is_a_share_and_1_for_itself(seed):
    pred, gt, labeled, area, _ = people(seed)
    values = pairwise_oks(pred, gt, labeled, area, SIGMAS)
    assert ((values >= 0) & (values <= 1 + 1e-12)).all()
    torch.testing.assert_close(oks(gt, gt, labeled, area, SIGMAS), labeled.any(-1).double())
    torch.testing.assert_close(values.diagonal(), oks(pred, gt, labeled, area, SIGMAS))


@given(seeds)
@PROPERTY
def test_the_order_of_joints_and_people_does_not_matter(seed):
    pred, gt, labeled, area, rng = people(seed)
    joints, order = torch.from_numpy(rng.permutation(17)), torch.from_numpy(rng.permutation(len(gt)))
    values = pairwise_oks(pred, gt, labeled, area, SIGMAS)
    shuffled = pairwise_oks(pred[:, joints], gt[:, joints], labeled[:, joints], area, SIGMAS[joints])
    torch.testing.assert_close(shuffled, values)
    reordered = pairwise_oks(pred[order], gt[order], labeled[order], area[order], SIGMAS)
    torch.testing.assert_close(reordered, values[order][:, order])


@given(seeds, st.floats(0.5, 20), st.floats(-1e3, 1e3))
@PROPERTY
def test_oks_knows_neither_place_nor_scale(seed, scale, shift):
    pred, gt, labeled, area, _ = people(seed)
    area = area.clamp(min=900)  # small ones are taken for 1 px^2, which is no scale of theirs
    moved = pairwise_oks(pred * scale + shift, gt * scale + shift, labeled, area * scale**2, SIGMAS)
    torch.testing.assert_close(moved, pairwise_oks(pred, gt, labeled, area, SIGMAS), rtol=1e-6, atol=1e-9)
