"""Losses of person scores and keypoint visibility."""

import torch
from torch.nn import functional

from rtmo.losses.classification import varifocal_loss, visibility_loss


def test_varifocal_loss_of_a_positive_is_cross_entropy_times_its_quality() -> None:
    logits, quality = torch.tensor([-1.5, 0.0, 2.0]), torch.tensor([0.9, 0.5, 0.2])
    expected = quality * functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    torch.testing.assert_close(varifocal_loss(logits, quality), expected)


def test_varifocal_loss_of_a_negative_fades_with_its_score() -> None:
    logits = torch.tensor([-4.0, 0.0, 4.0])
    expected = 0.75 * logits.sigmoid() ** 2 * functional.softplus(logits)
    torch.testing.assert_close(varifocal_loss(logits, torch.zeros(3)), expected)


def test_varifocal_loss_is_finite_for_extreme_logits() -> None:
    logits = torch.tensor([-1e4, 1e4, -1e4, 1e4], requires_grad=True)
    loss = varifocal_loss(logits, torch.tensor([0.0, 0.0, 1.0, 1.0]))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_joints_that_nobody_annotates_carry_no_visibility_loss() -> None:
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labeled = torch.tensor([[True, False, True, False]]).expand(3, 4)
    annotated = torch.tensor([[True, True, True, False]]).expand(3, 4)
    loss = visibility_loss(logits, labeled, annotated)
    loss.sum().backward()
    assert logits.grad is not None
    assert ((logits.grad != 0) == annotated).all()
    # what is annotated counts as if all were: the loss of a joint does not depend on its neighbours
    everything = functional.binary_cross_entropy_with_logits(logits, labeled.float(), reduction="none")
    torch.testing.assert_close(loss, everything[:, :3].sum(-1) / 4)
