"""Exported files, run by OpenVINO, which is faster than ONNX Runtime on some CPUs and knows Intel's GPUs."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from rtmo.errors import InputError
from rtmo.inference.exported import INPUT, KEY, ExportedModel, ExportRecord, import_runtime

HINTS = {"auto": None, "float32": "f32", "bfloat16": "bf16", "float16": "f16"}


class OpenVinoBackend(ExportedModel):
    """Runs a file of ``rtmo.export``; see ``Backend``.

    Args:
        path: The file.
        device: ``auto``, ``cpu``, or a device that OpenVINO lists, such as ``gpu`` or ``gpu.1``.
        precision: What the network is computed in; ``auto`` leaves it to OpenVINO. In bfloat16, boxes, softmax and
            positions of bins are float32 all the same, but not the codes by which the classifier knows its bins.
        image_size: (height, width) in px; None: that of the export, as for the thresholds.
        score_thr: Not below that of a file of form nms.
        nms_thr: Fixed in a file of form nms.

    Raises:
        InputError: If openvino is not installed, it cannot run the file there, or an option contradicts the file.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        image_size: Sequence[int] | None = None,
        score_thr: float | None = None,
        nms_thr: float | None = None,
    ) -> None:
        path = Path(path)
        core = the_core()
        kind = "CPU" if device == "auto" else device.upper()
        if kind not in core.available_devices:
            raise InputError(f"device={device}: OpenVINO has {', '.join(core.available_devices)} here; say device=cpu")
        if precision not in HINTS:
            raise InputError(f"precision={precision}: unknown; choose one of {', '.join(HINTS)}")
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if HINTS[precision] is not None:
            settings["INFERENCE_PRECISION_HINT"] = HINTS[precision]
        if kind == "CPU":
            settings["INFERENCE_NUM_THREADS"] = torch.get_num_threads()
        try:
            model = core.read_model(path)
            place = ["framework", KEY]
            text = model.get_rt_info(place).astype(str) if model.has_rt_info(place) else None
            record = ExportRecord.from_json(text, path)
            super().__init__(record, path, image_size=image_size, score_thr=score_thr, nms_thr=nms_thr)
            self._compiled = core.compile_model(model, kind, settings)
        except RuntimeError as error:
            raise InputError(f"{path}: OpenVINO cannot load it ({_reason(error)})") from error
        used = {hint: name for name, hint in HINTS.items()}
        computed = used.get(self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string())
        if precision not in ("auto", computed):
            raise InputError(f"precision={precision}: OpenVINO computes in {computed} on this {kind}; say so, or auto")
        self.description = f"OpenVINO {record.precision if record.precision == 'int8' else computed} on {kind}"

    def network(self, images: UInt8[np.ndarray, "B H W 3"]) -> Any:
        """See ``Backend.network``.

        Raises:
            InputError: If OpenVINO cannot run the file on them.
        """
        try:
            found = self._compiled({INPUT: self.as_input(images)}, share_inputs=True)
        except RuntimeError as error:
            raise InputError(f"{self.path}: OpenVINO cannot run it ({_reason(error)})") from error
        return [found[output] for output in self._compiled.outputs]


def _reason(error: RuntimeError) -> str:
    """Where it was thrown, and why."""
    return " ".join(str(error).split()).rpartition("Exception from ")[2][:200]


@cache
def the_core() -> Any:
    """OpenVINO's plugins, loaded once.

    Where several cores come and go in a process, OpenVINO 2026.4 damages its memory: the next data loader with workers
    crashes.

    Raises:
        InputError: If openvino is not installed.
    """
    return import_runtime("openvino", "openvino").Core()
