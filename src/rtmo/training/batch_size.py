"""The largest training batch that fits into memory, for ``data.batch_size=auto``."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import psutil
import torch
from torch import Tensor

from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet, keypoint_set
from rtmo.targets import AUTO
from rtmo.training.assembly import brief_trainer, build_module
from rtmo.training.checkpoint_io import undamaged
from rtmo.training.earlier_run import check_resumable
from rtmo.training.module import PoseModule
from rtmo.types import Targets
from rtmo.weights.file import RECORD

MOST_AUTO = 256  # where no nominal batch is named
MOST_OF_ANY = 64  # where the recipe goes with any batch: larger ones make few steps
SHARE = 0.7  # of what is free; optimizer, average, loaders and gaps between tensors take the rest
MEASURED = (2, 8)  # images
PEOPLE = 10  # in each
log = logging.getLogger(__name__)


def automatic_batch_size(cfg: Mapping[str, Any], *, in_sweep: bool) -> int:
    """What ``data.batch_size=auto`` stands for: that of the run that goes on; of a new one the largest that fits.

    Raises:
        InputError: If that depends on more than this device.
    """
    skeleton = keypoint_set(cfg["skeleton"])
    if cfg["ckpt_path"] is not None:
        earlier = check_resumable(undamaged(Path(cfg["ckpt_path"])), skeleton)
        return int(earlier[RECORD]["config"]["data"]["batch_size"])
    trainer = brief_trainer(cfg, skeleton)
    if in_sweep or trainer.world_size > 1:
        raise InputError("data.batch_size=auto: goes with one run on one device; give the number that such a run finds")
    largest = None if cfg["multiscale"] is None else cfg["multiscale"]["max_size"]
    height, width = cfg["image_size"] if largest is None else (largest, largest)
    module = trainer.precision_plugin.convert_module(build_module(cfg, skeleton))
    with trainer.precision_plugin.forward_context():
        found = find_batch_size(
            cast(PoseModule, module),
            skeleton,
            image_size=(height, width),
            device=trainer.strategy.root_device,
            most=MOST_OF_ANY if cfg["nominal_batch"] == AUTO else cfg["nominal_batch"] or MOST_AUTO,
        )
    log.info("data.batch_size=auto: %d images of %d x %d px", found, height, width)
    return found


def find_batch_size(
    module: PoseModule, skeleton: KeypointSet, *, image_size: tuple[int, int], device: torch.device, most: int
) -> int:
    """A power of two. Steps of two sizes are measured, and memory grows by the image: nothing runs into its limit.

    Args:
        module: Left on the device, with gradients of no meaning.
        image_size: (height, width) of the largest images, px.
        most: Images, at most.
    """
    module.to(device).train()
    free = _free(device)
    few, many = (_memory_of_step(module, skeleton, number, image_size, device) for number in MEASURED)
    per_image = max((many - few) / (MEASURED[1] - MEASURED[0]), 1.0)
    fits = min((SHARE * free - few) / per_image + MEASURED[0], most)
    return 2 ** (int(max(fits, 1)).bit_length() - 1)


def random_people(batch: int, people: int, image_size: tuple[int, int], skeleton: KeypointSet) -> Targets:
    """So many in each image, 40 to 200 px wide and high, joints anywhere in their boxes, three in ten unlabeled."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.rand(batch, people, *shape, generator=generator)

    sizes = 40 + 160 * random(2)
    corners = random(2) * (torch.tensor(image_size[::-1]) - sizes)
    joints = skeleton.num_keypoints
    labeled = random(joints) > 0.3
    return Targets(
        bboxes=torch.cat([corners, corners + sizes], dim=-1),
        keypoints=corners[:, :, None] + random(joints, 2) * sizes[:, :, None],
        visibility=2 * labeled.byte(),
        annotated=torch.ones_like(labeled),
        area=0.5 * sizes.prod(dim=-1),
        valid=torch.ones(batch, people, dtype=torch.bool),
    )


def _memory_of_step(
    module: PoseModule, skeleton: KeypointSet, batch: int, image_size: tuple[int, int], device: torch.device
) -> float:
    """Bytes that the activations of so many images take."""
    people = random_people(batch, PEOPLE, image_size, skeleton).to(device)
    images = 255 * torch.rand(batch, 3, *image_size, device=device)
    before = _used(device)
    outputs = module.model(images.contiguous(memory_format=module.memory_format), with_proxy=True)
    loss = module.criterion(outputs, people, module.model.dcc, "B")["loss"]
    used = _used(device) - before  # all that the gradients are computed from is there now
    loss.backward()
    module.zero_grad()
    return used


def _free(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(psutil.virtual_memory().available)


def _used(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.memory_allocated(device))
    return float(psutil.Process().memory_info().rss)
