"""What a worker process measures: the prediction of one image by parts, and the product of two matrices."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from rtmo.benchmark.people import find_cuts
from rtmo.benchmark.stopwatch import Stopwatch
from rtmo.data.collate import collate
from rtmo.data.pipeline import ValDataset
from rtmo.drawing import draw_predictions
from rtmo.errors import InputError
from rtmo.hub import load_model
from rtmo.inference.backend import open_backend
from rtmo.inference.fitting import fit_image, poses_in_image
from rtmo.inference.images import read_any
from rtmo.inference.scoring import score_backend
from rtmo.inference.torch_backend import DTYPES, TorchBackend
from rtmo.targets import build
from rtmo.types import HeadOutputs

READ, FIT, NETWORK, DECODE, DRAW = PARTS = ("read", "pre-process", "network", "decode", "draw")
SIDE = 2048  # of the matrices


class PlainTorch(TorchBackend):
    """The network as training leaves it, NCHW, norms and branches apart: what the others are measured against."""

    def __init__(self, checkpoint: str, **options: Any) -> None:
        super().__init__(checkpoint, precision="float32", compile=False, **options)  # else TypeError: given twice
        self.model = load_model(checkpoint).to(self.device)

    @torch.inference_mode()
    def network(self, images: UInt8[np.ndarray, "B H W 3"]) -> HeadOutputs:
        """See ``Backend.network``."""
        pixels = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).contiguous().float()
        outputs: HeadOutputs = self.model(pixels)
        return outputs


class Prediction:
    """Poses of a batch, as ``Predictor`` finds them, from the file to the drawn image.

    Args:
        checkpoint: What ``open_backend`` opens.
        image: A file; it fills the batch.
        plain: Whether torch runs the network as training leaves it.
        options: Of ``open_backend``.
    """

    def __init__(self, *, checkpoint: str, image: str, plain: bool = False, **options: Any) -> None:
        self.backend = PlainTorch(checkpoint, **options) if plain else open_backend(checkpoint, **options)
        self.image = Path(image)

    def describe(self) -> dict[str, Any]:
        """Runtime, precision and device, and height and width of the network's images."""
        return {"description": self.backend.description, "image_size": self.backend.image_size}

    def run(self, batch: int = 1, score_thr: float | None = None) -> dict[str, Any]:
        """Milliseconds by part, and how many people were found in each image.

        Args:
            score_thr: People scored below are not reported; None: that of before.
        """
        if score_thr is not None:
            self.backend.score_thr = score_thr
        watch = Stopwatch()
        with watch.part(READ):
            images = [read_any(self.image) for _ in range(batch)]
        with watch.part(FIT):
            fitted = [fit_image(image, self.backend.image_size) for image in images]
            pixels = np.stack([each for each, _ in fitted])
        with watch.part(NETWORK):
            outputs = self.backend.network(pixels)
            self._finish()
        with watch.part(DECODE):
            found = [
                poses_in_image(poses, warp, (image.shape[0], image.shape[1]))
                for poses, (_, warp), image in zip(self.backend.decode(outputs), fitted, images, strict=True)
            ]
        with watch.part(DRAW):
            for image, poses in zip(images, found, strict=True):
                draw_predictions(image, poses, skeleton=self.backend.skeleton, score_thr=0.0)
        return {
            "milliseconds": {part: 1000 * seconds for part, seconds in watch.seconds.items()},
            "people": len(found[0]),
        }

    def cuts(self, people: Sequence[int]) -> dict[str, Any]:
        """Thresholds at which so many people come out of the image; see ``find_cuts``."""
        backend = self.backend
        if not isinstance(backend, TorchBackend):
            raise InputError("people: an exported network has one threshold; choose a case that torch runs")
        pixels, _ = fit_image(read_any(self.image), backend.image_size)
        cuts = find_cuts(backend.model, backend.network(pixels[None]), people, backend.nms_thr)
        return {"cuts": [asdict(cut) for cut in cuts]}

    def score(self, data: Mapping[str, Any], metric: Mapping[str, Any]) -> dict[str, Any]:
        """AP on validation images.

        Args:
            data: Config of their source.
            metric: Config of the metric.
        """
        source = build(data, "data.val", self.backend.skeleton)
        dataset = ValDataset(source=source, image_size=self.backend.image_size)
        batches = (collate([dataset[index]]) for index in range(len(dataset)))
        figures = build(metric, "metric", self.backend.skeleton, ground_truth=source.ground_truth())
        return {"AP": score_backend(self.backend, batches, figures)["AP"]}

    def _finish(self) -> None:
        if isinstance(self.backend, TorchBackend) and self.backend.device.type != "cpu":
            torch.accelerator.synchronize()


class MatrixProduct:
    """The product of two square matrices: the arithmetic that the machine can do at best.

    Args:
        precision: float32, bfloat16 or float16.
        device: As torch calls it.
    """

    def __init__(self, *, precision: str, device: str) -> None:
        self.factors = [torch.rand(SIDE, SIDE, device=device, dtype=DTYPES[precision]) for _ in range(2)]

    def describe(self) -> dict[str, Any]:
        """Floating-point operations of a product, 10^9; a multiplication and an addition are two."""
        return {"gflop": 2 * SIDE**3 / 1e9}

    @torch.inference_mode()
    def run(self) -> dict[str, Any]:
        """Milliseconds of a product."""
        start = perf_counter()
        torch.mm(*self.factors)
        if self.factors[0].device.type != "cpu":
            torch.accelerator.synchronize()
        return {"milliseconds": {"product": 1000 * (perf_counter() - start)}}
