from pathlib import Path

import numpy as np
import pytest
import torch

from rtmo.ops.boxes import pairwise_iou
from rtmo.ops.nms import BLOCK, nms


@pytest.mark.parametrize("threshold", ["0.65", "0.3"])
def test_as_the_reference(shared_dir: Path, threshold: str) -> None:
    units = np.load(shared_dir / "golden" / "units.npz")
    kept = nms(torch.from_numpy(units["nms/boxes"]), torch.from_numpy(units["nms/scores"]), float(threshold))
    assert kept.tolist() == units[f"nms/keep_{threshold}"].tolist()


def test_threshold_of_one_suppresses_nothing() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(3, 1)
    assert nms(boxes, torch.tensor([0.2, 0.9, 0.5]), 1.0).tolist() == [1, 2, 0]
    assert nms(boxes, torch.tensor([0.2, 0.9, 0.5]), 0.99).tolist() == [1]


def test_no_boxes() -> None:
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).shape == (0,)


@pytest.mark.parametrize("threshold", [0.1, 0.65])
def test_more_boxes_than_a_block_holds(threshold: float) -> None:
    rng = torch.Generator().manual_seed(0)
    corners = torch.rand(3 * BLOCK, 2, generator=rng) * 100
    boxes = torch.cat([corners, corners + 5 + 20 * torch.rand(len(corners), 2, generator=rng)], dim=1)
    scores = torch.rand(len(boxes), generator=rng)
    expected: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if not expected or pairwise_iou(boxes[index, None], boxes[expected]).max() <= threshold:
            expected.append(index)
    assert nms(boxes, scores, threshold).tolist() == expected
