"""Published weights by name: RTMO's own, and the backbones that its training starts from.

Reference: the model pages and configs of mmpose (``configs/body_2d_keypoint/rtmo``), and torchvision's ResNet-50
(``IMAGENET1K_V1``). docs/model-zoo.md shows the tables with sizes and licences.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

import torch

from rtmo.download import download
from rtmo.errors import InputError
from rtmo.targets import did_you_mean

OPENMMLAB = "https://download.openmmlab.com"


class ZooEntry(NamedTuple):
    """A published RTMO.

    AP and AR are published: with 17 keypoints on COCO val2017, with 14 on CrowdPose's test set.

    Attributes:
        data: What it was trained on; ``body7`` are COCO and six more sets.
        image_size: Height and width of the images it was trained for and scored on, px.
        ar: None for CrowdPose, whose pages give AP by how crowded an image is.
    """

    name: str
    file: str
    skeleton: str
    data: str
    image_size: int
    ap: float
    ap50: float
    ap75: float
    ar: float | None
    ap_easy: float | None = None
    ap_medium: float | None = None
    ap_hard: float | None = None

    @property
    def model(self) -> str:
        """The network, as in ``model=rtmo_s``."""
        return "_".join(self.name.split("_")[:2])

    @property
    def url(self) -> str:
        return f"{OPENMMLAB}/mmpose/v1/projects/rtmo/{self.file}"


class BackboneEntry(NamedTuple):
    """A network whose backbone an RTMO can start from.

    Attributes:
        data: What it was trained on.
    """

    name: str
    url: str
    data: str

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


MODELS = {entry.name: entry for entry in (
    ZooEntry("rtmo_s_coco", "rtmo-s_8xb32-600e_coco-640x640-8db55a59_20231211.pth",
             "coco17", "coco", 640, 0.677, 0.878, 0.737, 0.715),
    ZooEntry("rtmo_m_coco", "rtmo-m_16xb16-600e_coco-640x640-6f4e0306_20231211.pth",
             "coco17", "coco", 640, 0.709, 0.890, 0.778, 0.747),
    ZooEntry("rtmo_l_coco", "rtmo-l_16xb16-600e_coco-640x640-516a421f_20231211.pth",
             "coco17", "coco", 640, 0.724, 0.899, 0.788, 0.762),
    ZooEntry("rtmo_t_body7", "rtmo-t_8xb32-600e_body7-416x416-f48f75cb_20231219.pth",
             "coco17", "body7", 416, 0.574, 0.803, 0.613, 0.611),
    ZooEntry("rtmo_s_body7", "rtmo-s_8xb32-600e_body7-640x640-dac2bf74_20231211.pth",
             "coco17", "body7", 640, 0.686, 0.879, 0.744, 0.723),
    ZooEntry("rtmo_m_body7", "rtmo-m_16xb16-600e_body7-640x640-39e78cc4_20231211.pth",
             "coco17", "body7", 640, 0.726, 0.899, 0.790, 0.763),
    ZooEntry("rtmo_l_body7", "rtmo-l_16xb16-600e_body7-640x640-b37118ce_20231211.pth",
             "coco17", "body7", 640, 0.748, 0.911, 0.813, 0.786),
    ZooEntry("rtmo_s_crowdpose", "rtmo-s_8xb32-700e_crowdpose-640x640-79f81c0d_20231211.pth",
             "crowdpose14", "crowdpose", 640, 0.673, 0.882, 0.729, None, 0.737, 0.682, 0.591),
    ZooEntry("rtmo_m_crowdpose", "rrtmo-m_16xb16-700e_crowdpose-640x640-0eaf670d_20231211.pth",  # published with two r
             "crowdpose14", "crowdpose", 640, 0.711, 0.897, 0.771, None, 0.774, 0.719, 0.634),
    ZooEntry("rtmo_l_crowdpose", "rtmo-l_16xb16-700e_crowdpose-640x640-1008211f_20231211.pth",
             "crowdpose14", "crowdpose", 640, 0.732, 0.907, 0.793, None, 0.792, 0.741, 0.653),
    ZooEntry("rtmo_l_body7_crowdpose", "rtmo-l_16xb16-700e_body7-crowdpose-640x640-5bafdc11_20231219.pth",
             "crowdpose14", "body7_crowdpose", 640, 0.838, 0.947, 0.893, None, 0.888, 0.847, 0.772),
)}  # fmt: skip

_YOLOX = f"{OPENMMLAB}/mmdetection/v2.0/yolox"
BACKBONES = {entry.name: entry for entry in (
    BackboneEntry(
        "yolox_tiny", f"{_YOLOX}/yolox_tiny_8x8_300e_coco/yolox_tiny_8x8_300e_coco_20211124_171234-b4047906.pth",
        "coco"),
    BackboneEntry(
        "yolox_s", f"{_YOLOX}/yolox_s_8x8_300e_coco/yolox_s_8x8_300e_coco_20211121_095711-4592a793.pth",
        "coco"),
    BackboneEntry(
        "yolox_m", f"{OPENMMLAB}/mmpose/v1/pretrained_models/yolox_m_8x8_300e_coco_20230829.pth",
        "coco"),
    BackboneEntry(
        "yolox_l", f"{_YOLOX}/yolox_l_8x8_300e_coco/yolox_l_8x8_300e_coco_20211126_140236-d3bd2b23.pth",
        "coco"),
    BackboneEntry("resnet50", "https://download.pytorch.org/models/resnet50-0676ba61.pth", "imagenet"),
)}  # fmt: skip


def fetch(name: str) -> Path:
    """The local file of a name in ``MODELS`` or ``BACKBONES``, verified, and downloaded if it is not there yet.

    Files lie in ``hub/checkpoints`` of ``$TORCH_HOME``, by default ``~/.cache/torch``. mmengine and torchvision keep
    theirs in the same place under the same names, so what they have downloaded is found. ``$RTMO_ZOO_URL`` is a
    mirror to use in place of ``OPENMMLAB``.

    Raises:
        InputError: If there is no such name, or its file cannot be had.
    """
    entries: dict[str, ZooEntry | BackboneEntry] = {**MODELS, **BACKBONES}
    if name not in entries:
        raise InputError(f"{name!r}: no such name in the model zoo; {did_you_mean(name, entries)}")
    entry = entries[name]
    mirror = os.environ.get("RTMO_ZOO_URL", OPENMMLAB).rstrip("/")
    if not mirror.startswith(("https://", "http://", "file://")):
        raise InputError(f"RTMO_ZOO_URL={mirror}: not an address; it looks like {OPENMMLAB}, or file:///a/folder")
    path = Path(torch.hub.get_dir()) / "checkpoints" / entry.file
    return download(entry.url.replace(OPENMMLAB, mirror), path, sha256_prefix(entry.file))


def sha256_prefix(file: str) -> str | None:
    """The start of the SHA-256 that a published file carries in its name; None for one that does not."""
    found = re.search(r"-([0-9a-f]{8})(_\d{8})?\.pth$", file)
    return found[1] if found else None
