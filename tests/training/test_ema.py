import math
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from torch import nn
from torch.optim.swa_utils import AveragedModel

from rtmo.training.callbacks.ema import EMA


class Source(LightningModule):
    """The weights that golden/units.json gives as a function of the update."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 3, dtype=torch.float32))
        self.register_buffer("running_mean", torch.zeros(2))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def set(self, update: int) -> None:
        grid = 3 * torch.arange(2)[:, None] + torch.arange(3)
        self.weight.data = torch.sin(0.7 * grid + 0.01 * update).float()
        self.running_mean.copy_(torch.tensor([0.001 * update, math.cos(0.02 * update)]))
        self.num_batches_tracked.fill_(update)


def test_as_the_reference(shared_dir) -> None:
    expected = np.load(shared_dir / "golden" / "units.npz")
    ema = EMA()
    source = Source()
    average = AveragedModel(source, use_buffers=True, **ema._kwargs)
    for update in range(1, 3001):
        source.set(update)
        average.update_parameters(source)
        if f"ema/{update}/weight" in expected:
            for name in ("weight", "running_mean"):
                reference = expected[f"ema/{update}/{name}"]
                np.testing.assert_allclose(getattr(average.module, name).detach(), reference, atol=2e-6)
            # the reference's integers keep their first value, a fault; ours follow the model
            assert average.module.num_batches_tracked == update


def test_share_of_the_newest_weights() -> None:
    ema = EMA(momentum=0.25, ramp=1.0)
    average, source = torch.zeros(1), torch.ones(1)
    ema._average([average], [source], torch.tensor(1))
    assert average.item() == pytest.approx(0.75 * math.exp(-2) + 0.25)


def test_an_update_does_not_wait_for_the_device() -> None:
    """Tensors on the meta device have no values, so any look at one from Python would fail."""
    source = Source()
    ema = EMA()
    ema._average_model = AveragedModel(source, use_buffers=True, **ema._kwargs)
    ema._average_model.n_averaged.fill_(7)
    source.to("meta")
    ema.on_fit_start(Mock(spec=Trainer), source)
    assert ema._average_model.module.weight.device.type == "meta"  # where the weights are
    ema._average_model.update_parameters(source)
    assert ema._average_model.n_averaged == 8
