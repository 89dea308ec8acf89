"""Exponential moving average of the weights, with the published ramp."""

import math

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class EMA(WeightAveraging):
    """Averages parameters and floating-point buffers after every optimiser step.

    The first update copies. The n-th keeps ``1 - m`` of the average, with ``m = (1 - momentum) * exp(-n / ramp) +
    momentum``, so that early weights are forgotten fast. Integer buffers follow the model; in the reference they
    keep their first value. Validation and the saved ``state_dict`` use the average.

    Args:
        momentum: Share of the newest weights once the ramp is over; the average then spans 1 / momentum steps.
        ramp: Steps over which the share falls, by a factor of e.
    """

    def __init__(self, *, momentum: float = 0.0002, ramp: float = 2000.0) -> None:
        super().__init__(multi_avg_fn=self._average)
        self.momentum = momentum
        self.ramp = ramp

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Moves the average to the device of the weights: it was made before they got there.

        Its count of updates stays on the host, which would have to wait for the device to read it.
        """
        if self._average_model is not None:
            count = self._average_model.n_averaged.cpu()
            self._average_model.to(pl_module.device).n_averaged = count

    @torch.no_grad()
    def _average(self, averages: list[Tensor], sources: list[Tensor], num_averaged: Tensor | int) -> None:
        """One update of tensors that share a device and a type; torch counts the earlier updates.

        It hands the count over on the device; in a run, that on the host is read instead.
        """
        if not averages[0].is_floating_point():
            torch._foreach_copy_(averages, sources)
            return
        count = num_averaged if self._average_model is None else self._average_model.n_averaged
        share = (1 - self.momentum) * math.exp(-(1 + float(count)) / self.ramp) + self.momentum
        torch._foreach_lerp_(averages, sources, share)
