"""data.batch_size=auto: from the memory that two small steps take."""

from unittest.mock import Mock

import pytest
import torch
from networks import small_rtmo

from rtmo import config
from rtmo.assigners.simota import SimOTA
from rtmo.errors import InputError
from rtmo.losses.criterion import Criterion
from rtmo.skeletons import COCO17
from rtmo.train import KEYS
from rtmo.training import batch_size
from rtmo.training.batch_size import find_batch_size, random_people
from rtmo.training.module import PoseModule
from rtmo.weights.file import RECORD

SIZE = (64, 64)


@pytest.mark.parametrize(("free", "most", "expected"), [(1000, 256, 32), (1000, 16, 16), (1000, 24, 16), (50, 256, 1)])
def test_memory_grows_by_the_image(monkeypatch, free, most, expected) -> None:
    """20 bytes an image after the first 40: of 700 that may be used, 33 images fit."""
    monkeypatch.setattr(batch_size, "_free", lambda device: free)
    monkeypatch.setattr(batch_size, "_memory_of_step", lambda module, skeleton, batch, *_: 40 + 20 * batch)
    found = find_batch_size(Mock(spec=PoseModule), COCO17, image_size=SIZE, device=torch.device("cpu"), most=most)
    assert found == expected


def test_a_step_takes_memory_and_leaves_no_gradient(monkeypatch) -> None:
    criterion = Criterion(assigner=SimOTA(oks_sigmas=COCO17.oks_sigmas), oks_sigmas=COCO17.oks_sigmas)
    model = small_rtmo().train()
    module = Mock(spec=PoseModule, model=model, criterion=criterion, memory_format=torch.channels_last)
    module.zero_grad = model.zero_grad
    readings = iter([1000, 5000])
    monkeypatch.setattr(batch_size, "_used", lambda device: next(readings))
    assert batch_size._memory_of_step(module, COCO17, 2, SIZE, torch.device("cpu")) == 4000
    assert all(parameter.grad is None for parameter in model.parameters())


def test_people_lie_in_the_image() -> None:
    people = random_people(2, 5, (320, 640), COCO17)
    assert people.bboxes.shape == (2, 5, 4)
    for points in (people.bboxes.unflatten(-1, (2, 2)), people.keypoints):
        assert points.amin() >= 0
        assert points[..., 0].amax() <= 640
        assert points[..., 1].amax() <= 320


def test_a_run_that_goes_on_keeps_its_batch(monkeypatch) -> None:
    content = {RECORD: {"config": {"data": {"batch_size": 24}}}}
    monkeypatch.setattr(batch_size, "undamaged", lambda path: path)
    monkeypatch.setattr(batch_size, "check_resumable", lambda path, skeleton: content)
    cfg = {"skeleton": "coco17", "ckpt_path": "last.ckpt"}
    assert batch_size.automatic_batch_size(cfg, in_sweep=False) == 24


def test_jobs_of_a_sweep_are_not_compared_at_different_batches() -> None:
    overrides = ["model=rtmo_n", "data=synthetic", "trainer=cpu", "data.batch_size=auto", "paths.output_dir=somewhere"]
    cfg = config.validate(config.compose("train", overrides), "train", KEYS)
    with pytest.raises(InputError, match=r"data\.batch_size=auto: goes with one run on one device"):
        batch_size.automatic_batch_size(cfg, in_sweep=True)
