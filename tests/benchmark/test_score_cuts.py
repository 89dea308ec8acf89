"""Thresholds at which exactly so many people come out."""

import pytest
import torch
from networks import small_rtmo

from rtmo.benchmark.people import find_cuts
from rtmo.errors import InputError


@pytest.fixture(scope="module")
def image():
    return torch.randint(0, 256, (1, 3, 64, 64), generator=torch.Generator().manual_seed(0)).float()


def test_exactly_as_many_people_come_out(image):
    model = small_rtmo()
    outputs = model(image)
    cuts = find_cuts(model, outputs, [1, 3, 19], nms_thr=1.0)
    for cut, count in zip(cuts, (1, 3, 19), strict=True):
        (poses,) = model.decode(outputs, cut.score_thr, 1.0)
        assert len(poses) == cut.people == cut.candidates == count  # an nms_thr of 1 lets all candidates through


def test_suppressed_candidates_are_counted(image):
    model = small_rtmo(seed=3)
    (cut,) = find_cuts(model, model(image), [2], nms_thr=0.0)
    assert cut.candidates > cut.people == 2


def test_more_people_than_there_are_is_an_error(image):
    model = small_rtmo()
    with pytest.raises(InputError, match="people=20: the network finds at most 19 in the image; raise image_size"):
        find_cuts(model, model(image), [20], nms_thr=1.0)
