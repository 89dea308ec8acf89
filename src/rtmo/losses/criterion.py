"""The training loss of RTMO: matches priors with people and adds up what each branch of the network owes.

Reference: RTMO (arXiv:2312.07526), section 3.3. Weights and phases are those of the published configurations, which
differ from the paper's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import torch.distributed
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from rtmo.losses.boxes import bbox_l1_loss, iou_loss
from rtmo.losses.classification import varifocal_loss, visibility_loss
from rtmo.losses.curriculum import OksCurriculum
from rtmo.losses.keypoints import CoordinateLoss, KLDLoss, MLELoss, proxy_oks_loss
from rtmo.losses.phase_losses import CHOICES, PhaseLosses, phase_table
from rtmo.ops.boxes import decode_bboxes, jitter_bboxes
from rtmo.ops.keypoints import decode_proxy, oks
from rtmo.phases import Phase
from rtmo.types import CoordinateCodes, HeadOutputs, Targets

_VISIBLE_THR = 0.3  # predicted visibility above which a keypoint tells where a person is


class Assignment(NamedTuple):
    """Which person each prior learns.

    Attributes:
        gt_index: Index among the image's people; -1 for none.
        oks: Of the prior's proxy keypoints with that person; 0 for none.
    """

    gt_index: Int[Tensor, "B P"]
    oks: Float[Tensor, "B P"]


@dataclass(slots=True)
class Positives:
    """The F priors that learn a person: what the network says there, and the person. px unless said otherwise."""

    image: Int[Tensor, " F"]
    prior: Int[Tensor, " F"]
    bboxes: Float[Tensor, "F 4"]
    proxy: Float[Tensor, "F K 2"]
    proxy_oks: Float[Tensor, " F"]
    gt_bboxes: Float[Tensor, "F 4"]
    gt_keypoints: Float[Tensor, "F K 2"]
    gt_area: Float[Tensor, " F"]
    labeled: Bool[Tensor, "F K"]
    annotated: Bool[Tensor, "F K"]

    def __len__(self) -> int:
        return len(self.prior)


class Criterion(nn.Module):
    """Adds up the losses of a batch.

    Every loss is a sum over the positive priors (for the person score: over all) divided by their number. The number
    is averaged over the ranks of a distributed run, so that n ranks train as one; the published code does so for
    boxes and scores only, and takes that average for at least one, where here all ranks together have at least one.

    Args:
        assigner: Matches priors with people; see ``SimOTA``.
        oks_sigmas: One per keypoint.
        phases: Per phase what differs from the published RTMO-s on COCO; see ``PhaseLosses`` for the keys.
        coordinate_loss: Loss of the classifier's heatmaps, where there is a classifier; None takes ``MLELoss``.
        detach_bboxes: Whether to keep the coordinate loss from moving the boxes through the positions of the bins.
            Off as published; short runs learn faster with it.
        average_labeled: Whether keypoint losses average over a person's labeled keypoints. Off as published: they
            average over all K, so a person with few labels counts less.
        refine_oks: Phase B follows A when the classifier's OKS has reached this; see ``OksCurriculum``. None, as
            published: by epochs.

    Raises:
        ValueError: If a phase, a key or a value of ``phases`` is not valid, or ``refine_oks`` is not in 0..1.
    """

    def __init__(
        self,
        *,
        assigner: Callable[..., Assignment],
        oks_sigmas: Sequence[float],
        phases: Mapping[str, Mapping[str, Any]] | None = None,
        coordinate_loss: CoordinateLoss | None = None,
        detach_bboxes: bool = False,
        average_labeled: bool = False,
        refine_oks: float | None = None,
    ) -> None:
        super().__init__()
        self.assigner = assigner
        self.phases = phase_table(phases or {})
        self.coordinate_loss = MLELoss() if coordinate_loss is None else coordinate_loss
        self.heatmap_loss = KLDLoss()
        self.detach_bboxes = detach_bboxes
        self.average_labeled = average_labeled
        self.register_buffer("oks_sigmas", torch.tensor(oks_sigmas), persistent=False)
        self.oks_sigmas: Tensor
        self.curriculum = None if refine_oks is None else OksCurriculum(threshold=refine_oks)

    def phase_in_force(self, scheduled: Phase) -> Phase:
        """The phase whose losses apply where that of the epoch is ``scheduled``."""
        return scheduled if self.curriculum is None else self.curriculum.phase(scheduled)

    def forward(
        self,
        outputs: HeadOutputs,
        targets: Targets,
        dcc: Callable[..., CoordinateCodes] | None,
        phase: Phase,
        ignore_mask: Bool[Tensor, "B H W"] | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Losses of a batch, computed in float32 or better.

        Args:
            outputs: Of the network, with proxy offsets.
            targets: In px of the network input.
            dcc: The coordinate classifier, ``(pose_vectors, bboxes, priors, with_sigmas=True) -> codes``; None for a
                network whose pose is the proxy branch, see ``check_decoding``.
            phase: Selects the weights; see ``phase_in_force``.
            ignore_mask: True on unlabeled people; only read in phases that want it.
            generator: Draws the jitter of boxes, on the CPU; None: torch's own.

        Returns:
            ``loss``, the sum of all ``loss_*``, weights included; then, for display, ``num_positives`` and the mean
            OKS of the positives, ``pose_oks`` by the classifier's keypoints and ``proxy_oks`` by the proxy's, and
            their mean ``pred_sigma``, if it is learned, and ``heatmap_peak``, the mean probability of the highest
            bin: near 1 while ``pose_oks`` is low, the classifier has stalled; ``normalizer``, the number of positives
            averaged over ranks, of which ``divisor`` makes what losses are divided by. Without positives all but
            ``loss_cls`` are 0.

        Raises:
            ValueError: If the outputs come without proxy offsets.
        """
        settings = self.phases[phase]
        outputs, targets = _in_full_precision(outputs, targets)
        positives = self._match(outputs, targets, settings.min_positives)
        codes = None if dcc is None else self._classify(dcc, outputs, positives, settings, generator)
        pose_oks = positives.proxy_oks
        if codes is not None:
            pose_oks = oks(
                codes.keypoints.detach(),
                positives.gt_keypoints,
                positives.labeled,
                positives.gt_area,
                self.oks_sigmas,
            )
        sums = self._positive_losses(outputs, positives, codes, settings)

        score_target = torch.zeros_like(outputs.cls_logits[..., 0])
        score_oks = positives.proxy_oks if settings.score_oks == "proxy" else pose_oks
        score_target[positives.image, positives.prior] = score_oks**settings.overlaps_power
        loss_cls = varifocal_loss(outputs.cls_logits[..., 0], score_target)
        if settings.ignore_mask and ignore_mask is not None:
            loss_cls = loss_cls * prior_weights(outputs, targets, ignore_mask)
        sums["cls"] = loss_cls.sum()

        num_positives = pose_oks.new_tensor(len(positives))
        normalizer = self.mean_over_ranks(num_positives)
        share = divisor(normalizer)
        if self.curriculum is not None and self.training:
            self.curriculum.follow(self.mean_over_ranks(pose_oks.sum()), normalizer)
        losses = {name: getattr(settings, f"{name}_weight") * value / share for name, value in sums.items()}
        total = torch.stack(list(losses.values())).sum()
        if codes is not None:
            losses[self.coordinate_loss.name] = losses.pop("coordinate")
        count = num_positives.clamp(min=1)
        shown = {"pose_oks": pose_oks.sum() / count, "proxy_oks": positives.proxy_oks.sum() / count}
        if codes is not None:
            shown["heatmap_peak"] = _peak(codes).sum() / count
            if self.learns_spread and codes.pred_sigmas is not None:
                shown["pred_sigma"] = codes.pred_sigmas.detach().mean(dim=-1).sum() / count
        return {
            "loss": total,
            **{f"loss_{name}": value for name, value in losses.items()},
            "num_positives": num_positives,
            "normalizer": normalizer,
            **shown,
        }

    @property
    def learns_spread(self) -> bool:
        """Whether the coordinate loss trains the classifier's spread; one that knows of none does not."""
        return getattr(self.coordinate_loss, "sigma", 0) is None

    def check_decoding(self, dcc: object | None) -> None:
        """Checks, before training and not in the phase that first needs it, that there is a classifier to learn from.

        Raises:
            ValueError: If the network has none and a phase takes keypoints or OKS from it, or the coordinate loss has
                parameters, which would never get a gradient.
        """
        if dcc is None and any(True for _ in self.parameters()):
            raise ValueError(
                f"criterion.coordinate_loss: {self.coordinate_loss.name} learns from heatmaps, and the network has no "
                "coordinate classifier (model.decoding); leave its ablation out"
            )
        for phase, settings in self.phases.items():
            for key in CHOICES:
                if dcc is None and getattr(settings, key) == "dcc":
                    raise ValueError(
                        f"criterion.phases.{phase}.{key}=dcc: the network has no coordinate classifier "
                        f"(model.decoding); say {CHOICES[key][0]}, as ablation=regression does"
                    )

    @staticmethod
    def mean_over_ranks(number: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Mean over the processes of a distributed run; override it where another library runs them."""
        if not _is_distributed():
            return number
        total = number.clone()
        torch.distributed.all_reduce(total)
        return total / torch.distributed.get_world_size()

    def _match(self, outputs: HeadOutputs, targets: Targets, min_positives: int) -> Positives:
        """The positives in order of image and prior. Their number is unknown before, so here the host waits once."""
        bboxes = decode_bboxes(outputs.bbox_offsets, outputs.priors, outputs.strides)
        proxy = _decode_proxy(outputs)
        assignment = self.assigner(
            outputs.cls_logits.detach(),
            bboxes.detach(),
            proxy.detach(),
            priors=outputs.priors,
            strides=outputs.strides,
            targets=targets,
            min_positives=min_positives,
        )
        image, prior = (assignment.gt_index >= 0).nonzero(as_tuple=True)
        person = assignment.gt_index[image, prior]
        return Positives(
            image=image,
            prior=prior,
            bboxes=bboxes[image, prior],
            proxy=proxy[image, prior],
            proxy_oks=assignment.oks[image, prior],
            gt_bboxes=targets.bboxes[image, person],
            gt_keypoints=targets.keypoints[image, person],
            gt_area=targets.area[image, person],
            labeled=targets.labeled[image, person],
            annotated=targets.annotated[image, person],
        )

    def _classify(
        self,
        dcc: Callable[..., CoordinateCodes],
        outputs: HeadOutputs,
        positives: Positives,
        settings: PhaseLosses,
        generator: torch.Generator | None,
    ) -> CoordinateCodes:
        """What the classifier says at the positives.

        It runs even where there are none: distributed training waits for a gradient of every parameter, be it zero.
        """
        image, prior = positives.image, positives.prior
        bboxes = positives.gt_bboxes if settings.dcc_bboxes == "gt" else positives.bboxes
        if settings.bbox_jitter:
            bboxes = jitter_bboxes(bboxes, settings.bbox_jitter, generator)
        if self.detach_bboxes:
            bboxes = bboxes.detach()
        codes = dcc(outputs.pose_vectors[image, prior], bboxes, outputs.priors[prior], with_sigmas=True)
        return CoordinateCodes._make(None if code is None else code.to(bboxes.dtype) for code in codes)

    def _positive_losses(
        self, outputs: HeadOutputs, positives: Positives, codes: CoordinateCodes | None, settings: PhaseLosses
    ) -> dict[str, Tensor]:
        """Losses summed over the positives, before weighting."""
        image, prior = positives.image, positives.prior
        gt_keypoints, labeled = positives.gt_keypoints, positives.labeled
        count = labeled.sum(dim=-1, keepdim=True).clamp(min=1) if self.average_labeled else labeled.shape[-1]
        share = labeled.to(gt_keypoints.dtype) / count
        proxy_target, proxy_share = gt_keypoints, share
        if codes is not None and settings.proxy_target == "dcc":
            proxy_target = codes.keypoints.detach()
            proxy_error = (positives.proxy.detach() - gt_keypoints).square().sum(dim=-1)
            proxy_share = share * (proxy_error > (proxy_target - gt_keypoints).square().sum(dim=-1))
        losses = {
            "bbox": iou_loss(positives.bboxes, positives.gt_bboxes),
            "vis": visibility_loss(outputs.visibility_logits[image, prior], labeled, positives.annotated),
            "oks": proxy_oks_loss(positives.proxy, proxy_target, positives.gt_area, self.oks_sigmas, proxy_share),
        }
        if codes is not None:
            losses["coordinate"] = self.coordinate_loss(codes, gt_keypoints, positives.gt_area) * share
            if codes.pred_sigmas is not None:  # a gradient of zero from losses that have no use for the spread
                losses["coordinate"] = losses["coordinate"] + 0 * codes.pred_sigmas
            if settings.heatmap_weight:
                losses["heatmap"] = self.heatmap_loss(codes, gt_keypoints, positives.gt_area) * share
        if settings.bbox_aux_weight:
            losses["bbox_aux"] = bbox_l1_loss(
                outputs.bbox_offsets[image, prior], positives.gt_bboxes, outputs.priors[prior], outputs.strides[prior]
            )
        return {name: loss.sum() for name, loss in losses.items()}


def divisor(normalizer: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """What losses are divided by: the positives averaged over ranks, of which there is at least one on all ranks."""
    return normalizer.clamp(min=1 / torch.distributed.get_world_size() if _is_distributed() else 1)


def _peak(codes: CoordinateCodes) -> Float[Tensor, " F"]:
    """Probability of the highest bin, the mean over axes and joints."""
    heatmaps = codes.heatmap_x.detach(), codes.heatmap_y.detach()
    return torch.stack([heatmap.amax(dim=-1) for heatmap in heatmaps]).mean(dim=(0, 2))


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


@torch.no_grad()
def prior_weights(outputs: HeadOutputs, targets: Targets, ignore_mask: Bool[Tensor, "B H W"]) -> Float[Tensor, "B P"]:
    """Weight of every prior in the classification loss: 0 on unlabeled people, 1 elsewhere, between at their edges.

    A prior lies where the mean of its proxy keypoints lies that it believes visible; one that sees none weighs 1. As
    published, images without any labeled person weigh 1 throughout, and both axes are scaled by the width, which is
    right for square inputs only.
    """
    visible = outputs.visibility_logits.sigmoid() > _VISIBLE_THR
    count = visible.sum(dim=-1, keepdim=True)
    center = (_decode_proxy(outputs) * visible[..., None]).sum(dim=-2) / count.clamp(min=1)
    grid = 2 * center / (ignore_mask.shape[-1] - 1) - 1
    ignored = functional.grid_sample(ignore_mask[:, None].to(grid.dtype), grid[:, None], align_corners=False)[:, 0, 0]
    return 1 - ignored * (count[..., 0] > 0) * targets.valid.any(dim=1)[:, None]


def _decode_proxy(outputs: HeadOutputs) -> Float[Tensor, "B P K 2"]:
    if outputs.proxy_offsets is None:
        raise ValueError("Criterion needs outputs.proxy_offsets; call the model with with_proxy=True")
    return decode_proxy(outputs.proxy_offsets, outputs.priors, outputs.strides)


def _in_full_precision(outputs: HeadOutputs, targets: Targets) -> tuple[HeadOutputs, Targets]:
    """Everything the losses compute with, in float32, or in float64 where the network runs in it.

    Pose vectors stay as they are: only the classifier reads them, a few at a time.
    """
    dtype = torch.promote_types(outputs.cls_logits.dtype, torch.float32)
    outputs = replace(
        outputs,
        cls_logits=outputs.cls_logits.to(dtype),
        bbox_offsets=outputs.bbox_offsets.to(dtype),
        visibility_logits=outputs.visibility_logits.to(dtype),
        proxy_offsets=None if outputs.proxy_offsets is None else outputs.proxy_offsets.to(dtype),
        priors=outputs.priors.to(dtype),
        strides=outputs.strides.to(dtype),
    )
    targets = replace(
        targets,
        bboxes=targets.bboxes.to(dtype),
        keypoints=targets.keypoints.to(dtype),
        area=targets.area.to(dtype),
    )
    return outputs, targets
