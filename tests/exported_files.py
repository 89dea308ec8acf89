"""Files like those of rtmo.export that find the same people in every image: tests of runtimes need no network."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rtmo.inference.exported import KEY, ExportRecord
from rtmo.skeletons import KeypointSet

PAIR = KeypointSet("pair", ("left_end", "right_end"), (("left_end", "right_end"),), (), (0.1, 0.1))
PEOPLE = np.array([(-8, 4, 40, 60, 0.9), (-7, 5, 41, 61, 0.8), (30, 30, 80, 60, 0.4), (0, 0, 9, 9, 0.05)], np.float32)


def record_of(**fields: Any) -> ExportRecord:
    """A record; thresholds and form unless given."""
    usual = {"form": "nms", "precision": "float32", "image_size": (64, 96), "score_thr": 0.1, "nms_thr": 0.65}
    return ExportRecord(**{**usual, "skeleton": PAIR, "source": {"file": "best.ckpt", "config": None}, **fields})


def save_exported(path: Path, people: np.ndarray = PEOPLE, metadata: str | None = None, **fields: Any) -> Path:
    """Writes a file whose every image has these people: detections, and joints at two corners of the boxes.

    Args:
        metadata: In place of the record's.
        fields: Of the record.
    """
    scores = np.broadcast_to(people[:, None, 4:], (len(people), 2, 1))
    keypoints = np.concatenate([people[:, :4].reshape(-1, 2, 2), scores], axis=2)
    constants = {"one_detections": people[None], "one_keypoints": keypoints[None], "start": [0], "end": [1]}
    tensors = [
        numpy_helper.from_array(np.asarray(value, None if isinstance(value, np.ndarray) else np.int64), name)
        for name, value in {**constants, "ones_detections": [1, 1], "ones_keypoints": [1, 1, 1]}.items()
    ]
    nodes = [
        helper.make_node("Shape", ["images"], ["shape"]),
        helper.make_node("Slice", ["shape", "start", "end"], ["b"]),
    ]
    for name in ("detections", "keypoints"):
        nodes.append(helper.make_node("Concat", ["b", f"ones_{name}"], [f"shape_{name}"], axis=0))
        nodes.append(helper.make_node("Expand", [f"one_{name}", f"shape_{name}"], [name]))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    outputs = [
        helper.make_tensor_value_info("detections", TensorProto.FLOAT, ["batch", "people", 5]),
        helper.make_tensor_value_info("keypoints", TensorProto.FLOAT, ["batch", "people", 2, 3]),
    ]
    graph = helper.make_graph(nodes, "people", [images], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    text = record_of(**fields).to_json() if metadata is None else metadata
    if text:
        model.metadata_props.add(key=KEY, value=text)
    onnx.save(model, path)
    return path
