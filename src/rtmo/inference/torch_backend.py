"""Checkpoints and published weights, run by torch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from rtmo.data.transforms import check_image_size
from rtmo.errors import InputError
from rtmo.models.compiling import check_compiler
from rtmo.models.fusing import for_inference
from rtmo.models.rtmo import RTMO
from rtmo.skeletons import KeypointSet
from rtmo.types import HeadOutputs, Poses
from rtmo.weights.checkpoint import Checkpoint, find, read_checkpoint
from rtmo.weights.load import load_weights
from rtmo.weights.zoo import MODELS

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class TorchBackend:
    """Runs a checkpoint: norms folded, blocks merged, channels_last; only people above the threshold are decoded.

    See ``open_backend`` for the arguments and ``Backend`` for the attributes.

    Raises:
        InputError: If the file or an option cannot be used.
    """

    def __init__(
        self,
        name_or_path: str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        compile: bool = False,
        image_size: Sequence[int] | None = None,
        score_thr: float = 0.3,
        nms_thr: float = 0.65,
    ) -> None:
        checkpoint = read_checkpoint(find(name_or_path))
        self.device = choose_device(device)
        if precision == "auto":
            precision = "float32" if self.device.type == "cpu" else "float16"
        if precision not in DTYPES:
            raise InputError(f"precision={precision}: unknown; choose one of auto, {', '.join(DTYPES)}")
        self.dtype = DTYPES[precision]
        self.skeleton = named_joints(checkpoint)
        self.image_size = check_image_size(image_size or trained_image_size(checkpoint, name_or_path))
        self.score_thr, self.nms_thr = score_thr, nms_thr
        model = checkpoint.build_model()
        load_weights(model, checkpoint)
        self.model = for_inference(model, self.dtype).to(self.device)
        compiled = "compiled " if compile else ""
        self.description = f"torch {compiled}{precision} on {self.device}"
        self._forward = compiled_network(self.model) if compile else self.model
        self._images = torch.empty(0)

    @torch.inference_mode()
    def network(self, images: UInt8[np.ndarray, "B H W 3"]) -> HeadOutputs:
        """See ``Backend.network``."""
        return self._forward(self._on_device(images))

    @torch.no_grad()  # not inference_mode: callers may change poses in place
    def decode(self, outputs: Any) -> list[Poses]:
        """See ``Backend.decode``."""
        return [poses.to("cpu") for poses in self.model.decode(outputs, self.score_thr, self.nms_thr)]

    def _on_device(self, images: UInt8[np.ndarray, "B H W 3"]) -> Tensor:
        """The images in the network's precision, channels_last, in memory that the next ones reuse."""
        received = torch.from_numpy(images).permute(0, 3, 1, 2)
        if self._images.shape != received.shape:
            self._images = torch.empty_like(
                received, dtype=self.dtype, device=self.device, memory_format=torch.channels_last
            )
        return self._images.copy_(received)


def compiled_network(model: RTMO) -> Callable[[Tensor], HeadOutputs]:
    """The network compiled: with CUDA graphs on CUDA, elsewhere with its weights as constants, laid out once.

    Raises:
        InputError: If torch cannot compile there.
    """
    device = next(model.parameters()).device
    check_compiler(device)
    if device.type == "cuda":
        return torch.compile(model, mode="reduce-overhead")
    return torch.compile(model, options={"freezing": True})


def choose_device(device: str) -> torch.device:
    """The device of a name; ``auto`` is an accelerator if there is one.

    Raises:
        InputError: If there is no such device.
    """
    if device == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"device={device}: {str(error).splitlines()[0]}; say device=cpu or auto") from error
    return chosen


def named_joints(checkpoint: Checkpoint) -> KeypointSet:
    """The joints of a checkpoint.

    Raises:
        InputError: If the file does not name them.
    """
    if checkpoint.skeleton is None:
        raise InputError(
            f"{checkpoint.path}: finds {checkpoint.num_keypoints} joints and does not name them; convert it first: "
            "python -m rtmo.convert input=... output=... to=rtmo skeleton=..."
        )
    return checkpoint.skeleton


def trained_image_size(checkpoint: Checkpoint, name_or_path: str | Path) -> Sequence[int]:
    """(height, width) that a network was trained for: as its run or the model zoo says.

    Raises:
        InputError: If neither does.
    """
    if checkpoint.config is not None:
        size: Sequence[int] = checkpoint.config["image_size"]
        return size
    for entry in MODELS.values():
        if str(name_or_path) == entry.name or checkpoint.path.name == entry.file:
            return (entry.image_size, entry.image_size)
    raise InputError(f"image_size: {checkpoint.path} does not tell; give image_size=[height,width]")
