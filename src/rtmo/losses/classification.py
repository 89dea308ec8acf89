"""Losses of yes-or-no predictions: whether a prior is a person, and whether a keypoint is visible."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

_LOGIT_LIMIT = 10.0
_POSITIVE_THR = 1e-4


def varifocal_loss(
    logits: Float[Tensor, "*batch"], targets: Float[Tensor, "*batch"], alpha: float = 0.75, gamma: float = 2.0
) -> Float[Tensor, "*batch"]:
    """Cross-entropy with a quality (here OKS) as target, so that the score learns to rank poses.

    Positives weigh as much as their target; negatives are damped by ``alpha * score ** gamma``, as in focal loss.

    Args:
        logits: Person score before the sigmoid. The cross-entropy clips it to +-10, beyond which it has no gradient;
            the damping does not.
        targets: 0..1; up to 1e-4 counts as negative.
        alpha: Weight of negatives.
        gamma: How much faster easy negatives fade.

    Reference: VarifocalNet (arXiv:2008.13367); RTMO (arXiv:2312.07526), section 3.3.
    """
    cross_entropy = functional.binary_cross_entropy_with_logits(
        logits.clamp(-_LOGIT_LIMIT, _LOGIT_LIMIT), targets, reduction="none"
    )
    damping = torch.where(targets > _POSITIVE_THR, 0.0, alpha * logits.sigmoid() ** gamma)
    return cross_entropy * (damping + targets)


def visibility_loss(
    logits: Float[Tensor, "F K"], labeled: Bool[Tensor, "F K"], annotated: Bool[Tensor, "F K"]
) -> Float[Tensor, " F"]:
    """Cross-entropy of keypoint visibility, averaged over the K keypoints.

    Joints that the source of a person never annotates carry no loss, whereas the published code loses that mask and
    trains them as invisible.
    """
    loss = functional.binary_cross_entropy_with_logits(logits, labeled.to(logits.dtype), reduction="none")
    return (loss * annotated).mean(dim=-1)
