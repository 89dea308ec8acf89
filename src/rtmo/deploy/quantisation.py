"""Eight-bit integers in the convolutional part of an exported network.

Weights have a scale per channel, activations one per tensor, found on images. What decides on positions keeps float32:
output layers of the head, the encoder's attention, and everything behind the head: boxes, suppression, the coordinate
classifier.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, UInt8

from rtmo.inference.exported import INPUT, import_runtime

if TYPE_CHECKING:
    import onnx

# What stands between convolutions: were one of these left in float32, its neighbours would convert to and fro.
COMPANIONS = ("Sigmoid", "Mul", "Add", "Concat", "MaxPool", "Resize")


def quantised(model: "onnx.ModelProto", images: Sequence[UInt8[np.ndarray, "H W 3"]]) -> "onnx.ModelProto":
    """The model with integers in its convolutions (QDQ form), calibrated on letterboxed images.

    Raises:
        InputError: If onnxruntime is not installed.
    """
    onnx = import_runtime("onnx", "onnx")
    ort = import_runtime("onnxruntime.quantization", "onnx")
    with TemporaryDirectory() as folder, _quietly():
        target = Path(folder, "int8.onnx")
        ort.quantize_static(
            model,
            target,
            _Calibration(images),
            quant_format=ort.QuantFormat.QDQ,
            activation_type=ort.QuantType.QUInt8,  # the pair for which CPUs have instructions
            weight_type=ort.QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["Conv", *COMPANIONS],
            nodes_to_quantize=integer_nodes(model),
            calibrate_method=ort.CalibrationMethod.MinMax,
        )
        result: onnx.ModelProto = onnx.load(target)
    return result


def integer_nodes(model: "onnx.ModelProto") -> list[str]:
    """Names of the convolutions that another follows, and of the companions between them."""
    nodes = list(model.graph.node)
    maps: set[str] = set()  # made by convolutions, and by companions of those
    for node in nodes:
        if node.op_type == "Conv" or (node.op_type in COMPANIONS and not maps.isdisjoint(node.input)):
            maps.update(node.output)
    leads_on: set[str] = set()  # to a convolution
    for node in reversed(nodes):
        if node.op_type == "Conv" or not leads_on.isdisjoint(node.output):
            leads_on.update(node.input)
    return [node.name for node in nodes if maps.intersection(node.output) & leads_on]


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps advice from users, on preparing the model, that ``models.fusing`` has followed."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


class _Calibration:
    """Images as the quantiser asks for them."""

    def __init__(self, images: Sequence[UInt8[np.ndarray, "H W 3"]]) -> None:
        self._remaining = iter(images)

    def get_next(self) -> dict[str, Float32[np.ndarray, "1 3 H W"]] | None:
        """The next image; None after the last."""
        image = next(self._remaining, None)
        return None if image is None else {INPUT: image.transpose(2, 0, 1)[None].astype(np.float32)}
