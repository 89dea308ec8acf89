"""Short forms of the group ``data``, written out before a config is checked: the resolved config has the long form."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from rtmo.errors import InputError
from rtmo.targets import did_you_mean


def expand(cfg: DictConfig, source_dir: Path) -> None:
    """Replaces the short forms of ``cfg.data`` by what they stand for.

    ``sources`` of ``data=mixture``: ratios of data sets by name, as the sources of a ``Mixture``. ``val_sources``:
    names of further data sets to validate on.

    Args:
        source_dir: The folder conf/source; its files are the data sets by name.

    Raises:
        InputError: If a name is unknown.
    """
    if cfg.get("data") is None:
        return
    with open_dict(cfg):
        if OmegaConf.is_missing(cfg.data, "sources"):
            raise InputError("data.sources: has no value; give data.sources='{coco_train: 1, crowdpose_trainval: 0.5}'")
        if (ratios := cfg.data.pop("sources", None)) is not None:
            cfg.data.train.sources = {name: _source(source_dir, name, "data.sources") for name in ratios}
            cfg.data.train.ratios = ratios
        if names := cfg.data.pop("val_sources", ()):
            cfg.data.more_val = {name: _source(source_dir, name, "data.val_sources") for name in names}


def _source(folder: Path, name: str, key: str) -> Any:
    if not (folder / f"{name}.yaml").is_file():
        known = [file.stem for file in folder.glob("*.yaml")]
        raise InputError(f"{key}: there is no {folder / name}.yaml; {did_you_mean(str(name), known)}")
    return OmegaConf.load(folder / f"{name}.yaml")
