"""python -m rtmo.figures bins: what is measured, and the command."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import small_rtmo

from rtmo.data.synthetic.source import SyntheticPeople
from rtmo.errors import InputError
from rtmo.figures import bins
from rtmo.figures.bins import find_pairs, network_names, roughness
from rtmo.figures.found import find_people
from rtmo.skeletons import COCO17, CROWDPOSE14


@pytest.mark.parametrize(
    ("heatmap", "expected"),
    [
        ([0, 1, 2, 4, 2, 1, 0], (2, 1)),  # one hill, whatever its height
        ([4, 2, 1, 0], (1, 1)),  # half a hill at the edge
        ([0, 4, 0, 4, 0], (4, 2)),
        ([0, 4, 4, 0], (2, 1)),  # one peak two bins wide
        ([0, 100, 0, 1, 0], (2.02, 1)),  # ripples are no peaks, but vary
    ],
)
def test_roughness(heatmap, expected):
    assert roughness(torch.tensor(heatmap, dtype=torch.float32)) == pytest.approx(expected)


def test_pairs_are_the_same_annotated_person(network):
    sample = SyntheticPeople(num_images=1, image_size=(64, 64), seed=0, max_people=1).load(0)
    one = find_people(network, sample)
    places = [3, 8]  # of the boxes that are to be people
    annotated = replace(
        sample,
        bboxes=one.bboxes[places].numpy(),
        keypoints=one.codes.keypoints[places].numpy(),
        visibility=np.full((2, 17), 2, np.uint8),
        annotated=np.ones((2, 17), bool),
        area=np.ones(2, np.float32),
    )

    pairs = find_pairs((network, network), annotated)

    for pair, place in zip(pairs, places, strict=True):
        first, second = pair.indices
        assert first == second <= place  # itself, unless a better-scored box overlaps it
        np.testing.assert_array_equal(pair.keypoints, one.codes.keypoints[place].numpy())


def test_networks_are_called_by_what_differs(network):
    without = replace(network, model=small_rtmo(decoding="cc_dba"))
    assert network_names((network, without)) == ("dcc", "cc_dba")
    assert network_names((network, network)) == ("dcc, checkpoint", "dcc, compare")


def test_regression_has_no_heatmaps(network):
    sample = SyntheticPeople(num_images=1, image_size=(64, 64), seed=0).load(0)
    with pytest.raises(InputError, match="decoding=regression has no heatmaps"):
        find_people(replace(network, model=small_rtmo(decoding="regression")), sample)


def test_command_writes_figure_rows_and_means(checkpoint, make_checkpoint, call, tmp_path, monkeypatch):
    monkeypatch.setattr(bins, "MIN_IOU", 0.0)  # networks with random weights find nobody where somebody is
    compare = make_checkpoint("ablation=cc_dba", decoding="cc_dba")
    words = [f"checkpoint={checkpoint}", f"compare={compare}", "score_thr=0", "num_images=1", "output=drawn"]
    code, stdout, _ = call(bins.main, *words, "people=1", "joints=[nose]")
    assert code == 0
    assert stdout.split()[-3:] == ["drawn/bins.png", "drawn/bins.csv", "drawn/bins.json"]
    with (tmp_path / "drawn/bins.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    numbers = json.loads((tmp_path / "drawn/bins.json").read_text())
    of_dcc = [float(row["total_variation"]) for row in rows if row["network"] == "dcc"]
    assert list(numbers) == ["dcc", "cc_dba"]
    assert numbers["dcc"]["heatmaps"] == numbers["cc_dba"]["heatmaps"] == len(of_dcc) == len(rows) / 2
    assert numbers["dcc"]["total_variation"] == pytest.approx(np.mean(of_dcc), abs=1e-3)


@pytest.mark.parametrize(
    ("overrides", "skeleton", "message"),
    [
        ((), CROWDPOSE14, r"compare=\S+: has joints crowdpose14, but checkpoint=\S+ coco17; give two"),
        (("image_size=[96,64]",), COCO17, r"compare=\S+: was trained at 96 x 64 px, but checkpoint=\S+ at 64 x 64 px"),
    ],
)
def test_networks_that_differ_in_more_than_decoding_are_refused(
    checkpoint, make_checkpoint, call, overrides, skeleton, message
):
    other = make_checkpoint(*overrides, skeleton=skeleton)
    code, _, stderr = call(bins.main, f"checkpoint={checkpoint}", f"compare={other}")
    assert code == 2
    assert re.match(f"error: {message}", stderr.splitlines()[-1])


def test_the_other_checkpoint_is_needed(checkpoint, call):
    code, _, stderr = call(bins.main, f"checkpoint={checkpoint}")
    assert code == 2
    assert "compare: has no value; give compare=..." in stderr


def test_nobody_in_common_is_said(network):
    with pytest.raises(ValueError, match="nobody in common"):
        bins.draw_bins([], [0], COCO17, ("dcc", "cc_dba"))
