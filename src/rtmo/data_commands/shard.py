"""Data sets into shards to stream: ``python -m rtmo.data shard``; ``--help`` lists what can be set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rtmo import config
from rtmo.config_data import data_sets, files_of
from rtmo.data.coco_pose import AnnotatedImages
from rtmo.data.packing import pack
from rtmo.errors import InputError
from rtmo.skeletons import keypoint_set
from rtmo.targets import build

KEYS = frozenset(
    (
        *("output", "shard_mb", "overwrite", "data", "data_name", "skeleton", "paths"),
        *("metric", "image_size", "seed", "phases", "augment"),
    )
)


@config.main("data_shard", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Packs, and prints what is in each data set of the result."""
    for name, entry in shard(cfg)["sources"].items():
        count, size = len(entry["shards"]), sum(entry["shards"]) / 1e6
        print(f"{Path(cfg['output']) / name}  {entry['images']} images in {count} shards, {size:.1f} MB")


def shard(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Packs the data sets of a config.

    Args:
        cfg: As ``rtmo.config.validate`` returns it.

    Returns:
        The manifest.

    Raises:
        InputError: If a data set or an option cannot be used.
    """
    if "://" in cfg["output"]:
        raise InputError(f"output={cfg['output']}: give a folder, and copy it there when it is packed")
    output = Path(cfg["output"]).expanduser()
    sources = chosen(cfg["data"], cfg["skeleton"])
    return pack(sources, output, shard_mb=cfg["shard_mb"], overwrite=cfg["overwrite"])


def chosen(data: Mapping[str, Any], skeleton: str) -> dict[str, AnnotatedImages]:
    """The data sets of the group ``data`` by name, each once.

    Raises:
        InputError: If one has no files, or two different ones have the same name.
    """
    nodes: dict[str, Any] = {}
    sources = {}
    for key, node in data_sets(data):
        files_of(node, key)
        name = node.get("name")
        if nodes.setdefault(name, node) != node:
            raise InputError(
                f"{key}.name={name}: another data set has this name, by which its shards are found; rename one"
            )
        if name not in sources:
            sources[name] = build(node, key, keypoint_set(skeleton))
    return sources


if __name__ == "__main__":
    main()
