"""python -m rtmo.figures latency: the image, and the command."""

import json

import numpy as np
import pytest

from rtmo.data.synthetic.source import SyntheticPeople
from rtmo.errors import InputError
from rtmo.figures import latency
from rtmo.figures.latency import mosaic

SOURCE = SyntheticPeople(num_images=3, image_size=(32, 32), seed=0)


def test_images_stand_side_by_side_and_repeat():
    image = mosaic(SOURCE, (96, 64), tiles=2)[0].permute(1, 2, 0).numpy()
    tiles = [image[:32, :32], image[:32, 32:], image[32:64, :32], image[32:64, 32:]]
    for number, tile in enumerate(tiles):
        np.testing.assert_array_equal(tile, SOURCE.load(number % 3).pixels)
    assert (image[64:] == 114).all()


def test_command_writes_figure_and_numbers(checkpoint, call, tmp_path):
    words = [f"checkpoint={checkpoint}", "nms_thr=1", "people=[5,1]", "rounds=2", "tiles=2", "output=drawn"]
    code, stdout, _ = call(latency.main, *words)
    assert code == 0
    assert stdout.split()[-3:] == ["drawn/latency.png", "drawn/latency.svg", "drawn/latency.json"]
    record = json.loads((tmp_path / "drawn/latency.json").read_text())
    assert [row["people"] for row in record["people"]] == [1, 5]
    assert all(
        0 < row[part]["median_ms"] <= row[part]["p95_ms"] for row in record["people"] for part in ("decode", "total")
    )
    assert record["environment"]["threads"] >= 1
    assert record["image"] == "2 x 2 images of synthetic_val, 64 x 64 px"


def test_images_too_small_for_the_network_are_refused():
    with pytest.raises(InputError, match="tiles=3: too many for 64 x 64 px; each needs 32 px"):
        mosaic(SOURCE, (64, 64), tiles=3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["people=[1,0]"], "people: expected whole numbers from 1 on, got [1, 0]"),
        (["people=null"], "people: expected whole numbers from 1 on, got None"),
        (["people=few"], "people: expected a whole number or a list of them, got 'few'"),
        (["score_thr=0.5"], "score_thr: no such key"),
    ],
)
def test_what_cannot_be_measured_is_said(checkpoint, call, words, message):
    code, _, stderr = call(latency.main, f"checkpoint={checkpoint}", *words)
    assert code == 2
    assert stderr.startswith(f"error: {message}")
    assert len(stderr.splitlines()) == 1


def test_one_number_of_people_needs_no_list(checkpoint, call, tmp_path):
    words = [f"checkpoint={checkpoint}", "nms_thr=1", "people=5", "rounds=1", "tiles=2", "output=drawn"]
    assert call(latency.main, *words)[0] == 0
    assert [row["people"] for row in json.loads((tmp_path / "drawn/latency.json").read_text())["people"]] == [5]
