"""Statistics of batch norms that keep up with the weights of short runs."""

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch.nn.modules.batchnorm import _BatchNorm


class NormMomentum(Callback):
    """Raises the momentum of all batch norms before training; larger ones stay.

    Validation takes the running statistics, which span 1 / momentum steps: 33 as published, too many where weights
    change a lot in as many.

    Args:
        momentum: Share of the newest batch.

    Raises:
        ValueError: If it is not in 0..1.
    """

    def __init__(self, *, momentum: float = 0.03) -> None:
        if not 0 < momentum <= 1:
            raise ValueError(f"momentum={momentum} must be above 0 and at most 1")
        self.momentum = momentum

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for module in pl_module.modules():
            if isinstance(module, _BatchNorm) and module.momentum is not None:
                module.momentum = max(module.momentum, self.momentum)
