import json

import pytest

from rtmo.benchmark import data


def run(monkeypatch, *overrides):
    monkeypatch.setattr("sys.argv", ["rtmo.benchmark data", *overrides])
    data.main()


def test_it_measures_and_writes(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    options = ("data=synthetic", "image_size=[64,64]", "images=4", "samples=5", "rounds=1", "cache_gb=0.01")
    run(monkeypatch, *options, "augment.main.flip=null", "output=speed/data.json")
    printed = capsys.readouterr().out
    assert "synthetic" in printed
    record = json.loads((tmp_path / "speed" / "data.json").read_text())
    for augmentation in ("main", "light"):
        for kept in ("cache", "no cache"):
            speed = record["images_per_second"][augmentation][kept]
            assert 0 < speed["slowest"] <= speed["median"] <= speed["fastest"]
            parts = record["milliseconds"][f"{augmentation}, {kept}"]
            assert {"read and decode", "warp", "pixels", "filter", "collate", "rest"} <= parts.keys()
            assert ("mosaic" in parts) == (augmentation == "main")
            assert ("flip" in parts) == (augmentation == "light")
    assert record["data"]["images"] == 4
    assert record["environment"]["packages"]["torch"]


def test_it_measures_an_augmentation_that_follows_from_the_length_of_a_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    options = ("data=synthetic", "image_size=[64,64]", "images=4", "samples=3", "rounds=1", "cache_gb=0.01")
    run(monkeypatch, *options, "augment=light")
    assert "warp" in json.loads((tmp_path / "benchmark_data.json").read_text())["milliseconds"]["main, cache"]


@pytest.mark.parametrize("field", ["images", "samples", "rounds"])
def test_nothing_to_measure_is_refused(monkeypatch, tmp_path, capsys, field):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "data=synthetic", f"{field}=0")
    assert stop.value.code == 2
    assert f"{field}: expected a whole number" in capsys.readouterr().err
