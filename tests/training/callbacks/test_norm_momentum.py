from unittest.mock import Mock

import pytest
from lightning import LightningModule, Trainer
from networks import small_rtmo
from torch.nn.modules.batchnorm import _BatchNorm

from rtmo.training.callbacks.norm_momentum import NormMomentum


def test_raises_the_momentum_of_batch_norms_and_lowers_none() -> None:
    model = small_rtmo()
    before = {name: module.momentum for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    assert set(before.values()) == {0.03, 0.1}
    NormMomentum(momentum=0.06).on_fit_start(Mock(spec=Trainer), Mock(spec=LightningModule, modules=model.modules))
    after = {name: module.momentum for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    assert after == {name: max(momentum, 0.06) for name, momentum in before.items()}


@pytest.mark.parametrize("momentum", [0.0, 1.5])
def test_a_momentum_is_a_share(momentum: float) -> None:
    with pytest.raises(ValueError, match="momentum"):
        NormMomentum(momentum=momentum)
