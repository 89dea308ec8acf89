"""What stays in float32 when the network runs in half precision."""

import pytest
import torch
from networks import small_rtmo
from scene import make_targets

from rtmo.assigners.simota import SimOTA
from rtmo.losses.criterion import Criterion
from rtmo.models import dcc
from rtmo.skeletons import COCO17


@pytest.mark.parametrize("phase", ["A", "B", "C"])
def test_losses_positions_and_softmax(monkeypatch, phase) -> None:
    model = small_rtmo().train()
    criterion = Criterion(assigner=SimOTA(oks_sigmas=COCO17.oks_sigmas), oks_sigmas=COCO17.oks_sigmas)
    seen = {"_softmax": [], "sine_encoding": []}

    def recorded(name, function):
        def call(tensor, *arguments):
            seen[name].append(tensor.dtype)
            return function(tensor, *arguments)

        return call

    for name in seen:
        monkeypatch.setattr(dcc, name, recorded(name, getattr(dcc, name)))
    people = make_targets([2, 1], torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 128, 160, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(torch.rand(2, 3, 128, 160) * 255, with_proxy=True)
        assert outputs.pose_vectors.dtype == torch.bfloat16
        losses = criterion(outputs, people, model.dcc, phase, mask)
    assert losses["num_positives"] >= 3
    assert outputs.priors.dtype == outputs.strides.dtype == torch.float32
    assert seen == dict.fromkeys(seen, [torch.float32] * 2)  # horizontal and vertical
    assert {value.dtype for value in losses.values()} == {torch.float32}
