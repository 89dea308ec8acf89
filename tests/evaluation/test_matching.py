import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
from planted import FIGURE, FIVE, SIZE, displacement, figure, ground_truth, person, poses
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.evaluation.crowdpose import CrowdPoseAP
from rtmo.evaluation.matching import ImageScore, match_images, worst_first
from rtmo.evaluation.pairs import compare


def image_scores(truth: dict, found: dict) -> list[ImageScore]:
    metric = CocoKeypointAP(ground_truth=truth, skeleton=FIVE)
    metric.update(list(found), list(found.values()))
    return worst_first(metric.matches())


def test_an_image_with_every_kind_of_prediction():
    here, there, beside, far = (0, 0), (500, 0), (0, 500), (500, 500)
    people = [person(1, here), person(1, there), person(1, beside, 0), person(1, far, 0, iscrowd=1)]
    shifted = figure(displacement(0.8))
    in_crowd = FIGURE + far
    found = [shifted, FIGURE + here, FIGURE + beside, in_crowd, in_crowd + 5, FIGURE + 900]
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    (score,) = image_scores(ground_truth(people, [1]), {1: poses(found, scores)})
    # the second prediction fits best, but the first is surer: it is the one that counts, as in COCO
    assert score.oks == pytest.approx(0.4, abs=1e-6)  # .8 and 0
    assert replace(score, oks=0.4) == ImageScore(1, people=2, found=1, oks=0.4, missed=1, false_positives=2)


def test_a_person_is_found_before_a_crowd_that_fits_better():
    crowd = person(1, (0, 0), 0, iscrowd=1)
    (score,) = image_scores(ground_truth([crowd, person(1, (0, 0))], [1]), {1: poses([FIGURE + 5])})
    assert (score.found, score.false_positives) == (1, 0)


def test_worst_first():
    truth = ground_truth([person(image_id, (0, 0)) for image_id in (1, 2, 3)], [1, 2, 3, 4, 5])
    found = {
        1: poses([FIGURE]),
        2: poses([]),
        3: poses([figure(displacement(0.6))]),
        4: poses([FIGURE]),
        5: poses([]),
    }
    scores = image_scores(truth, found)
    assert [score.image_id for score in scores] == [2, 3, 4, 1, 5]
    assert [score.oks for score in scores] == [0, pytest.approx(0.6, abs=1e-6), None, pytest.approx(1), None]


def test_matches_are_of_all_that_the_metric_has_seen_by_now():
    metric = CocoKeypointAP(ground_truth=ground_truth([person(1, (0, 0))], [1, 2]), skeleton=FIVE)
    for number, image_id in enumerate((1, 2), start=1):
        metric.update([image_id], [poses([FIGURE], [0.9])])
        assert len(metric.matches()) == number
    metric.reset()
    assert metric.matches() == []


def test_only_the_best_so_many_predictions_count():
    metric = CocoKeypointAP(ground_truth=ground_truth([person(1, (0, 0))], [1]), skeleton=FIVE, max_detections=2)
    metric.update([1], [poses([FIGURE, FIGURE + 900, FIGURE + 800], [0.1, 0.8, 0.9])])
    (score,) = worst_first(metric.matches())
    assert (score.found, score.missed, score.false_positives) == (0, 1, 2)


def test_a_person_of_crowdpose_is_as_large_as_its_metric_says():
    truth = ground_truth([person(1, (0, 0), area=1.0)], [1], crowdIndex=[0.0])
    metric = CrowdPoseAP(ground_truth=truth, skeleton=FIVE)
    metric.update([1], [poses([figure(displacement(0.7, area=0.53 * SIZE**2))])])
    (score,) = worst_first(metric.matches())
    assert score.oks == pytest.approx(0.7, abs=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_matches_are_those_of_pycocotools(seed):
    rng = np.random.default_rng(seed)
    people, results = [], []
    for number in range(1, 7):
        kind = rng.choice(["labeled", "labeled", "unlabeled", "crowd"])
        flags = 0 if kind == "unlabeled" else rng.integers(0, 3, 5)
        people.append(person(1, tuple(rng.uniform(0, 200, 2)), flags, id=number, iscrowd=int(kind == "crowd")))
    for _ in range(30):
        joints = FIGURE + rng.uniform(-20, 220, 2) + rng.normal(0, 8, (5, 2))
        flat = np.column_stack([joints, np.ones(5)]).ravel().tolist()
        results.append({"image_id": 1, "category_id": 1, "keypoints": flat, "score": round(rng.uniform(), 1)})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = ground_truth(people, [1])
        truth.createIndex()
        official = COCOeval(truth, truth.loadRes(results), "keypoints")
        official.params.kpt_oks_sigmas = np.array(FIVE.oks_sigmas)
        official.params.iouThrs = [0.1, 0.5]
        official.evaluate()
    of_all_areas = official.evalImgs[0]

    rows = np.array([[result["score"], *result["keypoints"], 1.0] for result in results])
    compared = compare({1: people}, {1: rows}, oks_sigmas=FIVE.oks_sigmas, max_detections=20)
    for threshold, expected in zip((0.1, 0.5), of_all_areas["dtMatches"].astype(int), strict=True):
        (match,) = match_images(compared, min_oks=threshold)
        got = [people[index]["id"] if index >= 0 else 0 for index in match.person]
        assert got == expected.tolist()
        assert 0 < np.count_nonzero(got) < len(got)  # else the case says little
