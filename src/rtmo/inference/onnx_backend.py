"""Exported files, run by ONNX Runtime."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from rtmo.errors import InputError
from rtmo.inference.exported import INPUT, KEY, ExportedModel, ExportRecord, import_runtime

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "mps": "CoreMLExecutionProvider"}


class OnnxRuntimeBackend(ExportedModel):
    """Runs a file of ``rtmo.export``; see ``Backend``.

    Args:
        path: The file.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``auto``: CUDA if this ONNX Runtime has it.
        image_size: (height, width) in px; None: that of the export, as for the thresholds.
        score_thr: Not below that of a file of form nms.
        nms_thr: Fixed in a file of form nms.

    Raises:
        InputError: If onnxruntime is not installed, it cannot run the file there, or an option contradicts the file.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        device: str = "auto",
        image_size: Sequence[int] | None = None,
        score_thr: float | None = None,
        nms_thr: float | None = None,
    ) -> None:
        path = Path(path)
        self.session = open_session(path, device)
        record = ExportRecord.from_json(self.session.get_modelmeta().custom_metadata_map.get(KEY), path)
        super().__init__(record, path, image_size=image_size, score_thr=score_thr, nms_thr=nms_thr)
        provider = self.session.get_providers()[0].removesuffix("ExecutionProvider")
        self.description = f"ONNX Runtime {record.precision} on {provider}"

    def network(self, images: UInt8[np.ndarray, "B H W 3"]) -> Any:
        """See ``Backend.network``.

        Raises:
            InputError: If ONNX Runtime cannot run the file on them.
        """
        try:
            return self.session.run(None, {INPUT: self.as_input(images)})
        except Exception as error:  # its classes share no base of their own
            raise InputError(f"{self.path}: ONNX Runtime cannot run it ({_first_line(error)})") from error


def open_session(path: Path, device: str = "cpu") -> Any:
    """A file in ONNX Runtime, whoever wrote it.

    Raises:
        InputError: If onnxruntime is not installed, or cannot run the file on the device.
    """
    runtime = import_runtime("onnxruntime", "onnx")
    kind, _, number = device.partition(":")
    available = runtime.get_available_providers()
    if device == "auto":
        kind = "cuda" if PROVIDERS["cuda"] in available else "cpu"
    if kind not in PROVIDERS or PROVIDERS[kind] not in available:
        raise InputError(
            f"device={device}: this ONNX Runtime has {', '.join(available)}; say device=cpu, or install "
            "onnxruntime-gpu in place of onnxruntime"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors; a CPU of an unknown make is none
    settings = {"device_id": number} if number else {}
    try:
        return runtime.InferenceSession(path, options, providers=[(PROVIDERS[kind], settings)])
    except Exception as error:  # its classes share no base of their own
        raise InputError(f"{path}: ONNX Runtime cannot load it ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
