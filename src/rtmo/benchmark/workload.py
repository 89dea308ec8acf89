"""What a benchmark of prediction works on: an image, a network, and how much the network has to compute."""

from functools import cache
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from rtmo import config
from rtmo.data.synthetic.source import SyntheticPeople
from rtmo.errors import InputError
from rtmo.hub import load_model, model_names
from rtmo.inference.images import read_any
from rtmo.models.fusing import fused
from rtmo.skeletons import COCO17
from rtmo.weights.checkpoint import find, read_checkpoint
from rtmo.weights.file import RECORD, write_file


def is_fresh(checkpoint: str) -> bool:
    """Whether this names a size of network, to be measured with random weights."""
    return checkpoint in model_names() and not Path(checkpoint).is_file()


def fresh_config(size: str) -> DictConfig:
    """How a size of network is trained."""
    return config.compose("train", [f"model={size}", "recipe=published"])


def weights_file(checkpoint: str, folder: Path) -> Path:
    """The file of a checkpoint; of a bare size one with fresh weights, written into a folder.

    Raises:
        InputError: If there is no such checkpoint.
    """
    if not is_fresh(checkpoint):
        return find(checkpoint)
    torch.manual_seed(0)
    file = folder / f"{checkpoint}.pth"
    described = OmegaConf.to_container(fresh_config(checkpoint)["model"])
    write_file(file, load_model(checkpoint).state_dict(), {RECORD: {"model": described, "skeleton": COCO17.to_plain()}})
    return file


def image_file(image: str | None, folder: Path) -> Path:
    """The image of a path; without one a drawing of people, written into a folder as JPEG.

    Raises:
        InputError: If there is no such file, or it is no image.
    """
    if image is not None:
        if not Path(image).is_file():
            raise InputError(f"image={image}: no such file; give an image, or leave image out for a drawn one")
        read_any(image)
        return Path(image)
    drawn = SyntheticPeople(num_images=1, image_size=(480, 640), seed=0).load(0)
    file = folder / "drawn.jpg"
    Image.fromarray(drawn.pixels[..., ::-1]).save(file, quality=95)
    return file


@cache
def parameters_and_gflop(checkpoint: Path, image_size: tuple[int, int]) -> tuple[int, float]:
    """Parameters of a network as it is used, and 10^9 floating-point operations for an image.

    Norms are folded and branches merged, whoever runs it: so much there is to compute. A multiplication and an
    addition are two operations; poses are not decoded.

    Args:
        image_size: (height, width) in px.
    """
    description = read_checkpoint(checkpoint)
    with torch.device("meta"):
        model = fused(description.build_model())
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, 3, *image_size))
    return sum(parameter.numel() for parameter in model.parameters()), counter.get_total_flops() / 1e9
