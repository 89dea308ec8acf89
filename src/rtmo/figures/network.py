"""The network that a figure is about, and the images it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rtmo.data.image_file import read_image
from rtmo.data.letterbox import fitted
from rtmo.errors import InputError
from rtmo.models.dcc import DynamicCoordinateClassifier
from rtmo.models.rtmo import RTMO
from rtmo.skeletons import KeypointSet
from rtmo.targets import did_you_mean
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


def chosen_joints(names: Sequence[str], skeleton: KeypointSet, most: int) -> list[int]:
    """Indices of joints by name; without names, some that are spread over the skeleton.

    Raises:
        InputError: If the skeleton has no such joint.
    """
    if not names:
        return np.linspace(0, skeleton.num_keypoints - 1, most).round().astype(int).tolist()
    for name in names:
        if name not in skeleton.joints:
            raise InputError(f"joints: {skeleton.name} has no {name}; {did_you_mean(name, skeleton.joints)}")
    return [skeleton.joints.index(name) for name in names]
