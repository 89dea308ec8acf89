"""Dynamic Coordinate Classifier: keypoints as distributions over bins that follow each person's box.

Reference: RTMO (arXiv:2312.07526), section 3.1: dynamic bin allocation and dynamic bin encoding; section 4.4 takes them
away one after the other.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rtmo.models.gau import GatedAttentionUnit
from rtmo.ops.positions import sine_encoding
from rtmo.types import CoordinateCodes

LOGIT_LIMIT = 5e4
SOFTMAX_EPS = 1e-8


class DynamicCoordinateClassifier(nn.Module):
    """Turns the pose vector of a prior into one horizontal and one vertical heatmap per keypoint.

    Args:
        in_dim: Features of a pose vector.
        num_keypoints: K.
        num_bins: Horizontal and vertical bins.
        dim: Features of a keypoint and of a bin.
        attention_dim: Query and key features of the gated attention.
        bbox_padding: The bins span the box grown by this factor about its centre.
        temperature: Of the bins' sine code.
        bin_init_scale: Shrinks the initial map of the bins' codes. At 1, as published, the first heatmaps are sharp
            and random, and unlearning them takes hundreds of steps; near 0 they are flat and the first poses lie in
            the middle of their boxes.
        attention_init_scale: Shrinks what attention starts with: scales and offsets of queries and keys, and the
            keypoints' code. At 1, as published, it makes features 14 times as large as its input; at a quarter they
            stay as they are.
        dynamic_encoding: Whether a bin is known by where it lies. Off, every bin has one learned vector, the same for
            all people, as in SimCC (arXiv:2107.03332).
        static_range: What the bins span without dynamic allocation, the grid point in its middle, px of the network
            input; boxes and their padding then play no part. The paper does not give its value. None: the bins are
            allocated dynamically, they span the person's box.

    Raises:
        ValueError: If ``static_range`` is not positive.
    """

    def __init__(
        self,
        *,
        in_dim: int,
        num_keypoints: int,
        num_bins: tuple[int, int] = (192, 256),
        dim: int = 128,
        attention_dim: int = 128,
        bbox_padding: float = 1.25,
        temperature: float = 300.0,
        bin_init_scale: float = 1.0,
        attention_init_scale: float = 1.0,
        dynamic_encoding: bool = True,
        static_range: float | None = None,
    ) -> None:
        super().__init__()
        if static_range is not None and static_range <= 0:
            raise ValueError(f"static_range must be positive, got {static_range}")
        self.num_keypoints = num_keypoints
        self.dim = dim
        self.dynamic_encoding = dynamic_encoding
        self.static_range = static_range
        self.bbox_padding = bbox_padding
        self.temperature = temperature
        self.keypoint_fc = nn.Linear(in_dim, num_keypoints * dim)
        self.keypoint_bn = nn.BatchNorm1d(num_keypoints * dim)
        self.gau = GatedAttentionUnit(dim=dim, attention_dim=attention_dim)
        self.pos_enc = nn.Parameter(torch.randn(num_keypoints, attention_dim))
        self.x_fc, self.y_fc = (nn.Linear(dim, dim if dynamic_encoding else bins) for bins in num_bins)
        with torch.no_grad():
            for parameter in (*self.x_fc.parameters(), *self.y_fc.parameters()):
                parameter.mul_(bin_init_scale)
            for parameter in (self.gau.gamma, self.gau.beta, self.pos_enc):
                parameter.mul_(attention_init_scale)
        self.sigma_fc = nn.Linear(in_dim, num_keypoints)
        self.sigma_scale = nn.Parameter(torch.tensor(0.1))
        # where the bins lie in what they span, -0.5 left or top, +0.5 right or bottom
        self.register_buffer("x_bins", torch.linspace(-0.5, 0.5, num_bins[0]), persistent=False)
        self.register_buffer("y_bins", torch.linspace(-0.5, 0.5, num_bins[1]), persistent=False)
        self.x_bins: Tensor
        self.y_bins: Tensor

    def forward(
        self,
        pose_vectors: Float[Tensor, "F D"],
        bboxes: Float[Tensor, "F 4"],
        priors: Float[Tensor, "F 2"],
        with_sigmas: bool = False,
    ) -> CoordinateCodes:
        """Heatmaps and coordinates of F people.

        Computed in float32 even under autocast: half a bin of a large box is beyond bfloat16.

        Args:
            pose_vectors: From the head, at the priors that found the people.
            bboxes: Their decoded boxes, corners in px, as predicted: neither clipped nor padded.
            priors: The grid points, px; bins are encoded relative to them.
            with_sigmas: Whether to predict the spread as well, which only the likelihood loss reads.
        """
        with torch.autocast(pose_vectors.device.type, enabled=False):
            if pose_vectors.dtype in (torch.bfloat16, torch.float16):
                pose_vectors = pose_vectors.float()
            dtype = pose_vectors.dtype
            bboxes, priors = bboxes.to(dtype), priors.to(dtype)
            bins_x, bins_y = self.allocate_bins(bboxes, priors)
            features = self.keypoint_features(pose_vectors)
            heatmap_x = _softmax(self._logits(features, bins_x - priors[:, :1], self.x_fc))
            heatmap_y = _softmax(self._logits(features, bins_y - priors[:, 1:], self.y_fc))
            keypoints = torch.stack(
                ((heatmap_x * bins_x[:, None]).sum(-1), (heatmap_y * bins_y[:, None]).sum(-1)), dim=-1
            )
            sigmas = self.spread(pose_vectors) if with_sigmas else None
        return CoordinateCodes(heatmap_x, heatmap_y, bins_x, bins_y, keypoints, sigmas)

    def allocate_bins(
        self, bboxes: Float[Tensor, "F 4"], priors: Float[Tensor, "F 2"]
    ) -> tuple[Float[Tensor, "F X"], Float[Tensor, "F Y"]]:
        """Bin positions in px: they span each box, padded, or a fixed range about each grid point."""
        if self.static_range is None:
            centers = (bboxes[:, :2] + bboxes[:, 2:]) / 2
            sizes = (bboxes[:, 2:] - bboxes[:, :2]) * self.bbox_padding
        else:
            centers, sizes = priors, torch.full_like(priors, self.static_range)
        return (
            centers[:, :1] + sizes[:, :1] * self.x_bins.to(bboxes.dtype),
            centers[:, 1:] + sizes[:, 1:] * self.y_bins.to(bboxes.dtype),
        )

    def keypoint_features(self, pose_vectors: Float[Tensor, "F D"]) -> Float[Tensor, "F K D2"]:
        """Keypoint features of each person after they have seen one another."""
        features = self.keypoint_fc(pose_vectors)
        if self.training and len(features) < 2:  # one person has no batch statistics: use the running ones
            bn = self.keypoint_bn
            features = nn.functional.batch_norm(
                features, bn.running_mean, bn.running_var, bn.weight, bn.bias, training=False, eps=bn.eps
            )
        else:
            features = self.keypoint_bn(features)
        return self.gau(features.unflatten(1, (self.num_keypoints, self.dim)), self.pos_enc)

    def spread(self, pose_vectors: Float[Tensor, "F D"]) -> Float[Tensor, "F K"]:
        """Learned spread of each keypoint, relative to the person's size."""
        return self.sigma_fc(pose_vectors).sigmoid() * self.sigma_scale

    def _logits(
        self, features: Float[Tensor, "F K D"], positions: Float[Tensor, "F X"], bin_fc: nn.Linear
    ) -> Float[Tensor, "F K X"]:
        """Agreement of every keypoint with every bin.

        With dynamic encoding, the published model maps the code of each bin, ``f . (W c + b)``. The same number is
        ``(W' f) . c + f . b``: K small products a person instead of one a bin: 4.2 M multiplications in place of
        10.9 M.

        Args:
            positions: Of the bins relative to the prior, px.
        """
        if not self.dynamic_encoding:
            return bin_fc(features)
        codes = sine_encoding(positions, self.dim, self.temperature)
        return (features @ bin_fc.weight) @ codes.transpose(1, 2) + (features @ bin_fc.bias)[..., None]


def _softmax(logits: Float[Tensor, "F K X"]) -> Float[Tensor, "F K X"]:
    logits = logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
    exponentials = (logits - logits.amax(-1, keepdim=True).detach()).exp()
    return exponentials / (exponentials.sum(-1, keepdim=True) + SOFTMAX_EPS)
