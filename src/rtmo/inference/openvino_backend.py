"""Exported files, run by OpenVINO, which is faster than ONNX Runtime on some CPUs and knows Intel's GPUs."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from rtmo.errors import InputError
from rtmo.inference.exported import INPUT, KEY, ExportedModel, ExportRecord, import_runtime

HINTS = {"auto": None, "float32": "f32", "bfloat16": "bf16", "float16": "f16"}
KEEPS_PRECISION = "precise_0"  # OpenVINO's mark of operations that a precision hint must leave alone

log = logging.getLogger(__name__)


class OpenVinoBackend(ExportedModel):
    """Runs a file of ``rtmo.export``; see ``Backend``.

    Args:
        path: The file.
        device: ``auto``, ``cpu``, or a device that OpenVINO lists, such as ``gpu`` or ``gpu.1``.
        precision: What the dense part is computed in; ``auto`` leaves it to OpenVINO.
        threads: None: as many as torch has.
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
        threads: int | None = None,
        image_size: Sequence[int] | None = None,
        score_thr: float | None = None,
        nms_thr: float | None = None,
    ) -> None:
        path = Path(path)
        core = import_runtime("openvino", "openvino").Core()
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
            settings["INFERENCE_NUM_THREADS"] = threads or torch.get_num_threads()
        try:
            model = core.read_model(path)
            known = KEY in model.rt_info.get("framework", {})
            text = model.get_rt_info(["framework", KEY]).astype(str) if known else None
            record = ExportRecord.from_json(text, path)
            super().__init__(record, path, image_size=image_size, score_thr=score_thr, nms_thr=nms_thr)
            for operation in after_network(model):
                operation.get_rt_info()[KEEPS_PRECISION] = True
            self._compiled = core.compile_model(model, kind, settings)
        except RuntimeError as error:
            raise InputError(f"{path}: OpenVINO cannot load it ({str(error).splitlines()[0][:200]})") from error
        used = self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        self.description = f"OpenVINO {record.precision} as {used} on {kind}"
        log.info("%s: form %s, %s", path.name, record.form, self.description)

    def network(self, images: UInt8[np.ndarray, "B H W 3"]) -> Any:
        """See ``Backend.network``."""
        found = self._compiled({INPUT: self.as_input(images)}, share_inputs=True)
        return [found[output] for output in self._compiled.outputs]


def after_network(model: Any) -> Iterator[Any]:
    """The operations that turn what the network found into poses: those that no convolution follows."""
    leads_to_convolution: set[str] = set()
    for operation in reversed(model.get_ordered_ops()):
        followers = [target.get_node() for output in operation.outputs() for target in output.get_target_inputs()]
        if any(
            "Convolution" in follower.get_type_name() or follower.get_friendly_name() in leads_to_convolution
            for follower in followers
        ):
            leads_to_convolution.add(operation.get_friendly_name())
        elif "Convolution" not in operation.get_type_name():
            yield operation
