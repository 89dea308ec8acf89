"""What an ONNX file says of itself, whoever wrote it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rtmo.inference.exported import KEY, ExportRecord, import_runtime, load_onnx

if TYPE_CHECKING:
    from onnx import ValueInfoProto

STANDARD = ("", "ai.onnx")  # names of the domain of ONNX's own operators


@dataclass(frozen=True)
class OnnxDescription:
    """Inputs, outputs and operators of a file.

    Attributes:
        opset: Version of the standard operators; 0 if it has none of them.
        producer: Program that wrote the file.
        inputs: Type and shape by name; dimensions that may vary are named.
        outputs: Likewise.
        record: What ``rtmo.export`` wrote; None if another program wrote the file.
    """

    opset: int
    producer: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    record: ExportRecord | None


def describe_onnx(path: Path) -> OnnxDescription:
    """Reads a file without running it.

    Raises:
        InputError: If onnx is not installed, or the file is damaged.
    """
    model = load_onnx(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return OnnxDescription(
        opset=next((entry.version for entry in model.opset_import if entry.domain in STANDARD), 0),
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        inputs={value.name: _shape(value) for value in model.graph.input},
        outputs={value.name: _shape(value) for value in model.graph.output},
        record=ExportRecord.from_json(metadata[KEY], path) if KEY in metadata else None,
    )


def _shape(value: "ValueInfoProto") -> str:
    onnx = import_runtime("onnx", "onnx")
    tensor = value.type.tensor_type
    dims = [
        dim.dim_param or "?" if dim.WhichOneof("value") != "dim_value" else dim.dim_value for dim in tensor.shape.dim
    ]
    return f"{onnx.TensorProto.DataType.Name(tensor.elem_type).lower()} ({', '.join(map(str, dims))})"
