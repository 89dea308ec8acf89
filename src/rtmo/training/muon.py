"""Muon: orthogonalised momentum for matrices and convolutions, AdamW for all else."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

_SMALLEST = 8  # rows and columns of what counts as a matrix: below, there is little to orthogonalise
_STEPS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of a quintic that moves singular values in 0..1 to about 1
_EPS = 1e-7


class MuonAdamW(AdamW):
    """Steps weights of two and more dimensions so that the update has no direction in which it is large or small.

    ``torch.optim.Muon`` takes matrices only; here a convolution is the matrix of its filters, and what is no matrix, or
    has fewer than 8 rows or columns, learns by AdamW at the same rate.

    Args:
        params: Parameters or groups of them, each of either kind.
        momentum: Of the gradients of matrices, with Nesterov's look ahead.
        rms: Root mean square of a matrix's update, in units of the rate. AdamW's are about 1 as long as gradients
            agree from step to step, and 0.2 in long runs.
        fused: Whether AdamW runs as a single kernel.
        settings: Of AdamW; rate and weight decay count for matrices as well.

    Reference: K. Jordan, "Muon: an optimizer for hidden layers in neural networks" (2024); the size of the update as in
    Moonlight (arXiv:2502.16982).
    """

    def __init__(
        self, params: Any, *, momentum: float = 0.95, rms: float = 0.2, fused: bool | None = None, **settings: Any
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum={momentum} must be at least 0 and below 1")
        if not rms > 0:
            raise ValueError(f"rms={rms} must be positive")
        super().__init__(params, fused=fused, **settings)
        self.momentum = momentum
        self.rms = rms

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Steps the matrices, then has AdamW step the rest."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients: list[tuple[Tensor, Tensor]] = []
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None and is_matrix(weight):
                    gradients.append((weight, weight.grad))
                    self._step_matrix(weight, weight.grad, lr=group["lr"], weight_decay=group["weight_decay"])
                    weight.grad = None  # AdamW passes over it
        super().step()
        for weight, gradient in gradients:
            weight.grad = gradient
        return loss

    def _step_matrix(self, weight: Tensor, gradient: Tensor, *, lr: float, weight_decay: float) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())  # AdamW looks for it when a state is loaded
            state["momentum"] = torch.zeros_like(weight)
        state["step"] += 1
        mean = state["momentum"].lerp_(gradient, 1 - self.momentum)
        ahead = gradient.lerp(mean, self.momentum)
        update = orthogonalized(ahead.flatten(1))
        scale = self.rms * max(update.shape) ** 0.5  # an orthogonal matrix has an RMS of 1 / sqrt(longer side)
        weight.mul_(1 - lr * weight_decay).add_(update.view_as(weight), alpha=-lr * scale)


def is_matrix(weight: Tensor) -> bool:
    """Whether Muon steps it."""
    return weight.ndim >= 2 and min(weight.shape[0], weight[0].numel()) >= _SMALLEST


def orthogonalized(matrix: Tensor) -> Tensor:
    """The matrix with singular values of about 1 (0.7 to 1.2) in place of its own, by Newton-Schulz iterations.

    They run on the Gram matrix, which for a convolution of 3x3 has a ninth of the columns.

    Args:
        matrix: (rows, columns); zeros stay zeros.
    """
    a, b, c = _COEFFICIENTS
    x = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    x = x / (x.norm() + _EPS)
    gram = x @ x.T
    identity = torch.eye(len(gram), dtype=x.dtype, device=x.device)
    whole = identity  # the product of all iterations: polynomials of one matrix commute
    for _ in range(_STEPS):
        step = torch.addmm(a * identity + b * gram, gram, gram, alpha=c)
        whole = step @ whole
        gram = step @ (step @ gram)
    x = whole @ x
    return x if len(matrix) <= matrix.shape[1] else x.T
