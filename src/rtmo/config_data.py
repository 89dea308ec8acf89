"""Short forms of the group ``data``, written out before a config is checked: the resolved config has the long form."""

import inspect
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from rtmo.errors import InputError
from rtmo.skeletons import KEYPOINT_SETS
from rtmo.targets import did_you_mean, locate

# By name: whoever has none of them need not import what reads them.
_FOLDER, _SHARDS = "rtmo.data.folder.FolderPose", "rtmo.data.shards.ShardedImages"


def expand(cfg: DictConfig, source_dir: Path) -> None:
    """Replaces the short forms of ``cfg.data`` by what they stand for.

    ``sources`` of ``data=mixture``: ratios of data sets by name, as the sources of a ``Mixture``. ``val_sources``:
    names of further data sets to validate on. ``root``, ``format``, ``val_fraction`` and ``joints`` of ``data=custom``:
    the two splits of a folder. ``streaming``: every data set read from the shard set ``shards``. And
    ``skeleton: null``: the keypoints that the files of ``data.train`` name.

    Args:
        source_dir: The folder conf/source; its files are the data sets by name.

    Raises:
        InputError: If a name is unknown, a folder cannot be read, or a data set to stream has no files.
    """
    if cfg.get("data") is None:
        return
    with open_dict(cfg):
        if OmegaConf.is_missing(cfg.data, "sources"):
            raise InputError("data.sources: has no value; give data.sources='{coco_train: 1, crowdpose_trainval: 0.5}'")
        if (ratios := cfg.data.pop("sources", None)) is not None:
            if not isinstance(ratios, DictConfig):
                raise InputError(f"data.sources: expected ratios by name, {{coco_train: 1, ...}}, got {ratios}")
            cfg.data.train.sources = _sources(source_dir, ratios, "data.sources", cfg.data.train.get("sources"))
            cfg.data.train.ratios = ratios
        if names := cfg.data.pop("val_sources", ()):
            if not isinstance(names, ListConfig):
                raise InputError(f"data.val_sources: expected a list of names, [crowdpose_test, ...], got {names}")
            cfg.data.more_val = _sources(source_dir, names, "data.val_sources", cfg.data.get("more_val"))
        if "root" in cfg.data:
            _write_out_folder(cfg.data)
        _stream(cfg.data)
        if "skeleton" in cfg and cfg.skeleton is None:
            cfg.skeleton = _named_skeleton(cfg.data)


def data_sets(data: Any) -> Iterator[tuple[str, Any]]:
    """Every data set of the group, with its key: the members of a mixture, and those to validate on."""
    more = data.get("more_val") or {}
    nodes = {"data.train": data["train"], "data.val": data["val"]}
    nodes |= {f"data.more_val.{name}": more[name] for name in more}
    for key, node in nodes.items():
        members = node.get("sources")
        inner = {key: node} if members is None else {f"{key}.sources.{name}": members[name] for name in members}
        yield from ((place, member) for place, member in inner.items() if member is not None)


def files_of(node: Any, key: str) -> set[str]:
    """The names of those arguments of a data set that say which files it reads.

    Raises:
        InputError: If it reads none.
    """
    target = locate(node["_target_"], key)
    if not hasattr(target, "read"):
        raise InputError(
            f"{key}: {node['_target_']} has no image files, and shards hold nothing else; take another data set, or "
            "train without data.streaming"
        )
    return set(inspect.signature(target.read).parameters)


def _stream(data: DictConfig) -> None:
    streaming, options = data.pop("streaming", False), {}
    for key in ("shards", "shards_cache", "shards_cache_gb"):
        options[key] = data.pop(key, None)
    if not streaming:
        if options["shards"] is not None:
            raise InputError(f"data.shards={options['shards']} is not read; add data.streaming=true, or leave it out")
        return
    if options["shards"] is None:
        raise InputError("data.streaming=true needs data.shards=..., the folder or address of a shard set")
    for key, node in data_sets(data):
        if node["_target_"] == _SHARDS:
            continue  # done already, where one is another: data.val: ${data.train}
        for name in files_of(node, key) & set(node):
            del node[name]
        node["_target_"] = _SHARDS
        node["shards"], node["cache_dir"] = options["shards"], options["shards_cache"]
        node["cache_gb"] = options["shards_cache_gb"]


def _sources(folder: Path, names: Iterable[str], key: str, given: DictConfig | None) -> dict[str, Any]:
    """The files of some data sets, with the arguments that are given beside them."""
    beside = OmegaConf.create({}) if given is None else given
    return {name: OmegaConf.merge(_source(folder, name, key), beside.get(name, {})) for name in names}


def _source(folder: Path, name: str, key: str) -> Any:
    if not (folder / f"{name}.yaml").is_file():
        known = [file.stem for file in folder.glob("*.yaml")]
        raise InputError(f"{key}: there is no {folder / name}.yaml; {did_you_mean(str(name), known)}")
    return OmegaConf.load(folder / f"{name}.yaml")


def _write_out_folder(data: DictConfig) -> None:
    root, given_format, val_fraction, joints = (data.pop(key) for key in ("root", "format", "val_fraction", "joints"))
    if root is not None:
        folder_pose: Any = locate(_FOLDER)
        root, given_format = folder_pose.locate_data(root, given_format)
    for split in ("train", "val"):
        if OmegaConf.is_interpolation(data, split):
            continue  # such as data.val: ${data.train}
        node = data[split]
        if joints is not None:
            node.joints = joints
        has_file = not OmegaConf.is_missing(node, "annotation_file")
        if root is None and not has_file and not data.streaming:
            raise InputError(
                f"data.root: has no value; give data.root=..., the folder of your images and annotations, or name COCO "
                f"files and their images: data.{split}.annotation_file=... data.{split}.image_dir=..."
            )
        if root is not None:
            if has_file:
                raise InputError(f"data.root: data.{split}.annotation_file is given as well; give one of them")
            del node["annotation_file"], node["image_dir"]
            folder = {"root": str(root), "split": split, "format": given_format, "val_fraction": val_fraction}
            data[split] = {**node, "_target_": _FOLDER, **folder}


def _named_skeleton(data: DictConfig) -> Any:
    node = cast(dict[str, Any], OmegaConf.to_container(data.train, resolve=True, throw_on_missing=True))
    target = locate(node.pop("_target_"), "data.train")
    if not hasattr(target, "named_keypoint_set"):
        raise InputError(
            f"skeleton: null means the joints that the files of data.train name, and a {target.__name__} has none; "
            "give skeleton=..."
        )
    skeleton = target.named_keypoint_set(**node)
    return skeleton.name if skeleton.name in KEYPOINT_SETS else json.loads(json.dumps(skeleton.to_plain()))
