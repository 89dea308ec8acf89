"""The network that a figure is about, and the images it is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rtmo.data.image_file import read_image
from rtmo.data.letterbox import fitted
from rtmo.data.source import PoseSource
from rtmo.errors import InputError
from rtmo.hub import load_model
from rtmo.models.dcc import DynamicCoordinateClassifier
from rtmo.models.rtmo import RTMO
from rtmo.skeletons import KeypointSet, keypoint_set
from rtmo.targets import build, did_you_mean
from rtmo.types import HeadOutputs, Sample


@dataclass(frozen=True)
class Network:
    """A trained network and how it is asked.

    Attributes:
        model: In eval mode.
        skeleton: Its joints.
        image_size: (height, width) in px that images are fitted into.
        score_thr: People scored below are not looked at.
        nms_thr: IoU over which the lower-scored box of two is dropped.
    """

    model: RTMO
    skeleton: KeypointSet
    image_size: tuple[int, int]
    score_thr: float = 0.3
    nms_thr: float = 0.65

    @property
    def classifier(self) -> DynamicCoordinateClassifier:
        """What places the joints.

        Raises:
            InputError: If the network regresses them and has no heatmaps.
        """
        if self.model.dcc is None:
            raise InputError("model.decoding=regression has no heatmaps; give a checkpoint with another decoding")
        return self.model.dcc

    @torch.no_grad()
    def see(self, sample: Sample, with_proxy: bool = False) -> tuple[HeadOutputs, Sample]:
        """What the network says of an image, and the image as it saw it, people moved along."""
        seen = fitted(sample, self.image_size).drawn()
        device = next(self.model.parameters()).device
        images = torch.from_numpy(seen.pixels).permute(2, 0, 1)[None].float().to(device)
        return self.model(images, with_proxy=with_proxy), seen


def network_of(cfg: Mapping[str, Any], key: str = "checkpoint") -> Network:
    """The network of a checkpoint, asked as the config of a command says.

    Args:
        key: The option that names the checkpoint.

    Raises:
        InputError: If it cannot be used.
    """
    skeleton = keypoint_set(cfg["skeleton"])
    model = load_model(cfg[key], skeleton=skeleton)
    try:
        model.to(cfg["device"])
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device={cfg['device']}: cannot be used ({error}); device=cpu always can") from error
    height, width = cfg["image_size"]
    return Network(model, skeleton, (height, width), cfg["score_thr"], cfg["nms_thr"])


def val_source(cfg: Mapping[str, Any]) -> PoseSource:
    """The validation images of a command's data, by default those of the run that trained the checkpoint."""
    source: PoseSource = build(cfg["data"]["val"], "data.val", keypoint_set(cfg["skeleton"]))
    return source


def image_sample(path: Path, num_keypoints: int) -> Sample:
    """An image file as a sample of which nobody says who is in it, turned as its EXIF header says.

    Raises:
        InputError: If there is no such image.
    """
    try:
        image = read_image(path, displayed=True)
    except OSError as error:
        raise InputError(f"image={path}: cannot be read ({error.strerror}); give an image file") from error
    return Sample(
        image=image,
        bboxes=np.zeros((0, 4), np.float32),
        keypoints=np.zeros((0, num_keypoints, 2), np.float32),
        visibility=np.zeros((0, num_keypoints), np.uint8),
        annotated=np.zeros((0, num_keypoints), bool),
        area=np.zeros(0, np.float32),
        image_id=0,
    )


def chosen_joints(names: Sequence[str] | None, skeleton: KeypointSet, most: int) -> list[int]:
    """Indices of joints by name; without names, some that are spread over the skeleton.

    Raises:
        InputError: If the skeleton has no such joint.
    """
    if names is None:
        return np.linspace(0, skeleton.num_keypoints - 1, most).round().astype(int).tolist()
    for name in names:
        if name not in skeleton.joints:
            raise InputError(f"joints: {skeleton.name} has no {name}; {did_you_mean(name, skeleton.joints)}")
    return [skeleton.joints.index(name) for name in names]


def check_counts(cfg: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuses options that count something and are no whole number from 1 on.

    Raises:
        InputError: If one is.
    """
    for name in names:
        if type(cfg[name]) is not int or cfg[name] < 1:
            raise InputError(f"{name}: expected a whole number from 1 on, got {cfg[name]!r}")
