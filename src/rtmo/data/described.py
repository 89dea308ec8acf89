"""Data sets that a config describes, read without being built: commands look at what training would refuse."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from rtmo.data.coco_json import RawAnnotations
from rtmo.skeletons import KeypointSet, resolve_joints
from rtmo.targets import build, locate

Node = Mapping[str, Any]


def read(node: Node, key: str, skeleton: KeypointSet) -> RawAnnotations | None:
    """A data set as its files have it; None for one that has none, such as drawn people.

    Raises:
        InputError: If there is no such file, or it has not the format.
    """
    target = locate(node["_target_"], key)
    if not hasattr(target, "read"):
        return None
    arguments = {name: node[name] for name in inspect.signature(target.read).parameters if name in node}
    return target.read(**build(arguments, key, skeleton))


def joint_names(node: Node) -> Sequence[str] | None:
    """The joint names that a node gives in place of those of its file."""
    return resolve_joints(node.get("joints"))
