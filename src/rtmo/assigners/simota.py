"""SimOTA with pose quality: which priors learn which person.

Reference: YOLOX (arXiv:2107.08430), simplified optimal transport; RTMO (arXiv:2312.07526), section 3.3: OKS of the
proxy keypoints joins the cost and sets the number of priors a person gets.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from rtmo.losses.criterion import Assignment
from rtmo.ops.boxes import pairwise_iou
from rtmo.ops.keypoints import pairwise_oks
from rtmo.types import Targets

_EPS = 1e-7  # inside logarithms
_OUTSIDE_COST = 1e5  # prefers priors that are both in the box and near the centre


class SimOTA(nn.Module):
    """Gives every person the priors that predict them best, as many as their predictions are good.

    The whole batch is matched at once, without a loop over images or people and without waiting for the device; people
    that pad the batch take no prior. The largest tensors hold B x G x P numbers.

    Args:
        oks_sigmas: One per keypoint.
        topk: A person gets as many priors as the ``topk`` best qualities sum up to, at least one.
        center_radius: Priors this close to a person's centre are candidates even outside of the box, in strides.
        use_keypoints_for_center: The centre is the mean of the labeled keypoints where there are any, not that of
            the box. The published RTMO-t and -s do; m, l and the CrowdPose models do not.
        iou_weight: Cost of ``-log(IoU)``.
        oks_weight: Cost of ``-log(OKS)``.
        cls_weight: Cost of ``-log(sqrt(score))``.
        dynamic_k_indicator: Quality that sets the number of priors: ``"oks"``, or ``"iou"`` as in YOLOX.

    Raises:
        ValueError: If ``topk`` is below 1 or ``dynamic_k_indicator`` is unknown.
    """

    def __init__(
        self,
        *,
        oks_sigmas: Sequence[float],
        topk: int = 10,
        center_radius: float = 2.5,
        use_keypoints_for_center: bool = True,
        iou_weight: float = 3.0,
        oks_weight: float = 3.0,
        cls_weight: float = 1.0,
        dynamic_k_indicator: Literal["oks", "iou"] = "oks",
    ) -> None:
        super().__init__()
        if topk < 1:
            raise ValueError(f"topk must be at least 1, got {topk}")
        if dynamic_k_indicator not in ("oks", "iou"):
            raise ValueError(f"dynamic_k_indicator must be 'oks' or 'iou', got {dynamic_k_indicator!r}")
        self.topk = topk
        self.center_radius = center_radius
        self.use_keypoints_for_center = use_keypoints_for_center
        self.iou_weight = iou_weight
        self.oks_weight = oks_weight
        self.cls_weight = cls_weight
        self.dynamic_k_indicator = dynamic_k_indicator
        self.register_buffer("oks_sigmas", torch.tensor(oks_sigmas), persistent=False)
        self.oks_sigmas: Tensor

    @torch.no_grad()
    def forward(
        self,
        cls_logits: Float[Tensor, "B P 1"],
        bboxes: Float[Tensor, "B P 4"],
        proxy_keypoints: Float[Tensor, "B P K 2"],
        *,
        priors: Float[Tensor, "P 2"],
        strides: Float[Tensor, " P"],
        targets: Targets,
        min_positives: int = 1,
    ) -> Assignment:
        """Matches the priors of every image with its people.

        Args:
            cls_logits: Person score before the sigmoid.
            bboxes: Decoded, px.
            proxy_keypoints: Decoded, px.
            priors: px.
            strides: px.
            targets: In px of the same images.
            min_positives: Priors a person claims at least, if there are so many candidates; ``topk`` at most.
        """
        if targets.bboxes.shape[1] == 0:
            nobody = cls_logits[..., 0].new_zeros(cls_logits.shape[:2])
            return Assignment(gt_index=nobody.long() - 1, oks=nobody)
        inside, near = self._locate(priors, strides, targets)
        is_candidate = (torch.maximum(inside, near).masked_fill(~targets.valid[..., None], -1) > 0).any(dim=1)
        never = ~(is_candidate[:, None] & targets.valid[..., None])
        iou = pairwise_iou(targets.bboxes, bboxes)
        oks = pairwise_oks(proxy_keypoints, targets.keypoints, targets.labeled, targets.area, self.oks_sigmas).mT
        cost = (
            self.iou_weight * -(iou + _EPS).log()
            + self.oks_weight * -(oks + _EPS).log()
            + self.cls_weight * functional.softplus(-cls_logits).mT / 2
            + _OUTSIDE_COST * (torch.minimum(inside, near) <= 0)
        ).masked_fill(never, torch.inf)
        quality = (oks if self.dynamic_k_indicator == "oks" else iou).masked_fill(never, 0)
        num_claims, claimant = self._claim(cost, quality, min_positives)

        # a prior claimed by several people goes to whom it suits best, even if that person did not claim it
        person = torch.where(num_claims > 1, cost.min(dim=1).indices, claimant)
        positive = num_claims > 0
        return Assignment(
            gt_index=torch.where(positive, person, -1),
            oks=torch.where(positive, oks.gather(1, person[:, None])[:, 0], 0),
        )

    def _locate(
        self, priors: Float[Tensor, "P 2"], strides: Float[Tensor, " P"], targets: Targets
    ) -> tuple[Float[Tensor, "B G P"], Float[Tensor, "B G P"]]:
        """How far each prior lies inside of each person's box, and of the square about their centre; px.

        What lies on the edge or outside is not positive. Numbers, for a CPU compares slowly.
        """
        x, y = priors.unbind(dim=-1)
        left, top, right, bottom = (side[..., None] for side in targets.bboxes.unbind(dim=-1))
        inside = torch.minimum(torch.minimum(x - left, right - x), torch.minimum(y - top, bottom - y))
        center = (targets.bboxes[..., :2] + targets.bboxes[..., 2:]) / 2
        if self.use_keypoints_for_center:
            count = targets.labeled.sum(dim=-1)[..., None]
            mean = (targets.keypoints * targets.labeled[..., None]).sum(dim=-2) / count.clamp(min=1)
            center = torch.where(count > 0, mean, center)
        center_x, center_y = center[..., None].unbind(dim=-2)
        distance = torch.maximum((x - center_x).abs(), (y - center_y).abs())
        return inside, self.center_radius * strides - distance

    def _claim(
        self, cost: Float[Tensor, "B G P"], quality: Float[Tensor, "B G P"], least: int
    ) -> tuple[Int[Tensor, "B P"], Int[Tensor, "B P"]]:
        """How many people claim each prior, and who does if it is one.

        Each person claims their k cheapest candidates, k being the sum of their best qualities or ``least``.
        """
        topk = min(self.topk, cost.shape[-1])
        k = quality.topk(topk).values.sum(dim=-1, keepdim=True).int().clamp(min=least)
        cheapest = cost.topk(topk, largest=False)
        claims = ((torch.arange(topk, device=cost.device) < k) & (cheapest.values < torch.inf)).long()
        people = torch.arange(cost.shape[1], device=cost.device)[:, None]
        nobody = claims.new_zeros(cost.shape[0], cost.shape[2])
        priors = cheapest.indices.flatten(1)
        return (
            nobody.scatter_add(1, priors, claims.flatten(1)),
            nobody.scatter_add(1, priors, (claims * people).flatten(1)),
        )
