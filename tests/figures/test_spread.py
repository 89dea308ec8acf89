"""python -m rtmo.figures spread: what is measured, and the command."""

import csv
import json

import numpy as np
import pytest
import torch

from rtmo.assigners.simota import SimOTA
from rtmo.data.pipeline import ValDataset
from rtmo.data.synthetic.source import SyntheticPeople
from rtmo.errors import InputError
from rtmo.figures import spread
from rtmo.figures.spread import Grid, criterion_of, measure_grids, rank_correlation, summary
from rtmo.skeletons import COCO17


def grid(oks: float, width: float, assigned: bool = True) -> Grid:
    return Grid(image_id=1, person=0, x=7.5, y=7.5, stride=16, assigned=assigned, oks=oks, spread=width)


def test_grid_points_in_boxes_are_measured_and_the_assigned_ones_marked(network):
    source = SyntheticPeople(num_images=5, image_size=(64, 64), seed=0, max_people=1)
    dataset = ValDataset(source=source, image_size=(64, 64))
    assigner = SimOTA(oks_sigmas=COCO17.oks_sigmas)
    for item in map(dataset.__getitem__, range(5)):
        grids = measure_grids(network, assigner, item)
        bboxes = item.sample.bboxes

        assert len({(one.x, one.y, one.stride) for one in grids}) == len(grids) <= 20
        assert {one.person for one in grids if one.assigned} == set(range(item.sample.num_people))
        for one in grids:
            left, top, right, bottom = bboxes[one.person]
            assert one.assigned or (left < one.x < right and top < one.y < bottom)
            assert 0 <= one.oks <= 1
            assert 0 < one.spread < 0.2


def test_a_point_is_measured_with_the_pose_it_gives(network):
    item = ValDataset(source=SyntheticPeople(num_images=1, image_size=(64, 64), seed=0), image_size=(64, 64))[0]
    outputs, _ = network.see(item.sample)
    priors, strides = outputs.priors, outputs.strides
    one = measure_grids(network, SimOTA(oks_sigmas=COCO17.oks_sigmas), item)[-1]

    index = int(((priors == torch.tensor([one.x, one.y])).all(-1) & (strides == one.stride)).nonzero())
    sigmas = network.classifier.spread(outputs.pose_vectors[0, [index]])[0].detach()
    labeled = torch.from_numpy(item.sample.visibility[one.person] > 0)
    assert one.spread == pytest.approx(sigmas[labeled].mean().item(), rel=1e-4)


def test_summary_counts_assigned_points_by_oks():
    numbers = summary([grid(0.05, 0.4), grid(0.95, 0.1), grid(1.0, 0.2), grid(0.5, 0.9, assigned=False)])
    assert numbers["grids"] == 3
    assert numbers["by_oks"] == [
        {"oks": 0.0, "grids": 1, "spread": 0.4},
        {"oks": 0.9, "grids": 2, "spread": 0.15},
    ]
    assert numbers["rank_correlation"] == -0.5


def test_rank_correlation_sees_order_alone():
    values = np.array([3.0, 1, 2, 8])
    assert rank_correlation(values, np.exp(values)) == pytest.approx(1)
    assert rank_correlation(values, -values) == pytest.approx(-1)


def test_points_that_tie_share_a_rank():
    oks, spread = np.array([0.0, 0, 0, 0.5, 1]), np.array([0.1, 0.3, 0.2, 0.4, 0.5])
    assert rank_correlation(oks, spread) == pytest.approx(8 / 80**0.5)
    assert rank_correlation(oks, spread[[2, 0, 1, 3, 4]]) == pytest.approx(8 / 80**0.5)


@pytest.mark.parametrize("grids", [[], [grid(0.5, 0.1)], [grid(0, 0.1), grid(0, 0.2)], [grid(0, 0.1), grid(1, 0.1)]])
def test_without_an_order_there_is_no_rank_correlation(grids):
    assert summary(grids)["rank_correlation"] is None


def test_command_writes_figure_points_and_numbers(checkpoint, call, tmp_path):
    code, stdout, _ = call(spread.main, f"checkpoint={checkpoint}", "num_images=3", "output=drawn")
    assert code == 0
    assert stdout.split()[-3:] == ["drawn/spread.png", "drawn/spread.csv", "drawn/spread.json"]
    with (tmp_path / "drawn/spread.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    numbers = json.loads((tmp_path / "drawn/spread.json").read_text())
    assert numbers["grids"] == sum(row["assigned"] == "True" for row in rows) > 0
    assert (tmp_path / "drawn/spread.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("word", ["score_thr=0.5", "nms_thr=0.5"])
def test_thresholds_are_refused_as_all_grid_points_are_measured(checkpoint, call, word):
    code, _, stderr = call(spread.main, f"checkpoint={checkpoint}", word)
    assert code == 2
    assert stderr.startswith(f"error: {word.partition('=')[0]}: no such key")


def test_a_loss_that_learns_no_spread_is_refused(make_checkpoint, network):
    fixed = make_checkpoint("ablation=mle_fixed_spread")
    with pytest.raises(
        InputError, match="its loss, mle, learned no spread; give one that was trained with ablation=mle"
    ):
        criterion_of(str(fixed), network)
