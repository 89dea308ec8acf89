"""What an exported file says of itself, and its outputs as poses: the same for every runtime."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from rtmo.data.transforms import check_image_size
from rtmo.documents import parse_json
from rtmo.errors import InputError
from rtmo.ops.nms import nms
from rtmo.skeletons import KeypointSet
from rtmo.types import Poses

if TYPE_CHECKING:
    import onnx

INPUT = "images"
KEY = "rtmo"  # of the metadata
VERSION = 1  # of its format
FORMS = ("nms", "topk", "raw")
PRECISIONS = ("float32", "float16", "int8")
CONVENTIONS = {
    "colour_order": "BGR",
    "value_range": [0, 255],
    "letterbox": {"border": 114, "position": "centre"},
}


@dataclass(frozen=True)
class ExportRecord:
    """The metadata of an exported file.

    Attributes:
        form: One of ``FORMS``; see ``deploy.graphs``.
        precision: Of its dense part.
        skeleton: Joints that it finds, in the order of its outputs.
        image_size: (height, width) that it was checked with, px.
        score_thr: People below are not among its outputs (nms), or are not meant to be reported (topk, raw).
        nms_thr: IoU over which it drops (nms), or whoever reads it should drop, the lower-scored box of two.
        source: The checkpoint's ``file`` name and, of a run of ours, its ``config``.
    """

    form: str
    precision: str
    skeleton: KeypointSet
    image_size: tuple[int, int]
    score_thr: float
    nms_thr: float
    source: Mapping[str, Any] = field(repr=False)

    def to_json(self) -> str:
        """One JSON document, with the conventions that hold for all files."""
        own = {name: getattr(self, name) for name in ("form", "precision", "image_size", "score_thr", "nms_thr")}
        plain = {"version": VERSION, **own, "skeleton": self.skeleton.to_plain(), **CONVENTIONS}
        return json.dumps({**plain, "source": dict(self.source)})

    @classmethod
    def from_json(cls, text: str | None, path: Path) -> "ExportRecord":
        """The record of a file.

        Args:
            text: What the file has under ``KEY``; None if nothing.

        Raises:
            InputError: If it is not of ``rtmo.export``, of another version of it, or damaged.
        """
        if text is None:
            raise InputError(f"{path}: an ONNX model, but not one of rtmo.export: it does not name its joints")
        try:
            plain = parse_json(text, KEY)
            if plain["version"] != VERSION:
                raise ValueError(f"version {plain['version']} of the format, this rtmo reads {VERSION}")
            differing = [name for name, value in CONVENTIONS.items() if plain[name] != value]
            if differing or plain["form"] not in FORMS or plain["precision"] not in PRECISIONS:
                raise ValueError(f"unknown {', '.join(differing) or 'form or precision'}")
            return cls(
                form=plain["form"],
                precision=plain["precision"],
                skeleton=KeypointSet.from_plain(plain["skeleton"]),
                image_size=check_image_size(plain["image_size"]),
                score_thr=float(plain["score_thr"]),
                nms_thr=float(plain["nms_thr"]),
                source=dict(plain["source"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: its metadata {KEY!r} is damaged or of another rtmo ({error}); export it again"
            ) from error


def read_record(path: Path) -> ExportRecord:
    """The record of a file, which no runtime need load for it.

    Raises:
        InputError: If the file is none of ``rtmo.export``, or onnx is not installed.
    """
    metadata = {entry.key: entry.value for entry in load_onnx(path).metadata_props}
    return ExportRecord.from_json(metadata.get(KEY), path)


def load_onnx(path: Path) -> "onnx.ModelProto":
    """An ONNX file, whoever wrote it.

    Raises:
        InputError: If onnx is not installed, or the file is missing or none.
    """
    package = import_runtime("onnx", "onnx")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        model: onnx.ModelProto = package.load(path, load_external_data=False)
    except Exception as error:  # of protobuf, whose classes depend on how it is built
        raise InputError(f"{path}: no ONNX model, damaged or cut short; get it again") from error
    if not model.opset_import:  # an empty file is a valid message without content
        raise InputError(f"{path}: no ONNX model, damaged or cut short; get it again")
    return model


class ExportedModel:
    """What runtimes of exported files share: the record, thresholds, the input in memory, outputs as poses.

    Args:
        record: Of the file.
        path: The file, for messages.
        image_size: (height, width) in px; None: that of the record.
        score_thr: None: that of the record.
        nms_thr: None: that of the record.

    Raises:
        InputError: If the file gives no poses, or an option contradicts what is fixed in it.
    """

    def __init__(
        self,
        record: ExportRecord,
        path: Path,
        *,
        image_size: Sequence[int] | None = None,
        score_thr: float | None = None,
        nms_thr: float | None = None,
    ) -> None:
        if record.form == "raw":
            raise InputError(
                f"{path}: of form raw, it gives no poses but what the head says of every grid point; export with "
                "form=nms or form=topk, or give the checkpoint"
            )
        self.record = record
        self.path = path
        self.skeleton = record.skeleton
        self.image_size = record.image_size if image_size is None else check_image_size(image_size)
        self.score_thr = record.score_thr if score_thr is None else score_thr
        self.nms_thr = record.nms_thr if nms_thr is None else nms_thr
        if record.form == "nms":
            if self.score_thr < record.score_thr:
                raise InputError(
                    f"score_thr={self.score_thr}: {path} leaves out whoever scores below {record.score_thr}; export it "
                    "with a lower score_thr"
                )
            if self.nms_thr != record.nms_thr:
                raise InputError(
                    f"nms_thr={self.nms_thr}: {path} suppresses with {record.nms_thr}; export it with another nms_thr, "
                    "or with form=topk"
                )
        self._input = torch.empty(0)

    def as_input(self, images: UInt8[np.ndarray, "B H W 3"]) -> Float32[np.ndarray, "B 3 H W"]:
        """The images as the file takes them, in memory that the next ones reuse."""
        received = torch.from_numpy(images).permute(0, 3, 1, 2)
        if self._input.shape != received.shape:
            self._input = torch.empty(received.shape)
        return self._input.copy_(received).numpy()

    def decode(self, outputs: Any) -> list[Poses]:
        """See ``Backend.decode``; of form nms it only slices.

        Raises:
            InputError: If the outputs are not those of a form with poses.
        """
        detections, keypoints = (torch.from_numpy(output) for output in outputs)
        expected = (*detections.shape[:2], self.skeleton.num_keypoints, 3)
        if detections.shape[2:] != (5,) or keypoints.shape != expected:
            shapes = f"{tuple(detections.shape)} and {tuple(keypoints.shape)}"
            raise InputError(
                f"{self.path}: gives outputs of shapes {shapes}, not (B, N, 5) and (B, N, "
                f"{self.skeleton.num_keypoints}, 3); export it again"
            )
        return [self._poses(*of_image) for of_image in zip(detections, keypoints, strict=True)]

    def _poses(self, detections: Float32[Tensor, "N 5"], keypoints: Float32[Tensor, "N K 3"]) -> Poses:
        above = int((detections[:, 4] > self.score_thr).sum())  # best first
        detections, keypoints = detections[:above], keypoints[:above]
        if self.record.form == "topk":
            people = nms(detections[:, :4], detections[:, 4], self.nms_thr)
            detections, keypoints = detections[people], keypoints[people]
        height, width = self.image_size
        limits = detections.new_tensor((width, height, width, height))
        return Poses(
            bboxes=detections[:, :4].clamp(min=0).minimum(limits),
            scores=detections[:, 4],
            keypoints=keypoints[..., :2],
            keypoint_scores=keypoints[..., 2],
        )


def import_runtime(name: str, extra: str) -> ModuleType:
    """A package that only exported files need.

    Raises:
        InputError: If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f"{name} is not installed; run: pip install 'rtmo[{extra}]'") from error
