"""What must hold of the assignment whatever the network predicts and wherever people are."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import PROPERTY, boxes, seeds

from rtmo.assigners.simota import SimOTA
from rtmo.ops.priors import make_priors
from rtmo.types import Targets

JOINTS, SIDE = 3, 128
PRIORS, STRIDES = make_priors((SIDE, SIDE), (16, 32), dtype=torch.float64)
SIMOTA = SimOTA(oks_sigmas=[0.05] * JOINTS).double()


def image(seed, people):
    """Predictions, and people some of which are padding, nowhere, without joints, or in the same place."""
    rng = np.random.default_rng(seed)
    count = len(PRIORS)
    predicted = {
        "cls_logits": torch.from_numpy(rng.normal(0, 3, (1, count, 1))),
        "bboxes": boxes(rng, count, SIDE)[None],
        "proxy_keypoints": torch.from_numpy(rng.uniform(0, SIDE, (1, count, JOINTS, 2))),
    }
    bboxes = boxes(rng, people, SIDE)
    bboxes[rng.random(people) < 0.1] += 10 * SIDE
    low, high = bboxes[:, None, :2], bboxes[:, None, 2:]
    keypoints = low + torch.from_numpy(rng.random((people, JOINTS, 2))) * (high - low)
    targets = {
        "bboxes": bboxes,
        "keypoints": keypoints,
        "visibility": torch.from_numpy(rng.integers(0, 3, (people, JOINTS)).astype(np.uint8)),
        "annotated": torch.ones(people, JOINTS, dtype=torch.bool),
        "area": torch.from_numpy(rng.uniform(1, 5000, people)),
        "valid": torch.from_numpy(rng.random(people) < 0.8),
    }
    return predicted, targets


def assign(predicted, targets, simota=SIMOTA):
    batch = Targets(**{name: value[None] for name, value in targets.items()})
    return simota(**predicted, priors=PRIORS, strides=STRIDES, targets=batch)


def near_or_in(targets):
    """Which priors lie in the box of a person, or within 2.5 strides of their labeled joints' mean; (G, P)."""
    low, high = targets["bboxes"][:, None, :2], targets["bboxes"][:, None, 2:]
    labeled = (targets["visibility"] > 0).double()[..., None]
    mean = (targets["keypoints"] * labeled).sum(1) / labeled.sum(1).clamp(min=1)
    centre = torch.where(labeled.any(1), mean, targets["bboxes"].reshape(-1, 2, 2).mean(1))
    near = (PRIORS - centre[:, None]).abs().amax(-1) < 2.5 * STRIDES
    return (((low < PRIORS) & (high > PRIORS)).all(-1) | near) & targets["valid"][:, None]


@given(seeds, st.sampled_from((0, 1, 3, 8)))
@PROPERTY
def test_people_get_priors_and_padding_none(seed, people):
    predicted, targets = image(seed, people)
    found = assign(predicted, targets)
    index = found.gt_index[0]
    assert ((index >= -1) & (index < people)).all()
    chosen = index[index >= 0]
    assert targets["valid"][chosen].all(), "padding took a prior"
    assert ((found.oks >= 0) & (found.oks <= 1)).all()
    assert not found.oks[0][index < 0].any()
    reached = near_or_in(targets).any(0)
    assert reached[index >= 0].all(), "a prior that is no candidate was taken"
    if targets["valid"].sum() == 1 and reached.any():  # nobody contests a prior
        assert len(chosen) >= 1, "a person with candidates got none"


@given(seeds)
@PROPERTY
def test_the_order_of_people_and_images_does_not_matter(seed):
    predicted, targets = image(seed, 6)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(6))
    found, reordered = (assign(predicted, each) for each in (targets, {n: v[order] for n, v in targets.items()}))
    back = torch.cat([order, torch.tensor([-1])])
    person = back[reordered.gt_index]
    alike = torch.cdist(targets["bboxes"], targets["bboxes"]) == 0  # whose costs may tie
    differing = (person != found.gt_index).nonzero()[:, 1].tolist()
    assert all(alike[person[0, prior], found.gt_index[0, prior]] for prior in differing)
    other, _ = image(seed + 1, 6)
    both = {name: torch.cat([predicted[name], other[name]]) for name in predicted}
    batch = Targets(**{name: torch.stack([value, value]) for name, value in targets.items()})
    together = SIMOTA(**both, priors=PRIORS, strides=STRIDES, targets=batch)
    assert torch.equal(together.gt_index[0], found.gt_index[0])
    assert torch.equal(together.gt_index[1], assign(other, targets).gt_index[0])
