"""What runs a network on images: torch, or a runtime for exported files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet
from rtmo.types import Poses

EXPORTED = ".onnx"  # suffix of exported files
BACKENDS = ("auto", "torch", "onnxruntime", "openvino")


@runtime_checkable
class Backend(Protocol):
    """A network that is ready to run.

    Attributes:
        skeleton: Joints that it finds.
        image_size: (height, width) of the images it takes, px.
        score_thr: People scored below are not reported.
        nms_thr: IoU over which the lower-scored box of two is dropped.
        description: Runtime, precision and device in use.
    """

    skeleton: KeypointSet
    image_size: tuple[int, int]
    score_thr: float
    nms_thr: float
    description: str

    def network(self, images: UInt8[np.ndarray, "B H W 3"]) -> Any:
        """What the network says of letterboxed BGR images, for ``decode``."""
        ...

    def decode(self, outputs: Any) -> list[Poses]:
        """Poses of each image in px of the network input, on the CPU, best first."""
        ...


def open_backend(
    name_or_path: str | Path,
    *,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    compile: bool = False,
    image_size: Sequence[int] | None = None,
    score_thr: float = 0.3,
    nms_thr: float = 0.65,
) -> Backend:
    """Loads a network.

    Args:
        name_or_path: A published model by name, a checkpoint, or an exported ``.onnx``.
        backend: ``torch``, ``onnxruntime``, ``openvino``; ``auto``: torch for weights, ONNX Runtime for exported files.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``auto``: an accelerator if there is one.
        precision: Of the dense part of the network; ``auto``: float32 on CPUs, float16 on accelerators. What a file
            was exported in cannot be changed.
        compile: Whether torch compiles the dense part, which takes a minute or two and holds for one batch and image
            size; with CUDA graphs on CUDA.
        image_size: (height, width) in px, multiples of 32; None: as trained.
        score_thr: People scored below are not reported.
        nms_thr: IoU over which the lower-scored box of two is dropped.

    Raises:
        InputError: If the file cannot be used, or an option does not go with it.
    """
    if backend not in BACKENDS:
        raise InputError(f"backend={backend}: unknown; choose one of {', '.join(BACKENDS)}")
    for field, value in (("score_thr", score_thr), ("nms_thr", nms_thr)):
        if not 0 <= value <= 1:
            raise InputError(f"{field}={value}: expected a number from 0 to 1")
    shared: dict[str, Any] = {"device": device, "image_size": image_size, "score_thr": score_thr, "nms_thr": nms_thr}
    exported = Path(name_or_path).suffix == EXPORTED
    if backend == "auto":
        backend = "onnxruntime" if exported else "torch"
    if exported != (backend != "torch"):
        kind = "an exported file" if exported else "weights"
        raise InputError(f"backend={backend}: does not run {kind}; leave backend out, or give the other kind of file")
    if exported and compile:
        raise InputError("compile=true: of weights that torch runs; leave it out for an exported file")
    if backend == "torch":
        from rtmo.inference.torch_backend import TorchBackend  # noqa: PLC0415

        return TorchBackend(name_or_path, precision=precision, compile=compile, **shared)
    if backend == "openvino":
        from rtmo.inference.openvino_backend import OpenVinoBackend  # noqa: PLC0415

        return OpenVinoBackend(name_or_path, precision=precision, **shared)
    if precision != "auto":
        raise InputError(f"precision={precision}: ONNX Runtime runs a file in that of its export; leave precision out")
    from rtmo.inference.onnx_backend import OnnxRuntimeBackend  # noqa: PLC0415

    return OnnxRuntimeBackend(name_or_path, **shared)
