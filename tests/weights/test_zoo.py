import hashlib
import re

import pytest
from file_server import serve

from rtmo.config import conf_dir
from rtmo.errors import InputError
from rtmo.skeletons import KEYPOINT_SETS
from rtmo.weights import zoo
from rtmo.weights.zoo import BACKBONES, MODELS, fetch, sha256_prefix

CONTENT = b"weights"
ENTRY = zoo.ZooEntry(
    "rtmo_x_coco",
    f"rtmo-x_coco-{hashlib.sha256(CONTENT).hexdigest()[:8]}_20240101.pth",
    "coco17",
    "coco",
    640,
    *[0.5] * 4,
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A zoo with one more entry, an empty cache, and a mirror where nobody listens."""
    monkeypatch.setitem(MODELS, ENTRY.name, ENTRY)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as server:
        monkeypatch.setenv("RTMO_ZOO_URL", server.url)
    return tmp_path / "hub" / "checkpoints"


def test_the_mirror_replaces_the_server_and_the_cache_replaces_the_mirror(cache, monkeypatch):
    with serve() as server:
        server.content = CONTENT
        monkeypatch.setenv("RTMO_ZOO_URL", f"{server.url}/")
        path = fetch(ENTRY.name)
        assert path == cache / ENTRY.file
        assert path.read_bytes() == CONTENT
        assert server.requests == [(f"/mmpose/v1/projects/rtmo/{ENTRY.file}", None)]
    assert fetch(ENTRY.name) == path, "needs the server, which is down"


def test_a_folder_may_be_the_mirror(cache, tmp_path, monkeypatch):
    file = tmp_path / "share" / "mmpose/v1/projects/rtmo" / ENTRY.file
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    monkeypatch.setenv("RTMO_ZOO_URL", (tmp_path / "share").as_uri())
    assert fetch(ENTRY.name).read_bytes() == CONTENT


def test_a_file_that_others_have_downloaded_is_found(cache):
    cache.mkdir(parents=True)
    (cache / "yolox_m_8x8_300e_coco_20230829.pth").write_bytes(b"whatever: its name has no hash")
    assert fetch("yolox_m") == cache / "yolox_m_8x8_300e_coco_20230829.pth"


def test_a_damaged_file_is_noticed_without_network_too(cache):
    cache.mkdir(parents=True)
    (cache / ENTRY.file).write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=f"{ENTRY.file}: cannot be downloaded from http://127"):
        fetch(ENTRY.name)


@pytest.mark.parametrize("name", ["rtmo_s", "rtmo-s-coco", "rtmo_S_coco"])
def test_an_unknown_name_gets_the_nearest(name):
    with pytest.raises(InputError, match=rf"^'{name}': no such name in the model zoo; did you mean 'rtmo_s_coco'\?"):
        fetch(name)


@pytest.mark.parametrize("mirror", ["", "mirror.example.org", "/mnt/share"])
def test_a_mirror_has_to_be_an_address(mirror, cache, monkeypatch):
    monkeypatch.setenv("RTMO_ZOO_URL", mirror)
    with pytest.raises(InputError, match=rf"^RTMO_ZOO_URL={mirror}: not an address; it looks like https://"):
        fetch(ENTRY.name)


def test_hashes_are_read_off_the_names():
    hashes = [sha256_prefix(entry.file) for entry in MODELS.values()]
    assert hashes[0] == "8db55a59"
    assert len(set(hashes)) == 11
    assert None not in hashes
    assert {name: sha256_prefix(entry.file) for name, entry in BACKBONES.items()} == {
        "yolox_tiny": "b4047906",
        "yolox_s": "4592a793",
        "yolox_m": None,  # eight digits, but those of a date
        "yolox_l": "d3bd2b23",
        "resnet50": "0676ba61",
    }


def test_every_model_has_a_config_and_a_skeleton():
    for entry in MODELS.values():
        assert (conf_dir() / "model" / f"{entry.model}.yaml").is_file()
        assert entry.skeleton in KEYPOINT_SETS
        assert f"{entry.image_size}x{entry.image_size}" in entry.file


def test_the_table_is_the_published_one(shared_dir):
    published = re.findall(
        r"^\| (rtmo_\w+) \| (\S+\.pth)[^|]* \| [^|]* \| (.*) \| (.*) \| (.*) \| (.*) \|$",
        (shared_dir / "reference" / "zoo.md").read_text(),
        flags=re.MULTILINE,
    )
    assert [row[:2] for row in published] == [(entry.name, entry.file) for entry in MODELS.values()]
    for entry, row in zip(MODELS.values(), published, strict=True):
        last = [entry.ar] if entry.ar is not None else [entry.ap_easy, entry.ap_medium, entry.ap_hard]
        assert [float(value) for cell in row[2:] for value in cell.split(",")] == [
            entry.ap,
            entry.ap50,
            entry.ap75,
            *last,
        ]
