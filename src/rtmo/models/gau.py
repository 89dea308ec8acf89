"""Gated attention unit: lets the keypoints of one person look at each other.

Reference: Transformer Quality in Linear Time (arXiv:2202.10447), with squared-ReLU attention; RTMO section 3.1.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class GatedAttentionUnit(nn.Module):
    """Single-head gated attention over K tokens, with a scaled residual.

    Args:
        dim: Features of a token.
        attention_dim: Features of queries and keys.
        expansion: Width of gates and values in units of ``dim``.
    """

    def __init__(self, *, dim: int, attention_dim: int, expansion: int = 2) -> None:
        super().__init__()
        self.attention_dim = attention_dim
        self.hidden_dim = dim * expansion
        self.norm_scale = nn.Parameter(torch.ones(1))
        self.uv = nn.Linear(dim, 2 * self.hidden_dim + attention_dim, bias=False)
        self.gamma = nn.Parameter(torch.rand(2, attention_dim))
        self.beta = nn.Parameter(torch.rand(2, attention_dim))
        self.o = nn.Linear(self.hidden_dim, dim, bias=False)
        self.residual_scale = nn.Parameter(torch.ones(dim))
        nn.init.xavier_uniform_(self.uv.weight)

    def forward(self, x: Float[Tensor, "N K D"], positions: Float[Tensor, "K S"]) -> Float[Tensor, "N K D"]:
        """Attention among the K tokens of each of N people.

        Args:
            positions: Learned code of each token, added to queries and keys.
        """
        rms = x.norm(dim=-1, keepdim=True) * x.shape[-1] ** -0.5
        normed = x / rms.clamp(min=1e-5) * self.norm_scale
        gates, values, base = functional.silu(self.uv(normed)).split(
            (self.hidden_dim, self.hidden_dim, self.attention_dim), dim=-1
        )
        queries = base * self.gamma[0] + self.beta[0] + positions
        keys = base * self.gamma[1] + self.beta[1] + positions
        kernel = functional.relu(queries @ keys.transpose(1, 2) / self.attention_dim**0.5).square()
        return x * self.residual_scale + self.o(gates * (kernel @ values))
