"""Batch arithmetic: what one optimiser step sees, against the batch that a recipe's learning rate was tuned for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchPlan:
    """How a run meets its nominal batch.

    Attributes:
        batch_size: Images a device and forward pass.
        devices: Over all nodes.
        accumulate: Forward passes an optimiser step.
        nominal: Batch the recipe was tuned for; None for a recipe that names none.
        lr_scale: Multiplies every learning rate.
    """

    batch_size: int
    devices: int
    accumulate: int
    nominal: int | None
    lr_scale: float

    @property
    def total(self) -> int:
        """Images an optimiser step."""
        return self.batch_size * self.devices * self.accumulate

    def __str__(self) -> str:
        text = f"{self.batch_size} images x {self.devices} device(s) x {self.accumulate} accumulated = {self.total}"
        if self.nominal is None:
            return f"{text} (this recipe names no nominal batch)"
        scaled = f", learning rates x {self.lr_scale:.4g}" if self.lr_scale != 1 else ""
        return f"{text}, nominal {self.nominal}{scaled}"


def plan_batch(batch_size: int, devices: int, nominal: int | None) -> BatchPlan:
    """Accumulates gradients up to the nominal batch; where that cannot meet it, scales the rates linearly.

    The published recipe at another total batch is silently wrong: users report AP 0.607 instead of 0.677 at 16.
    """
    per_pass = batch_size * devices
    accumulate = 1 if nominal is None else max(round(nominal / per_pass), 1)
    lr_scale = 1.0 if nominal is None else per_pass * accumulate / nominal
    return BatchPlan(batch_size, devices, accumulate, nominal, lr_scale)
