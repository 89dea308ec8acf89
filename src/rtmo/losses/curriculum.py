"""A phase B that begins when the classifier is good enough, instead of at an epoch."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rtmo.phases import Phase

_MOMENTUM = 0.02  # of the running OKS, which spans 50 batches


class OksCurriculum(nn.Module):
    """Remembers whether the classifier's OKS, a running mean over the positives, has ever reached a threshold.

    Both are buffers and so part of checkpoints: a run that goes on has to know.

    Args:
        threshold: 0..1.

    Raises:
        ValueError: If it is not.
    """

    def __init__(self, *, threshold: float) -> None:
        super().__init__()
        if not 0 <= threshold <= 1:
            raise ValueError(f"refine_oks must be in 0..1, or null for a phase B by epochs; got {threshold}")
        self.threshold = threshold
        self.register_buffer("running_oks", torch.tensor(0.0))
        self.register_buffer("is_reached", torch.tensor(threshold == 0))
        self.running_oks: Tensor
        self.is_reached: Tensor

    def phase(self, scheduled: Phase) -> Phase:
        """The phase whose losses apply where the epoch's is ``scheduled``; C comes when it comes."""
        if scheduled == "C":
            return "C"
        return "B" if self.is_reached else "A"

    @torch.no_grad()
    def follow(self, oks_sum: Float[Tensor, ""], num_positives: Float[Tensor, ""]) -> None:
        """Takes note of a batch: the sum over its positives, and how many these are."""
        if num_positives > 0:
            self.running_oks.lerp_((oks_sum / num_positives).to(self.running_oks), _MOMENTUM)
            self.is_reached |= self.running_oks >= self.threshold
