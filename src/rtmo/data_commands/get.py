"""Downloads data sets, or says how to get them: ``python -m rtmo.data get``; ``--help`` lists what can be set."""

import os
from pathlib import Path
from typing import Any

from filelock import FileLock

from rtmo import config
from rtmo.data.archive import check_room, unpack
from rtmo.data.catalog import SETS, Archive, ByHand, DataSet
from rtmo.download import download
from rtmo.errors import InputError
from rtmo.targets import did_you_mean

KEYS = frozenset(("sets", "keep_archives", "paths"))
MIRROR = "RTMO_DATA_URL"


@config.main("data_get", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Gets one data set after the other."""
    names = cfg["sets"]
    if not names:
        raise InputError(f"sets: which? python -m rtmo.data get {' '.join(SETS)}, or some of them")
    for name in names:
        if name not in SETS:
            raise InputError(f"sets: {name}: no such data set; {did_you_mean(name, SETS)}")
    for name in names:
        get(SETS[name], Path(cfg["paths"]["data_dir"]), keep_archives=cfg["keep_archives"])


def get(entry: DataSet, data_dir: Path, keep_archives: bool = False) -> None:
    """Downloads and unpacks what is missing of a data set, and prints what is left for the user to do.

    What was broken off goes on where it stopped; what is there is left alone, whoever put it there. ``$RTMO_DATA_URL``
    is a mirror to use in place of all servers, with a folder for each, as ``wget -x`` makes it.

    Args:
        data_dir: The folder that holds all data sets.
        keep_archives: Leave downloaded archives in ``archives/`` of the data set.

    Raises:
        InputError: If an archive cannot be had or unpacked.
    """
    folder = data_dir / entry.folder
    if entry.archives:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".get.lock"):  # another get of the same set has its archives half unpacked
            absent = [archive for archive in entry.archives if not _is_there(archive, folder)]
            if absent:
                print(f"{entry.name}: {entry.page} (licence: {entry.licence})")
                check_room(folder, 2 * sum(archive.size for archive in absent), "to download and unpack")
            for archive in absent:
                _fetch(archive, folder, keep_archives)
    _report(entry, data_dir)


def _report(entry: DataSet, data_dir: Path) -> None:
    left = [task for task in entry.by_hand if not all(_exists(data_dir / path) for path in task.provides)]
    if not left:
        print(f"{entry.name}: complete in {data_dir / entry.folder}; nothing is left to do")
        return
    print(f"{entry.name}: incomplete. {entry.page} (licence: {entry.licence}) leaves this to you:")
    for task in left:
        print(*_lines(task, data_dir), sep="\n")
    print(f"  - check it: python -m rtmo.data get {entry.name}")


def _lines(task: ByHand, data_dir: Path) -> list[str]:
    steps = task.steps.format(data_dir=data_dir).splitlines()
    return [f"  {'  ' if step.startswith(' ') else '- '}{step.strip()}" for step in steps]


def _fetch(archive: Archive, folder: Path, keep: bool) -> None:
    file = folder / "archives" / archive.url.rpartition("/")[2]
    unfinished = _unfinished(archive, folder)
    download(_address(archive.url), file, archive.sha256)
    unfinished.touch()
    unpack(file, folder / archive.into, archive.members, archive.flat)
    unfinished.unlink()
    for path in archive.provides:
        if not _exists(folder / path):
            raise InputError(f"{file}: holds no {path}; it is another version than rtmo knows: look into it")
    if not keep:
        file.unlink()
        Path(f"{file}.lock").unlink(missing_ok=True)
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
    print(f"  {archive.url.rpartition('/')[2]}: {', '.join(archive.provides)}")


def _address(url: str) -> str:
    mirror = os.environ.get(MIRROR)
    if mirror is None:
        return url
    if not mirror.startswith(("https://", "http://", "file://")):
        raise InputError(f"{MIRROR}={mirror}: not an address; it looks like https://mirror.example.org/data")
    return f"{mirror.rstrip('/')}/{url.partition('://')[2]}"


def _is_there(archive: Archive, folder: Path) -> bool:
    return not _unfinished(archive, folder).exists() and all(_exists(folder / path) for path in archive.provides)


def _unfinished(archive: Archive, folder: Path) -> Path:
    """A file that is there while an archive is being unpacked, also after that was broken off."""
    return folder / f".{archive.url.rpartition('/')[2]}.unpacking"


def _exists(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


if __name__ == "__main__":
    main()
