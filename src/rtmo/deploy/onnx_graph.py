"""A graph of ``deploy.graphs`` as ONNX."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.export import Dim

from rtmo.inference.exported import INPUT, import_runtime
from rtmo.models.rtmo import SIZE_DIVISOR

if TYPE_CHECKING:
    import onnx

OPSET = 18  # the exporter's own, which it need not convert
NO_LIMIT = 2**31 - 1  # of people in an image
DIMENSIONS = {"detections": ("batch", "people"), "keypoints": ("batch", "people")}  # others: the batch alone


def to_onnx(graph: nn.Module, image_size: tuple[int, int]) -> "onnx.ModelProto":
    """Translates a graph; batch, height and width (multiples of 32) stay free.

    The same graph gives the same bytes: names, shapes and documentation of nodes do not tell where and when.

    Args:
        image_size: (height, width) in px that it is traced at, with as many grid points as form topk has candidates.
    """
    import_runtime("onnxscript", "onnx")
    height, width = (Dim(name, min=2) * SIZE_DIVISOR for name in ("rows", "columns"))
    # Batch and sizes stay free, so all differ, and none is 1, which exporters take for a constant.
    rows, columns = (max(side // SIZE_DIVISOR, 3) for side in image_size)
    columns += rows == columns
    example = torch.zeros(2, 3, rows * SIZE_DIVISOR, columns * SIZE_DIVISOR)
    shapes = ({0: Dim("batch"), 2: height, 3: width},)
    with _quietly(), torch.no_grad():
        traced = torch.export.export(graph, (example,), dynamic_shapes=shapes, strict=False)
        program = torch.onnx.export(
            traced,
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(graph.output_names),  # type: ignore[arg-type]
            custom_translation_table={torch.ops.rtmo.suppressed.default: _suppressed},
            verbose=False,
        )
    assert program is not None
    return _tidied(program.model_proto)


def _suppressed(bboxes: Any, scores: Any, score_thr: float, nms_thr: float) -> Any:
    """``graphs.suppressed`` in ONNX, whose comparisons with both thresholds are as strict as ours."""
    op = import_runtime("onnxscript", "onnx").opset18

    by_class = op.Unsqueeze(scores, op.Constant(value_ints=[1]))
    limit = op.Constant(value_int=NO_LIMIT)
    thresholds = op.Constant(value_float=nms_thr), op.Constant(value_float=score_thr)
    people = op.NonMaxSuppression(bboxes, by_class, limit, *thresholds)  # (image, class, grid point)
    places = op.Gather(people, op.Constant(value_ints=[0, 2]), axis=1)
    nobody = op.ConstantOfShape(op.Shape(scores))
    return op.ScatterND(nobody, places, op.GatherND(scores, places))


def _tidied(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """The model with speaking dimensions, shapes of its tensors, and no traces of the source code; checked."""
    onnx = import_runtime("onnx", "onnx")
    graph = model.graph
    model.producer_name, model.producer_version = "rtmo", ""
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for item in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        del item.metadata_props[:]
        item.doc_string = ""
    for value, names in (
        (graph.input[0], {0: "batch", 2: "height", 3: "width"}),
        *((output, dict(enumerate(DIMENSIONS.get(output.name, ("batch",))))) for output in graph.output),
    ):
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if dimension.dim_param:
                dimension.dim_param = names.get(axis, "grid_points")
    result: onnx.ModelProto = onnx.shape_inference.infer_shapes(model)
    onnx.checker.check_model(result, full_check=True)
    return result


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps what the exporter tells about itself from users, who can do nothing about it."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
