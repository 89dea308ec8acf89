"""The table of data sets against the sources that read them."""

from pathlib import PurePosixPath

import pytest
import yaml

from rtmo.config import conf_dir
from rtmo.data.catalog import SETS

SOURCES = sorted(path.stem for path in conf_dir().glob("source/*.yaml") if path.stem not in ("custom", "synthetic"))


def provided():
    """Files and folders below paths.data_dir that are there when everything was got."""
    paths = {path for entry in SETS.values() for task in entry.by_hand for path in task.provides}
    for entry in SETS.values():
        paths |= {f"{entry.folder}/{path}" for archive in entry.archives for path in archive.provides}
    return paths


@pytest.mark.parametrize("name", SOURCES)
def test_what_a_source_reads_can_be_got(name):
    node = yaml.safe_load((conf_dir() / "source" / f"{name}.yaml").read_text())
    file, folder = (node[key].removeprefix("${paths.data_dir}").strip("/") for key in ("annotation_file", "image_dir"))
    assert file in provided()
    assert any(PurePosixPath(path).is_relative_to(folder) for path in provided())


def test_every_set_says_what_a_user_needs():
    for entry in SETS.values():
        assert entry.page.startswith("http")
        assert entry.licence
        assert entry.archives or entry.by_hand
        for task in entry.by_hand:
            assert "{" not in task.steps.format(data_dir="data").replace("{val,test}", "")
        for archive in entry.archives:
            assert archive.url.endswith((".zip", ".tar", ".tar.gz"))
            assert archive.provides
            assert archive.sha256 is None or (len(archive.sha256) == 64 and archive.size)
        names = [archive.url.rpartition("/")[2] for archive in entry.archives]
        assert len(set(names)) == len(names)
