import numpy as np
import pytest
import torch

from rtmo.training.multiscale import MultiScale, resize_batch
from rtmo.types import Batch, Targets


def make_batch(images: torch.Tensor, keypoints: torch.Tensor, mask: torch.Tensor | None = None) -> Batch:
    count, people, joints = keypoints.shape[:3]
    targets = Targets(
        bboxes=torch.tensor([8.0, 8.0, 40.0, 56.0]).expand(count, people, 4),
        keypoints=keypoints,
        visibility=torch.full((count, people, joints), 2, dtype=torch.uint8),
        annotated=torch.ones(count, people, joints, dtype=torch.bool),
        area=torch.full((count, people), 100.0),
        valid=torch.ones(count, people, dtype=torch.bool),
    )
    warps = torch.eye(2, 3).expand(count, 2, 3)
    return Batch(images, targets, mask, list(range(count)), warps, torch.full((count, 2), 64))


def test_as_the_reference(shared_dir) -> None:
    units = np.load(shared_dir / "golden" / "units.npz")
    batch = make_batch(torch.from_numpy(units["resize/x"]), torch.from_numpy(units["resize/kpts_in"]))
    resized = resize_batch(batch, (96, 96))
    np.testing.assert_allclose(resized.images, units["resize/y"], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(resized.targets.keypoints, units["resize/kpts"], rtol=1e-6)
    torch.testing.assert_close(resized.targets.area, torch.full((2, 1), 225.0))
    torch.testing.assert_close(resized.warps[0], torch.eye(2, 3) * 1.5)


def test_everything_follows_the_image() -> None:
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[:, :32] = True
    batch = make_batch(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.full((1, 1, 3, 2), 10.0), mask)
    resized = resize_batch(batch, (32, 128))
    assert resized.images.shape == (1, 3, 32, 128)
    assert resized.targets.bboxes[0, 0].tolist() == [16.0, 4.0, 80.0, 28.0]
    assert resized.targets.keypoints[0, 0, 0].tolist() == [20.0, 5.0]
    assert resized.ignore_mask is not None
    assert resized.ignore_mask[0, :16].all()
    assert not resized.ignore_mask[0, 16:].any()


def test_size_is_a_function_of_seed_epoch_and_batch() -> None:
    scale = MultiScale(min_size=480, max_size=800, seed=3)
    sizes = [scale.size(epoch, batch, (640, 640)) for epoch in range(1, 6) for batch in range(40)]
    assert sizes == [
        MultiScale(min_size=480, max_size=800, seed=3).size(epoch, batch, (640, 640))
        for epoch in range(1, 6)
        for batch in range(40)
    ]
    assert {height for height, _ in sizes} == set(range(480, 801, 32))
    assert all(height == width for height, width in sizes)
    assert scale.size(0, 0, (640, 640)) == (640, 640)


@pytest.mark.parametrize(("low", "high"), [(100, 320), (320, 330), (640, 320), (0, 320)])
def test_bounds(low: int, high: int) -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        MultiScale(min_size=low, max_size=high, seed=0)
