"""Micro-batches and ranks that train, and log, as one big batch would."""

from collections.abc import Mapping

import torch
from lightning.pytorch.strategies import Strategy
from torch import Tensor

from rtmo.losses.criterion import divisor

PER_POSITIVE = ("pose_oks", "proxy_oks", "pred_sigma", "heatmap_peak")  # means over the positives of a rank


class Accumulation:
    """Has gradients that add up over micro-batches be those of one batch of all their images.

    A loss is a sum over the priors of its micro-batch divided by the positives there, so a plain mean of the losses
    gives people in a sparse micro-batch more say. Here all are divided by the positives of the first, which keeps
    them at their usual size for float16, and the gradients by those of all before the step.
    """

    def __init__(self) -> None:
        self._first: Tensor | None = None  # what all losses since the last step are divided by
        self._positives: Tensor | None = None  # averaged over ranks, of all these micro-batches

    def weigh(self, loss: Tensor, normalizer: Tensor) -> Tensor:
        """The loss to go backward from, of one that the criterion divided by ``divisor(normalizer)``."""
        own = divisor(normalizer)
        if self._first is None or self._positives is None:
            self._first, self._positives = own, normalizer
            return loss
        self._positives = self._positives + normalizer
        return loss * (own / self._first)

    def finish(self, gradients: list[Tensor], divided_by: int) -> None:
        """Divides gradients by the number of positives that the big batch has, and begins anew.

        Args:
            gradients: Changed in place.
            divided_by: What Lightning divided each loss by, also where the epoch ended before so many micro-batches.
        """
        if self._first is not None and self._positives is not None and gradients:
            torch._foreach_mul_(gradients, divided_by * self._first / divisor(self._positives))
        self._first = self._positives = None


def mean_over_ranks(losses: Mapping[str, Tensor], strategy: Strategy) -> dict[str, Tensor]:
    """What the criterion would say of the images of all ranks, but ``num_positives``, their mean; one communication."""
    own = {name: value.detach() for name, value in losses.items()}
    weight = own["num_positives"] / divisor(own["normalizer"])
    own |= {name: own[name] * weight for name in PER_POSITIVE if name in own}
    means = strategy.reduce(torch.stack(list(own.values())), reduce_op="mean")
    return dict(zip(own, means.unbind(), strict=True))
