"""python -m rtmo.figures latency: crowds of exact numbers, and the command."""

import json

import numpy as np
import pytest
from networks import small_rtmo

from rtmo.data.synthetic.source import SyntheticPeople
from rtmo.errors import InputError
from rtmo.figures import latency
from rtmo.figures.latency import find_crowds, mosaic
from rtmo.figures.network import Network
from rtmo.skeletons import COCO17

SOURCE = SyntheticPeople(num_images=3, image_size=(32, 32), seed=0)


def test_images_stand_side_by_side_and_repeat():
    image = mosaic(SOURCE, (96, 64), tiles=2)[0].permute(1, 2, 0).numpy()
    tiles = [image[:32, :32], image[:32, 32:], image[32:64, :32], image[32:64, 32:]]
    for number, tile in enumerate(tiles):
        np.testing.assert_array_equal(tile, SOURCE.load(number % 3).pixels)
    assert (image[64:] == 114).all()


def test_exactly_as_many_people_come_out(network):
    images = mosaic(SOURCE, (64, 64), tiles=2)
    crowds = find_crowds(network, images, [1, 3, 19])
    outputs = network.model(images)
    for crowd, count in zip(crowds, (1, 3, 19), strict=True):
        (poses,) = network.model.decode(outputs, crowd.score_thr, network.nms_thr)
        assert len(poses) == crowd.people == crowd.candidates == count  # an nms_thr of 1 lets all candidates through


def test_suppressed_candidates_are_counted():
    strict = Network(small_rtmo(seed=3), COCO17, image_size=(64, 64), nms_thr=0.0)
    (crowd,) = find_crowds(strict, mosaic(SOURCE, (64, 64), tiles=2), [2])
    assert crowd.candidates > crowd.people == 2


def test_more_people_than_there_are_is_an_error(network):
    with pytest.raises(InputError, match="people=20: the network finds at most 19 in the image; raise image_size"):
        find_crowds(network, mosaic(SOURCE, (64, 64), tiles=1), [20])


def test_command_writes_figure_and_numbers(checkpoint, call, tmp_path):
    words = [f"checkpoint={checkpoint}", "nms_thr=1", "people=[5,1]", "rounds=2", "tiles=2", "output=drawn"]
    code, stdout, _ = call(latency.main, *words)
    assert code == 0
    assert stdout.split()[-3:] == ["drawn/latency.png", "drawn/latency.svg", "drawn/latency.json"]
    record = json.loads((tmp_path / "drawn/latency.json").read_text())
    assert [row["people"] for row in record["people"]] == [1, 5]
    assert all(row["decode"]["median_ms"] > 0 < row["total"]["p95_ms"] for row in record["people"])
    assert record["environment"]["threads"] >= 1
    assert record["image"] == "2 x 2 images of synthetic_val, 64 x 64 px"


def test_images_too_small_for_the_network_are_refused():
    with pytest.raises(InputError, match="tiles=3: too many for 64 x 64 px; each needs 32 px"):
        mosaic(SOURCE, (64, 64), tiles=3)


def test_no_number_of_people_is_refused(checkpoint, call):
    code, _, stderr = call(latency.main, f"checkpoint={checkpoint}", "people=[1,0]")
    assert (code, stderr) == (2, "error: people: expected a list of whole numbers from 1 on, got [1, 0]\n")
