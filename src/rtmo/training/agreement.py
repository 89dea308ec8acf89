"""Decisions that all ranks of a run have to take alike, at the same step."""

import torch
from lightning import Trainer
from torch import distributed


class Agreement:
    """Tells every rank whether any of them wants something.

    Over a group of its own for the CPU: hosts wait for each other, some tenths of a millisecond, and not for their
    GPUs. Every rank has to ask as often as the others. Make one for each run.
    """

    def __init__(self) -> None:
        self._group: distributed.ProcessGroup | None = None

    def any(self, trainer: Trainer, wish: bool) -> bool:
        """Whether the wish is true on any rank."""
        if trainer.world_size == 1:
            return wish
        if self._group is None:
            self._group = distributed.new_group(backend="gloo")
        wishes = torch.tensor(int(wish))
        distributed.all_reduce(wishes, distributed.ReduceOp.MAX, group=self._group)
        return bool(wishes)
