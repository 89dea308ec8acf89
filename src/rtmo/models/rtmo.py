"""RTMO: one-stage multi-person pose estimation (arXiv:2312.07526, CVPR 2024)."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rtmo.models.csp_darknet import CSPDarknet
from rtmo.models.dcc import DynamicCoordinateClassifier
from rtmo.models.head import NUM_POSE_GROUPS, RTMOHead
from rtmo.models.hybrid_encoder import HybridEncoder
from rtmo.models.resnet import ResNet50
from rtmo.ops.boxes import decode_bboxes
from rtmo.ops.keypoints import decode_proxy
from rtmo.ops.nms import nms
from rtmo.types import HeadOutputs, Poses

HEAD_DIM = 256  # channels of each head branch, at widen_factor 1
POSE_GROUP_DIM = 36  # channels of each of the pose branch's groups, at widen_factor 1
POSE_VECTOR_DIM = 512  # features of a pose vector, at widen_factor 1
CSP_REP_BLOCKS = 3  # RepVGG blocks of a fusion block, at deepen_factor 1
SIZE_DIVISOR = 32

REGRESSION = "regression"
DECODINGS = ("dcc", "cc_dba", "cc_static", REGRESSION)  # paper, section 4.4

# Parameters that only training reads: the proxy branch and the learned spread.
TRAINING_ONLY_PREFIXES = ("head.proxy_out.", "dcc.sigma_fc.", "dcc.sigma_scale")

# Parameters and buffers whose first dimension is K blocks, one a joint.
KEYPOINT_PREFIXES = (
    "head.visibility_out.",
    "head.proxy_out.",
    "dcc.keypoint_fc.",
    "dcc.keypoint_bn.",
    "dcc.pos_enc",
    "dcc.sigma_fc.",
)


class RTMO(nn.Module):
    """Backbone, hybrid encoder, head and Dynamic Coordinate Classifier.

    Args:
        num_keypoints: K.
        backbone: ``csp_darknet`` or ``resnet50``.
        widen_factor: Scales the channels of backbone and head.
        deepen_factor: Scales the number of blocks.
        hidden_dim: Channels of the hybrid encoder.
        neck_widen_factor: Scales the channels of the encoder's fusion blocks; None takes ``widen_factor``.
        num_heads: Attention heads of the encoder.
        ffn_dim: Feed-forward width of the encoder.
        strides: Levels the head reads, the finest first: (16, 32) as published, (8, 16, 32) for the ablation.
        num_bins: Horizontal and vertical bins of the coordinate classifier.
        dcc_dim: Features of a keypoint and of a bin in the classifier.
        attention_dim: Query and key features of its gated attention.
        bbox_padding: Its bins span the box grown by this factor.
        bin_temperature: Of the bins' sine code.
        bin_init_scale: Shrinks the classifier's initial logits; see ``DynamicCoordinateClassifier``.
        attention_init_scale: Shrinks what its attention starts with; likewise.
        decoding: Where keypoints come from: ``dcc``, the classifier as published; ``cc_dba``, without dynamic encoding
            of its bins; ``cc_static``, with bins in a fixed range as well; ``regression``, the proxy branch, and there
            is no classifier: ``dcc`` is None.
        static_range: Of ``cc_static`` alone: what the bins span, the grid point in its middle, px.

    Raises:
        ValueError: If ``backbone`` or ``decoding`` is unknown, ``static_range`` does not go with the decoding, or
            ``num_heads`` does not divide ``hidden_dim``.
    """

    def __init__(
        self,
        *,
        num_keypoints: int,
        backbone: str = "csp_darknet",
        widen_factor: float,
        deepen_factor: float,
        hidden_dim: int = 256,
        neck_widen_factor: float | None = None,
        num_heads: int = 8,
        ffn_dim: int = 1024,
        strides: Sequence[int] = (16, 32),
        num_bins: Sequence[int] = (192, 256),
        dcc_dim: int = 128,
        attention_dim: int = 128,
        bbox_padding: float = 1.25,
        bin_temperature: float = 300.0,
        bin_init_scale: float = 1.0,
        attention_init_scale: float = 1.0,
        decoding: str = "dcc",
        static_range: float | None = None,
    ) -> None:
        super().__init__()
        if decoding not in DECODINGS:
            raise ValueError(f"model.decoding={decoding!r} is unknown; choose one of {', '.join(DECODINGS)}")
        if (static_range is not None) != (decoding == "cc_static"):
            raise ValueError(f"model.static_range={static_range}: px for decoding=cc_static, null for {decoding!r}")
        if num_heads < 1 or hidden_dim % num_heads:
            raise ValueError(f"model.num_heads={num_heads} must divide model.hidden_dim={hidden_dim}")
        self.decoding = decoding
        self.num_keypoints = num_keypoints
        if backbone == "csp_darknet":
            self.backbone: CSPDarknet | ResNet50 = CSPDarknet(widen_factor=widen_factor, deepen_factor=deepen_factor)
        elif backbone == "resnet50":
            self.backbone = ResNet50()
        else:
            raise ValueError(f"model.backbone={backbone!r} is unknown; choose csp_darknet or resnet50")
        head_dim = int(HEAD_DIM * widen_factor)
        pose_vector_dim = int(POSE_VECTOR_DIM * widen_factor)
        self.neck = HybridEncoder(
            in_channels=self.backbone.out_channels,
            out_channels=2 * head_dim,
            strides=strides,
            hidden_dim=hidden_dim,
            csp_dim=int(hidden_dim * (widen_factor if neck_widen_factor is None else neck_widen_factor)),
            num_blocks=max(round(CSP_REP_BLOCKS * deepen_factor), 1),
            num_heads=num_heads,
            ffn_dim=ffn_dim,
        )
        self.head = RTMOHead(
            in_channels=2 * head_dim,
            num_keypoints=num_keypoints,
            cls_dim=head_dim,
            pose_dim=NUM_POSE_GROUPS * int(POSE_GROUP_DIM * widen_factor),
            pose_vector_dim=0 if decoding == REGRESSION else pose_vector_dim,
            strides=strides,
        )
        self.dcc: DynamicCoordinateClassifier | None = None
        if decoding != REGRESSION:
            self.dcc = DynamicCoordinateClassifier(
                in_dim=pose_vector_dim,
                num_keypoints=num_keypoints,
                num_bins=(num_bins[0], num_bins[1]),
                dim=dcc_dim,
                attention_dim=attention_dim,
                bbox_padding=bbox_padding,
                temperature=bin_temperature,
                bin_init_scale=bin_init_scale,
                attention_init_scale=attention_init_scale,
                dynamic_encoding=decoding == "dcc",
                static_range=static_range,
            )

    def forward(self, images: Float[Tensor, "B 3 H W"], with_proxy: bool = False) -> HeadOutputs:
        """Dense predictions; ``decode`` turns them into poses.

        Args:
            images: BGR 0..255, unnormalised.
            with_proxy: Whether to regress the proxy keypoints, which only training reads. Without a classifier they
                are the pose and always there.

        Raises:
            ValueError: If height or width is not a multiple of 32.
        """
        height, width = images.shape[-2:]
        if height % SIZE_DIVISOR or width % SIZE_DIVISOR:
            raise ValueError(f"image_size must be multiples of {SIZE_DIVISOR}, got height {height} and width {width}")
        images = images.to(next(self.backbone.parameters()).dtype)  # half precision holds 0..255 exactly
        return self.head(self.neck(self.backbone(images)), (height, width), with_proxy or self.dcc is None)

    @torch.no_grad()
    def decode(self, outputs: HeadOutputs, score_thr: float = 0.1, nms_thr: float = 0.65) -> list[Poses]:
        """Poses in px of the network input, one record an image, best first.

        The steps are: scores, boxes, choice of candidates, then coordinates of the survivors only.

        Args:
            score_thr: People below are dropped.
            nms_thr: Boxes that overlap a better one by more than this IoU are dropped.
        """
        found = self.find_people(outputs, score_thr, nms_thr)
        return found.poses(self.keypoints(outputs, found.images, found.priors, found.bboxes), outputs)

    @torch.no_grad()
    def find_people(self, outputs: HeadOutputs, score_thr: float, nms_thr: float) -> "FoundPeople":
        """Which priors are people: scores, then boxes of those above the threshold, then the choice among these."""
        scores = outputs.cls_logits.float().sigmoid()[..., 0]
        images, priors = (scores > score_thr).nonzero(as_tuple=True)
        bboxes = decode_bboxes(
            outputs.bbox_offsets[images, priors].to(outputs.priors.dtype),
            outputs.priors[priors],
            outputs.strides[priors],
        )
        scores = scores[images, priors]
        # Suppression decides one person after another: on the host, where it need not wait for a device each time.
        counts = images.bincount(minlength=len(outputs.cls_logits)).tolist()
        by_image = zip(bboxes.cpu().split(counts), scores.cpu().split(counts), strict=True)
        kept = [nms(image_bboxes, image_scores, nms_thr) for image_bboxes, image_scores in by_image]
        starts = itertools.accumulate([0, *counts[:-1]])
        chosen = torch.cat([start + indices for start, indices in zip(starts, kept, strict=True)]).to(bboxes.device)
        return FoundPeople(
            [len(indices) for indices in kept], images[chosen], priors[chosen], bboxes[chosen], scores[chosen]
        )

    @torch.no_grad()
    def keypoints(
        self,
        outputs: HeadOutputs,
        images: Int[Tensor, " N"],
        priors: Int[Tensor, " N"],
        bboxes: Float[Tensor, "N 4"],
    ) -> Float[Tensor, "N K 2"]:
        """Keypoints of the people at some priors, px of the network input.

        Args:
            images: Position in the batch of each person's image.
            priors: Of each person.
            bboxes: Neither clipped nor padded, px.
        """
        if self.dcc is not None:
            return self.dcc(outputs.pose_vectors[images, priors], bboxes, outputs.priors[priors]).keypoints
        assert outputs.proxy_offsets is not None  # forward sees to it
        return decode_proxy(outputs.proxy_offsets[images, priors], outputs.priors[priors], outputs.strides[priors])

    @property
    def training_only(self) -> tuple[str, ...]:
        """Prefixes of parameters that only training reads; without a classifier the proxy branch is the pose."""
        return () if self.dcc is None else TRAINING_ONLY_PREFIXES

    def parameter_counts(self) -> dict[str, int]:
        """Parameters by part; ``training_only`` are left out of an exported model."""
        counts = {
            name: 0 if part is None else sum(p.numel() for p in part.parameters())
            for name, part in (
                ("backbone", self.backbone),
                ("neck", self.neck),
                ("head", self.head),
                ("dcc", self.dcc),
            )
        }
        counts["total"] = sum(counts.values())
        counts["training_only"] = sum(
            p.numel() for name, p in self.named_parameters() if name.startswith(self.training_only)
        )
        return counts


class FoundPeople(NamedTuple):
    """The people of a batch, image by image, best first.

    Attributes:
        counts: How many each image has.
        images: Position in the batch of each one's image.
        priors: That found them.
        bboxes: Corners in px of the network input, not clipped.
        scores: 0..1.
    """

    counts: list[int]
    images: Int[Tensor, " N"]
    priors: Int[Tensor, " N"]
    bboxes: Float[Tensor, "N 4"]
    scores: Float[Tensor, " N"]

    def poses(self, keypoints: Float[Tensor, "N K 2"], outputs: HeadOutputs) -> list[Poses]:
        """One record an image, boxes clipped, with the visibilities that the head predicts."""
        height, width = outputs.image_size
        limits = self.bboxes.new_tensor((width, height, width, height))
        visibility = outputs.visibility_logits[self.images, self.priors].float().sigmoid()
        fields = (self.bboxes.clamp(min=0).minimum(limits), self.scores, keypoints, visibility)
        by_image = zip(*(field.split(self.counts) for field in fields), strict=True)
        return [Poses(*image_fields) for image_fields in by_image]
