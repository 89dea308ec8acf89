import itertools
import json
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from planted import FIGURE, FIVE, displacement, figure, ground_truth, person, poses

from rtmo.evaluation.analysis import analyse
from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.evaluation.crowdpose import CrowdPoseAP
from rtmo.skeletons import COCO17, CROWDPOSE14
from rtmo.types import Poses

HEAD, LEFT_HAND, RIGHT_HAND, LEFT_FOOT, RIGHT_FOOT = range(5)
NO_ERRORS = {"good": 0, "jitter": 0, "inversion": 0, "swap": 0, "miss": 0}


def metric_of(truth: dict, found: dict[int, Poses]) -> CocoKeypointAP:
    metric = CocoKeypointAP(ground_truth=truth, skeleton=FIVE)
    metric.update(list(found), list(found.values()))
    return metric


def analysis_of(annotations: list[dict], found: dict[int, Poses]) -> dict:
    analysis = analyse(metric_of(ground_truth(annotations, list(found)), found))
    return json.loads(json.dumps(analysis, allow_nan=False))


def joint_errors(*predicted: np.ndarray, people: list[dict]) -> dict[str, int]:
    """Kinds of errors in one image, those that do occur."""
    counts = analysis_of(people, {1: poses(list(predicted))})["errors"]["keypoints"]
    return {kind: count for kind, count in counts.items() if count}


def changed(joints: dict[int, np.ndarray], of: np.ndarray = FIGURE) -> np.ndarray:
    result = of.copy()
    result[list(joints)] = list(joints.values())
    return result


def test_sides_taken_for_each_other_are_inversions():
    hands = changed({LEFT_HAND: FIGURE[RIGHT_HAND], RIGHT_HAND: FIGURE[LEFT_HAND]})
    assert joint_errors(hands, people=[person(1, (0, 0))]) == {"good": 3, "inversion": 2}
    # a hand on a foot is a miss: only the two sides are taken for each other
    on_foot = changed({LEFT_HAND: FIGURE[LEFT_FOOT]})
    assert joint_errors(on_foot, people=[person(1, (0, 0))]) == {"good": 4, "miss": 1}


def test_hands_of_somebody_else_are_swaps():
    first, second = figure(0), figure(300)
    people = [person(1, (0, 0)), person(1, (300, 0))]
    same_side = [
        changed({LEFT_HAND: second[LEFT_HAND]}, of=first),
        changed({LEFT_HAND: first[LEFT_HAND]}, of=second),
    ]
    assert joint_errors(*same_side, people=people) == {"good": 8, "swap": 2}
    other_side = changed({LEFT_HAND: second[RIGHT_HAND]}, of=first)
    assert joint_errors(other_side, second, people=people) == {"good": 9, "swap": 1}
    # also of somebody whom nobody found
    assert joint_errors(other_side, people=people) == {"good": 4, "swap": 1}
    # but not where that hand is not labeled
    people[1] = person(1, (300, 0), np.array([2, 2, 0, 2, 2]))
    assert joint_errors(other_side, second, people=people) == {"good": 8, "miss": 1}


@pytest.mark.parametrize(
    ("similarity", "kind"), [(0.86, "good"), (0.84, "jitter"), (0.51, "jitter"), (0.49, "miss"), (0.01, "miss")]
)
def test_distance_from_the_joint_decides_between_good_jitter_and_miss(similarity, kind):
    away = np.array([0, displacement(similarity)])
    moved = changed({LEFT_HAND: FIGURE[LEFT_HAND] + away, HEAD: FIGURE[HEAD] - away})
    expected = NO_ERRORS | {"good": 3}
    expected[kind] += 2
    analysis = analysis_of([person(1, (0, 0))], {1: poses([moved])})
    assert analysis["errors"]["keypoints"] == expected
    hand = analysis["keypoints"]["left_hand"]
    assert hand["oks"] == pytest.approx(similarity, abs=1e-5)
    assert hand["errors"] == NO_ERRORS | {kind: 1}
    assert analysis["keypoints"]["left_foot"] == {
        "labeled": 1,
        "oks": pytest.approx(1),
        "pck": 1.0,
        "errors": NO_ERRORS | {"good": 1},
    }


@pytest.mark.parametrize(
    ("x", "area", "kind"),
    [
        (47, 3e3, "good"),
        (49.9, 3e3, "jitter"),
        (50.1, 3e3, "inversion"),
        (53, 3e3, "inversion"),
        (53, 3e4, "good"),  # the other hand is closer, but the own one is within what annotators differ by
    ],
)
def test_near_two_joints_it_is_that_of_the_more_similar(x, area, kind):
    hands_touch = np.array(person(1, (0, 0))["keypoints"]).reshape(5, 3)
    hands_touch[[LEFT_HAND, RIGHT_HAND], 0] = 45, 55
    people = [person(1, (0, 0), keypoints=hands_touch.ravel().tolist(), area=area)]
    predicted = changed({LEFT_HAND: np.array([x, 40.0]), RIGHT_HAND: np.array([55.0, 40])})
    expected = NO_ERRORS | {"good": 4}
    expected[kind] += 1
    assert NO_ERRORS | joint_errors(predicted, people=people) == expected


def test_unlabeled_joints_have_no_errors():
    people = [person(1, (0, 0), np.array([2, 2, 0, 1, 2]))]
    analysis = analysis_of(people, {1: poses([changed({RIGHT_HAND: np.array([900.0, 900])})])})
    assert analysis["errors"]["keypoints"] == NO_ERRORS | {"good": 4}
    assert analysis["keypoints"]["right_hand"] == {"labeled": 0, "oks": None, "pck": None, "errors": NO_ERRORS}


def test_people_missed_and_made_up():
    people = [person(1, (0, 0)), person(1, (300, 0)), person(2, (0, 0)), person(2, (600, 0), 0, iscrowd=1)]
    found = {1: poses([figure(0), figure(900)]), 2: poses([figure(600), figure(900), figure(1200)]), 3: poses([FIGURE])}
    counts = analysis_of(people, found)["errors"]
    assert counts["people"] == {"found": 1, "missed": 2, "false_positives": 4}
    assert sum(counts["keypoints"].values()) == 5  # only of who was found


@pytest.mark.parametrize(("distance", "share"), [(19.9, 1.0), (20.1, 0.5)])
def test_pck_is_within_a_fifth_of_the_longer_side_of_the_box(distance, share):
    people = [person(1, (0, 0), bbox=[0, 0, 60, 100]), person(2, (0, 0))]
    moved = changed({HEAD: FIGURE[HEAD] + np.array([distance, 0])})
    table = analysis_of(people, {1: poses([moved]), 2: poses([FIGURE])})["keypoints"]
    assert table["head"]["pck"] == share
    assert table["left_foot"]["pck"] == 1.0


def test_ap_by_number_of_people():
    people_of = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 9, 7: 10, 8: 0}
    annotations = [person(image_id, (500 * n, 0)) for image_id, count in people_of.items() for n in range(count)]
    annotations.append(person(1, (0, 700), 0, iscrowd=1))  # nobody to find
    found = {
        image_id: poses([figure(500 * n + displacement(0.9 - 0.04 * image_id)) for n in range(count)])
        for image_id, count in people_of.items()
    }
    rows = analysis_of(annotations, found)["by_people"]
    assert [(row["people"], row["images"]) for row in rows] == [("1", 2), ("2", 1), ("3-4", 2), ("5-9", 1), ("10+", 1)]
    for row, image_ids in zip(rows, ([1, 2], [3], [4, 5], [6], [7]), strict=True):
        alone = metric_of(ground_truth(annotations, list(found)), {image_id: found[image_id] for image_id in image_ids})
        assert row["AP"] == pytest.approx(alone.compute()["AP"].item(), abs=1e-6)
    assert rows[0]["AP"] > rows[2]["AP"] > rows[4]["AP"] > 0


@pytest.mark.parametrize("metric_class", [CocoKeypointAP, CrowdPoseAP])
def test_crowding_is_that_of_the_annotations(metric_class):
    people = [person(image_id, (0, 0)) for image_id in (1, 2, 3, 4)]
    truth = ground_truth(people, [1, 2, 3, 4], crowdIndex=[0.15, 0.0, 0.1, 1.6])
    metric = metric_class(ground_truth=truth, skeleton=FIVE)
    metric.update([1, 2, 3, 4], [poses([]), poses([FIGURE]), poses([FIGURE]), poses([FIGURE])])
    rows = analyse(metric)["by_crowding"]
    assert [(row["crowding"], row["images"], round(row["AP"], 2)) for row in rows] == [
        ("0.0-0.1", 1, 1.0),
        ("0.1-0.2", 2, 0.5),
        ("1.0+", 1, 1.0),
    ]


def test_crowding_is_counted_where_the_annotations_do_not_tell():
    apart, overlapping = [person(1, (0, 0)), person(1, (300, 0))], [person(2, (0, 0)), person(2, (60, 0))]
    half = person(3, (0, 0), np.array([2, 0, 0, 2, 2]))  # 3 joints, with 2 of the other's in the box: 2/3
    other = person(3, (60, 0))  # 5 joints, one of the former's: 1/5
    beside_a_crowd = [person(4, (0, 0)), person(4, (60, 0), iscrowd=1)]  # the crowd's are others, but it is nobody
    unlabeled = [person(5, (0, 0)), person(5, (60, 0), 0)]
    miscounted = [person(6, (0, 0), 0, num_keypoints=3)]
    annotations = [*apart, *overlapping, half, other, *beside_a_crowd, *unlabeled, *miscounted]
    rows = analysis_of(annotations, {image_id: poses([]) for image_id in range(1, 8)})["by_crowding"]
    assert [(row["crowding"], row["images"]) for row in rows] == [("0.0-0.1", 3), ("0.4-0.5", 3)]


def test_nothing_is_off_where_scores_are_true():
    people = [person(1, (0, 0), np.array([2, 2, 2, 1, 0])), person(2, (0, 0), np.array([0, 2, 2, 1, 2]))]
    found = {
        1: poses([figure(displacement(0.63))], [0.63], keypoint_scores=0.8),
        2: poses([figure(displacement(0.35))], [0.35], keypoint_scores=0.8),
    }
    got = analysis_of(people, found)["calibration"]
    assert got["instance_error"] == pytest.approx(0, abs=1e-6)
    assert got["keypoint_error"] == pytest.approx(0, abs=1e-6)
    assert got["keypoint"] == [{"score": pytest.approx(0.8), "labeled": pytest.approx(0.8), "count": 10}]
    assert [row["count"] for row in got["instance"]] == [1, 1]


def test_scores_that_are_off():
    people = [person(1, (0, 0)), person(1, (300, 0), 0, iscrowd=1)]
    predicted = poses([figure(0), figure(300), figure(900)], [1.0, 0.9, 0.75], keypoint_scores=0.25)
    got = analysis_of(people, {1: predicted})["calibration"]
    # the prediction on the crowd is not judged
    assert got["instance"] == [
        {"score": 0.75, "oks": 0.0, "count": 1},
        {"score": 1.0, "oks": pytest.approx(1), "count": 1},
    ]
    assert got["instance_error"] == pytest.approx(0.375)
    assert got["keypoint"] == [{"score": 0.25, "labeled": 1.0, "count": 5}]
    assert got["keypoint_error"] == pytest.approx(0.75)


def test_joints_that_nobody_has_labeled_say_nothing_about_scores():
    people = [person(1, (0, 0), np.array([2, 2, 2, 2, 0]))]
    got = analysis_of(people, {1: poses([FIGURE], keypoint_scores=0.25)})["calibration"]
    assert got["keypoint"] == [{"score": 0.25, "labeled": 1.0, "count": 4}]


def test_scores_beyond_one_are_no_probabilities():
    got = analysis_of([person(1, (0, 0))], {1: poses([FIGURE], [15.6], keypoint_scores=2.0)})["calibration"]
    assert got == {"instance": [], "keypoint": [], "instance_error": None, "keypoint_error": None}


@pytest.mark.parametrize("people", [[], [person(1, (0, 0))]])
def test_no_predictions(people):
    analysis = analysis_of(people, {1: poses([]), 2: poses([])})
    assert analysis["errors"]["people"] == {"found": 0, "missed": len(people), "false_positives": 0}
    assert analysis["errors"]["keypoints"] == NO_ERRORS
    assert list(analysis["keypoints"]) == list(FIVE.joints)
    assert [row["AP"] for row in analysis["by_people"]] == [0.0] * len(people)
    assert analysis["calibration"]["instance_error"] is analysis["calibration"]["keypoint_error"] is None


def test_every_rank_sees_the_whole_set():
    annotations = [person(image_id, (0, 0)) for image_id in (1, 2, 3)]
    truth = ground_truth(annotations, [1, 2, 3])
    found = {1: poses([FIGURE]), 2: poses([figure(8), figure(500)]), 3: poses([])}
    whole = metric_of(truth, found)
    ranks = [metric_of(truth, {image_id: found[image_id] for image_id in shard}) for shard in ([1, 3], [2])]
    states = [[torch.cat(state) for state in (rank.image_ids, rank.num_poses, rank.poses)] for rank in ranks]
    for metric in ranks:
        gathered = itertools.cycle(zip(*states, strict=True))  # torchmetrics gathers one state after the other
        metric.dist_sync_fn = Mock(side_effect=lambda tensor, group, gathered=gathered: list(next(gathered)))
        metric.distributed_available_fn = lambda: True
        assert analyse(metric) == analyse(whole)
        assert metric.dist_sync_fn.call_count == len(states[0])  # it costs time
        assert sorted(metric.results(), key=str) == sorted(whole.results(), key=str)


@pytest.mark.parametrize(
    ("name", "skeleton", "metric_class"),
    [("coco", COCO17, CocoKeypointAP), ("crowdpose", CROWDPOSE14, CrowdPoseAP)],
)
def test_published_predictions(shared_dir, name, skeleton, metric_class):
    folder = shared_dir / "data" / "evaluation" / "xtcocoapi" / "annotations"
    truth = json.loads((folder / f"example_{name}_val.json").read_text())
    results = json.loads((folder / f"example_{name}_preds.json").read_text())
    metric = metric_class(ground_truth=truth, skeleton=skeleton)
    for image in truth["images"]:
        of_image = [result for result in results if result["image_id"] == image["id"]]
        values = torch.tensor([result["keypoints"] for result in of_image]).reshape(len(of_image), -1, 3)
        scores = torch.tensor([float(result["score"]) for result in of_image])
        metric.update([image["id"]], [Poses(torch.zeros(len(of_image), 4), scores, values[..., :2], values[..., 2])])
    analysis = analyse(metric)
    errors = analysis["errors"]
    to_find = [one for one in truth["annotations"] if not one.get("iscrowd") and any(one["keypoints"][2::3])]
    assert errors["people"]["found"] + errors["people"]["missed"] == len(to_find)
    joints = sum(errors["keypoints"].values())
    assert errors["keypoints"]["good"] > 0.7 * joints  # AP is .86 and .79
    assert sum(row["labeled"] for row in analysis["keypoints"].values()) == joints
    assert sum(row["images"] for row in analysis["by_people"]) == sum(row["images"] for row in analysis["by_crowding"])
