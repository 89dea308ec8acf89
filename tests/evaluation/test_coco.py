import contextlib
import copy
import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rtmo.errors import InputError
from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.evaluation.crowdpose import CrowdPoseAP
from rtmo.evaluation.matching import worst_first
from rtmo.skeletons import COCO17, KeypointSet
from rtmo.types import Poses

NAMES = ["AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL"]

TRIPOD = KeypointSet(
    name="tripod",
    joints=("top", "left_foot", "right_foot"),
    flip_pairs=(("left_foot", "right_foot"),),
    limbs=(("top", "left_foot"), ("top", "right_foot")),
    oks_sigmas=(0.05, 0.1, 0.1),
)


def person(image_id: int, keypoints: np.ndarray, visibility: int | np.ndarray = 2, **changes) -> dict:
    """A ground-truth annotation around (K, 2) keypoints."""
    flags = np.broadcast_to(visibility, len(keypoints))
    (x1, y1), (x2, y2) = keypoints.min(0), keypoints.max(0)
    return {
        "image_id": image_id,
        "category_id": 1,
        "keypoints": np.column_stack([keypoints, flags]).ravel().tolist(),
        "num_keypoints": int((flags > 0).sum()),
        "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
        "area": float((x2 - x1) * (y2 - y1)) * 0.6,
        "iscrowd": 0,
    } | changes


def coco(annotations: list[dict], image_ids: list[int]) -> dict:
    return {
        "images": [{"id": image_id} for image_id in image_ids],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"id": number} | annotation for number, annotation in enumerate(annotations, start=1)],
    }


def poses(keypoints: np.ndarray, scores: list[float] | None = None, dtype: torch.dtype = torch.float32) -> Poses:
    """Predictions from (N, K, 2) keypoints."""
    positions = torch.as_tensor(np.asarray(keypoints), dtype=dtype)
    count, num_keypoints, _ = positions.shape
    return Poses(
        bboxes=torch.cat([positions.amin(1), positions.amax(1)], dim=1),
        scores=torch.tensor(scores or [0.9] * count, dtype=dtype),
        keypoints=positions,
        keypoint_scores=torch.full((count, num_keypoints), 0.5, dtype=dtype),
    )


def no_poses(num_keypoints: int = 3) -> Poses:
    return Poses(torch.empty(0, 4), torch.empty(0), torch.empty(0, num_keypoints, 2), torch.empty(0, num_keypoints))


def tripod(x: float, y: float, size: float) -> np.ndarray:
    return np.array([[x, y], [x - size / 2, y + size], [x + size / 2, y + size]])


def figures(metric: CocoKeypointAP) -> dict[str, float]:
    return {name: value.item() for name, value in metric.compute().items()}


def pycocotools_figures(ground_truth: dict, results: list[dict], oks_sigmas: tuple[float, ...]) -> dict[str, float]:
    """The documented use of pycocotools: an independent way to the same numbers."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(ground_truth)
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(copy.deepcopy(results)), "keypoints")
        evaluator.params.kpt_oks_sigmas = np.array(oks_sigmas)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return dict(zip(NAMES, evaluator.stats.tolist(), strict=True))


def random_case(num_keypoints: int, seed: int) -> tuple[dict, dict[int, Poses]]:
    """Images with people of all sizes, unlabeled joints, crowds, unlabeled people, false and doubled predictions."""
    rng = np.random.default_rng(seed)
    annotations, predictions = [], {}
    for image_id in rng.permutation(100)[:12].tolist():
        found = [rng.uniform(0, 400, (num_keypoints, 2)) for _ in range(rng.integers(0, 25))]
        for _ in range(rng.integers(0, 4)):
            size = rng.choice([20, 80, 300])
            keypoints = (rng.uniform(0, 300, 2) + rng.uniform(0, size, (num_keypoints, 2))).round(1)
            kind = rng.choice(["labeled", "labeled", "labeled", "unlabeled", "crowd"])
            flags = rng.integers(0, 3, num_keypoints) if kind == "labeled" else np.zeros(num_keypoints, int)
            annotations.append(person(image_id, keypoints, flags, iscrowd=int(kind == "crowd")))
            found += [keypoints + rng.normal(0, size * 0.04, keypoints.shape) for _ in range(rng.integers(0, 3))]
        scores = rng.uniform(0, 1, len(found)).round(1).tolist()  # rounded: ties
        predictions[image_id] = poses(np.stack(found), scores) if found else no_poses(num_keypoints)
    return coco(annotations, list(predictions)), predictions


def shared_case(folder: Path, truth: str, predicted: str) -> tuple[dict, list[dict], dict[int, Poses]]:
    ground_truth = json.loads((folder / "data/evaluation" / truth).read_text())
    fields = ("image_id", "category_id", "keypoints", "score")
    results = [
        {field: result[field] for field in fields}
        for result in json.loads((folder / "data/evaluation" / predicted).read_text())
    ]
    predictions = {}
    for image in ground_truth["images"]:
        of_image = [result for result in results if result["image_id"] == image["id"]]
        keypoints = np.array([result["keypoints"] for result in of_image]).reshape(-1, 17, 3)
        scores = [result["score"] for result in of_image]
        predictions[image["id"]] = poses(keypoints[..., :2], scores, torch.float64)
    return ground_truth, results, predictions


@pytest.mark.parametrize(
    ("truth", "predicted", "official"),
    [
        (
            "xtcocoapi/annotations/example_coco_val.json",
            "xtcocoapi/annotations/example_coco_preds.json",
            {"AP": 0.8609, "AP50": 0.9931, "AP75": 0.9109, "APM": 0.7756, "APL": 0.9373, "AR": 0.8750},
        ),
        (
            "faster_coco_eval/tests/keypoints_dataset/gt_dataset.json",
            "faster_coco_eval/tests/keypoints_dataset/dt_dataset.json",
            {"AP": 0.5049, "AP50": 0.7228, "AP75": 0.6337},
        ),
    ],
)
def test_official_figures(shared_dir, truth, predicted, official):
    ground_truth, results, predictions = shared_case(shared_dir, truth, predicted)
    metric = CocoKeypointAP(ground_truth=ground_truth, skeleton=COCO17)
    metric.update(list(predictions), list(predictions.values()))
    got = figures(metric)
    assert {name: round(got[name], 4) for name in official} == official
    assert got == pytest.approx(pycocotools_figures(ground_truth, results, COCO17.oks_sigmas), abs=1e-12)


@pytest.mark.parametrize(("skeleton", "seed"), [(COCO17, 0), (COCO17, 1), (TRIPOD, 2), (TRIPOD, 3)])
def test_agrees_with_pycocotools_on_any_keypoint_set(skeleton, seed):
    ground_truth, predictions = random_case(skeleton.num_keypoints, seed)
    metric = CocoKeypointAP(ground_truth=ground_truth, skeleton=skeleton)
    metric.update(list(predictions), list(predictions.values()))
    got = figures(metric)
    assert list(got) == NAMES
    assert 0 < got["AP"] < 1  # else the case says little
    assert got == pytest.approx(pycocotools_figures(ground_truth, metric.results(), skeleton.oks_sigmas), abs=1e-7)


def test_does_not_depend_on_batches_or_their_order():
    ground_truth, predictions = random_case(3, seed=4)
    whole = CocoKeypointAP(ground_truth=ground_truth, skeleton=TRIPOD)
    whole.update(list(predictions), list(predictions.values()))
    in_parts = CocoKeypointAP(ground_truth=ground_truth, skeleton=TRIPOD)
    for image_id in reversed(predictions):
        in_parts.update([image_id], [predictions[image_id]])
    assert figures(in_parts) == figures(whole)


def test_ranks_are_gathered_and_repeated_images_count_once():
    ground_truth, predictions = random_case(3, seed=5)
    ids = list(predictions)
    shards = [ids[::2], [*ids[1::2], ids[0]], []]  # the second is padded with an image of the first
    ranks = [CocoKeypointAP(ground_truth=ground_truth, skeleton=TRIPOD) for _ in shards]
    for metric, shard in zip(ranks, shards, strict=True):
        metric.update(shard, [predictions[image_id] for image_id in shard])
    states = [[torch.cat(state) for state in (rank.image_ids, rank.num_poses, rank.poses)] for rank in ranks]

    whole = CocoKeypointAP(ground_truth=ground_truth, skeleton=TRIPOD)
    whole.update(ids, list(predictions.values()))
    for metric in ranks:
        gathered = iter(zip(*states, strict=True))  # torchmetrics gathers state by state, in the order of add_state
        metric.dist_sync_fn = lambda tensor, group, gathered=gathered: list(next(gathered))
        metric.distributed_available_fn = lambda: True
        assert figures(metric) == figures(whole)
    assert torch.cat(ranks[0].image_ids).tolist() == ids[::2]  # its own state again


def crowded_case(seed: int) -> tuple[dict, dict[int, Poses]]:
    """A random case that either metric can score."""
    ground_truth, predictions = random_case(3, seed)
    for number, image in enumerate(ground_truth["images"]):
        image["crowdIndex"] = number / len(predictions)
    return ground_truth, predictions


def outcome(metric: CocoKeypointAP) -> dict:
    return {"figures": figures(metric), "results": metric.results()}


def _evaluate_on_rank(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=3)
    ground_truth, predictions = crowded_case(seed=6)
    ids = list(predictions)
    outcomes = []
    for shards in ((ids[::2], ids[1::2], []), ([], [], ids), (ids[:1], ids[1:], ids[:2])):  # uneven, empty, repeated
        for kind in (CocoKeypointAP, CrowdPoseAP):
            metric = kind(ground_truth=ground_truth, skeleton=TRIPOD)
            if shards[rank]:
                metric.update(shards[rank], [predictions[image_id] for image_id in shards[rank]])
            outcomes.append(outcome(metric))
    (folder / f"{rank}.json").write_text(json.dumps(outcomes))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_three_processes_agree_with_one(tmp_path):
    torch.multiprocessing.spawn(_evaluate_on_rank, args=(tmp_path,), nprocs=3)
    ground_truth, predictions = crowded_case(seed=6)
    whole = [kind(ground_truth=ground_truth, skeleton=TRIPOD) for kind in (CocoKeypointAP, CrowdPoseAP)]
    for metric in whole:
        metric.update(list(predictions), list(predictions.values()))
    by_image = [sorted(outcome(metric)["results"], key=str) for metric in whole]
    for rank in range(3):
        outcomes = json.loads((tmp_path / f"{rank}.json").read_text())
        assert [each["figures"] for each in outcomes] == [figures(metric) for metric in whole] * 3
        assert [sorted(each["results"], key=str) for each in outcomes] == by_image * 3


@pytest.mark.parametrize("kind", [CocoKeypointAP, CrowdPoseAP])
def test_the_backends_agree(kind):
    ground_truth, predictions = crowded_case(seed=7)
    numpy, pycocotools = (
        kind(ground_truth=ground_truth, skeleton=TRIPOD, backend=name) for name in ("numpy", "pycocotools")
    )
    for metric in (numpy, pycocotools):
        metric.update(list(predictions), list(predictions.values()))
    assert figures(numpy) == figures(pycocotools)


@pytest.mark.parametrize("limit", [0, -1])
def test_without_predictions_that_count_there_is_nothing_to_score(limit):
    with pytest.raises(InputError, match=r"metric\.max_detections: expected a whole number from 1 on"):
        CocoKeypointAP(ground_truth=coco([], [1]), skeleton=TRIPOD, max_detections=limit)


def test_null_is_a_missing_value():
    truth = tripod(50, 50, 120)
    for field in ("iscrowd", "num_keypoints"):
        metric = CocoKeypointAP(ground_truth=coco([person(1, truth, **{field: None})], [1]), skeleton=TRIPOD)
        metric.update([1], [poses(truth[None])])
        assert figures(metric)["AP"] == pytest.approx(1)
        assert worst_first(metric.matches())[0].found == 1
    with pytest.raises(InputError, match=r"annotation 1 .image 1. has no 'area'"):
        CocoKeypointAP(ground_truth=coco([person(1, truth, area=None)], [1]), skeleton=TRIPOD)


@pytest.mark.parametrize("index", [-0.1, float("nan"), "high"])
def test_a_crowd_index_below_0_is_refused(index):
    ground_truth = coco([], [1])
    ground_truth["images"][0]["crowdIndex"] = index
    with pytest.raises(InputError, match="image 1: crowdIndex must be a number from 0 on"):
        CocoKeypointAP(ground_truth=ground_truth, skeleton=TRIPOD)


def test_unknown_backends_are_refused():
    with pytest.raises(InputError, match="backend=cuda: no such evaluator; choose one of numpy, pycocotools"):
        CocoKeypointAP(ground_truth=coco([], [1]), skeleton=TRIPOD, backend="cuda")


def test_areas_of_predictions_may_be_given():
    truth = tripod(50, 50, 80)  # 6400 px^2: of medium size
    found = [poses(np.stack([truth + 1000, truth]), [0.9, 0.8])]
    for areas, expected in ((None, 0.5), ([torch.tensor([6400.0, 6400.0])], 0.5), ([torch.tensor([99.0, 99.0])], 1)):
        metric = CocoKeypointAP(ground_truth=coco([person(1, truth)], [1]), skeleton=TRIPOD)
        metric.update([1], found, areas)
        assert figures(metric)["APM"] == pytest.approx(expected)  # the miss counts if it is of medium size itself


def test_nan_is_dropped_and_counted_where_pycocotools_scores_it_as_perfect(caplog):
    truth = tripod(50, 50, 120)
    ground_truth = coco([person(7, truth)], [7, 8])
    broken = poses(np.full((1, 3, 2), np.nan))
    metric = CocoKeypointAP(ground_truth=ground_truth, skeleton=TRIPOD)
    metric.update([7, 8], [broken, no_poses()])
    with caplog.at_level(logging.WARNING):
        assert figures(metric)["AP"] == 0
        assert figures(metric)["AP"] == 0  # cached: does not warn again
    assert metric.num_dropped == 1
    assert [record.message for record in caplog.records] == [
        "dropped 1 predictions with values that are not finite, in images [7]"
    ]
    assert metric.results() == []
    nan_results = [{"image_id": 7, "category_id": 1, "keypoints": [float("nan")] * 9, "score": 0.9}]
    assert pycocotools_figures(ground_truth, nan_results, TRIPOD.oks_sigmas)["AP"] == pytest.approx(1)

    metric.reset()
    assert metric.num_dropped == 0


@pytest.mark.parametrize("field", ["scores", "keypoints", "keypoint_scores"])
def test_one_infinite_value_drops_its_prediction_only(field):
    truth = tripod(50, 50, 120)
    found = poses(np.stack([truth, truth]), [0.9, 0.8])
    getattr(found, field)[1].fill_(float("inf"))
    metric = CocoKeypointAP(ground_truth=coco([person(1, truth)], [1]), skeleton=TRIPOD)
    metric.update([1], [found])
    assert figures(metric)["AP"] == pytest.approx(1)
    assert metric.num_dropped == 1
    assert len(metric.results()) == 1


def test_no_predictions_give_zero():
    metric = CocoKeypointAP(ground_truth=coco([person(1, tripod(50, 50, 200))], [1, 2]), skeleton=TRIPOD)
    metric.update([1, 2], [no_poses(), no_poses()])
    got = figures(metric)
    assert got["AP"] == got["AR"] == got["APL"] == 0
    assert got["APM"] == got["ARM"] == -1  # nobody of medium size: pycocotools' convention


def test_no_people_give_minus_one():
    metric = CocoKeypointAP(ground_truth=coco([], [1]), skeleton=TRIPOD)
    metric.update([1], [poses(tripod(0, 0, 100)[None])])
    assert set(figures(metric).values()) == {-1}


def test_only_images_seen_are_evaluated():
    truth = tripod(50, 50, 120)
    metric = CocoKeypointAP(ground_truth=coco([person(1, truth), person(2, truth)], [1, 2]), skeleton=TRIPOD)
    metric.update([1], [poses(truth[None])])
    assert figures(metric)["AP"] == pytest.approx(1)
    metric.update([2], [no_poses()])
    assert figures(metric)["AR"] == pytest.approx(0.5)
    metric.reset()
    metric.update([2], [no_poses()])
    assert figures(metric)["AR"] == 0


def test_crowds_and_unlabeled_people_are_not_false_positives():
    truth, in_crowd, in_unlabeled = tripod(50, 50, 120), tripod(400, 50, 120), tripod(800, 50, 120)
    found = poses(np.stack([in_crowd, in_unlabeled, truth]), [0.95, 0.9, 0.5])
    ignored = [person(1, in_crowd, 0, iscrowd=1), person(1, in_unlabeled, 0)]
    for annotations, expected in ((ignored, 1), ([], 1 / 3)):
        metric = CocoKeypointAP(ground_truth=coco([person(1, truth), *annotations], [1]), skeleton=TRIPOD)
        metric.update([1], [found])
        assert figures(metric)["AP"] == pytest.approx(expected)


def test_max_detections():
    truth = tripod(50, 50, 120)
    found = poses(np.stack([truth + 1000, truth]), [0.9, 0.8])
    for limit, recall in ((1, 0), (2, 1)):
        metric = CocoKeypointAP(ground_truth=coco([person(1, truth)], [1]), skeleton=TRIPOD, max_detections=limit)
        metric.update([1], [found])
        assert figures(metric)["AR"] == recall


def test_annotation_ids_from_zero_and_optional_fields():
    truth = tripod(50, 50, 120)
    annotation = person(1, truth, id=0)  # pycocotools takes id 0 for "unmatched"
    del annotation["iscrowd"], annotation["num_keypoints"]
    unlabeled = {"image_id": 1, "category_id": 1, "bbox": [400, 50, 120, 120], "area": 9000.0}
    ground_truth = coco([annotation, unlabeled], [1])
    before = copy.deepcopy(ground_truth)
    metric = CocoKeypointAP(ground_truth=ground_truth, skeleton=TRIPOD)
    metric.update([1], [poses(truth[None])])
    assert figures(metric)["AP"] == pytest.approx(1)
    assert ground_truth == before


def test_categories_are_not_told_apart():
    cat, dog = tripod(50, 50, 120), tripod(400, 50, 120)
    ground_truth = coco([person(1, cat, category_id=4), person(1, dog, category_id=9)], [1])
    ground_truth["categories"] = [{"id": 4, "name": "cat"}, {"id": 9, "name": "dog"}]
    metric = CocoKeypointAP(ground_truth=ground_truth, skeleton=TRIPOD)
    metric.update([1], [poses(np.stack([cat, dog]))])
    assert figures(metric)["AP"] == pytest.approx(1)
    assert {result["category_id"] for result in metric.results()} == {4}


def test_image_ids_survive_beyond_float32():
    big = 2**53 + 1
    truth = tripod(50, 50, 120)
    metric = CocoKeypointAP(ground_truth=coco([person(big, truth)], [big, big - 1]), skeleton=TRIPOD)
    metric.update([big], [poses(truth[None])])
    assert figures(metric)["AP"] == pytest.approx(1)
    assert metric.results()[0]["image_id"] == big


def test_results_are_json_in_coco_format():
    metric = CocoKeypointAP(ground_truth=coco([], [5]), skeleton=TRIPOD)
    metric.update([5], [poses(tripod(10, 20, 8)[None], [0.25])])
    (result,) = json.loads(json.dumps(metric.results(), allow_nan=False))
    assert result == {
        "image_id": 5,
        "category_id": 1,
        "keypoints": [10, 20, 0.5, 6, 28, 0.5, 14, 28, 0.5],
        "score": 0.25,
    }


def test_is_silent(capsys):
    metric = CocoKeypointAP(ground_truth=coco([person(1, tripod(0, 0, 99))], [1]), skeleton=TRIPOD)
    metric.update([1], [no_poses()])
    metric.compute()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_half_precision_predictions():
    truth = tripod(50, 50, 120)
    found = poses(truth[None])
    for field in ("bboxes", "scores", "keypoints", "keypoint_scores"):
        setattr(found, field, getattr(found, field).bfloat16())
    metric = CocoKeypointAP(ground_truth=coco([person(1, truth)], [1]), skeleton=TRIPOD)
    metric.update([1], [found])
    assert figures(metric)["AP50"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("ids", "found", "message"),
    [
        ([99], [no_poses()], "image id 99 is not among the 1 images"),
        ([1, 1], [no_poses()], "2 image ids for 1 predictions"),
        ([1], [no_poses(17)], "17 keypoints, but skeleton 'tripod' has 3"),
    ],
)
def test_refuses_predictions_that_do_not_fit(ids, found, message):
    metric = CocoKeypointAP(ground_truth=coco([], [1]), skeleton=TRIPOD)
    with pytest.raises(ValueError, match=message):
        metric.update(ids, found)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"keypoints": [0] * 48}, r"annotation 1 \(image 1\): 'keypoints' has 48 values.*needs 9"),
        ({"area": None}, r"annotation 1 \(image 1\) has no 'area'"),
    ],
)
def test_refuses_ground_truth_that_does_not_fit(annotation, message):
    changed = {key: value for key, value in (person(1, tripod(0, 0, 9)) | annotation).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        CocoKeypointAP(ground_truth=coco([changed, person(1, tripod(0, 0, 9))], [1]), skeleton=TRIPOD)
