import json

import numpy as np
import pytest
import torch

from rtmo.errors import InputError
from rtmo.evaluation.crowdpose import CrowdPoseAP
from rtmo.skeletons import CROWDPOSE14
from rtmo.types import Poses


def poses(keypoints: np.ndarray, scores: list[float]) -> Poses:
    """Predictions from (N, 14, 2 or more)."""
    positions = torch.as_tensor(np.asarray(keypoints)[..., :2], dtype=torch.float32).reshape(-1, 14, 2)
    return Poses(torch.zeros(len(scores), 4), torch.tensor(scores), positions, torch.full(positions.shape[:2], 0.5))


def person(image_id: int, keypoints: np.ndarray, **changes) -> dict:
    (x1, y1), (x2, y2) = keypoints.min(0), keypoints.max(0)
    flat = np.column_stack([keypoints, np.full(14, 2)]).ravel().tolist()
    bbox = [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]
    return {"id": image_id, "image_id": image_id, "category_id": 1, "keypoints": flat, "bbox": bbox} | changes


def ground_truth(crowd_index: dict[int, float], people: list[dict]) -> dict:
    return {
        "images": [{"id": image_id, "crowdIndex": value} for image_id, value in crowd_index.items()],
        "annotations": people,
        "categories": [{"id": 1, "name": "person"}],
    }


def figures(metric: CrowdPoseAP) -> dict[str, float]:
    return {name: value.item() for name, value in metric.compute().items()}


KEYPOINTS = np.random.default_rng(0).uniform(0, 200, (14, 2))


def test_the_official_figures(shared_dir):
    folder = shared_dir / "data" / "evaluation" / "xtcocoapi" / "annotations"
    truth = json.loads((folder / "example_crowdpose_val.json").read_text())
    results = json.loads((folder / "example_crowdpose_preds.json").read_text())
    metric = CrowdPoseAP(ground_truth=truth, skeleton=CROWDPOSE14)
    for image in truth["images"]:
        found = [result for result in results if result["image_id"] == image["id"]]
        keypoints = np.array([result["keypoints"] for result in found]).reshape(-1, 14, 3)
        metric.update([image["id"]], [poses(keypoints, [result["score"] for result in found])])
    got = figures(metric)
    assert list(got) == ["AP", "AP50", "AP75", "AR", "AR50", "AR75", "AP_easy", "AP_medium", "AP_hard"]
    official = {"AP": 0.7877, "AP50": 0.9881, "AP75": 0.7314, "AR": 0.8222}
    groups = {"AP_easy": 1.0, "AP_medium": 0.9802, "AP_hard": 0.4116}
    assert {name: round(got[name], 4) for name in official | groups} == official | groups


def test_the_area_is_that_of_the_box_whatever_the_annotation_says():
    shifted = KEYPOINTS + 8
    scores = []
    for changes in ({}, {"area": 1.0}, {"area": 1e6}):
        truth = ground_truth({1: 0.1}, [person(1, KEYPOINTS, **changes)])
        metric = CrowdPoseAP(ground_truth=truth, skeleton=CROWDPOSE14)
        metric.update([1], [poses(shifted[None], [0.9])])
        scores.append(figures(metric)["AP"])
    assert scores[0] == scores[1] == scores[2]
    assert 0 < scores[0] < 1


def test_groups_begin_where_the_protocol_says_and_may_be_empty():
    crowd_index = {1: 0.0, 2: 0.19, 3: 0.2, 4: 0.79}
    found = {1: True, 2: False, 3: True, 4: True}
    truth = ground_truth(crowd_index, [person(image_id, KEYPOINTS) for image_id in crowd_index])
    metric = CrowdPoseAP(ground_truth=truth, skeleton=CROWDPOSE14)
    for image_id, is_found in found.items():
        metric.update([image_id], [poses(KEYPOINTS[None] if is_found else np.empty((0, 14, 2)), [0.9] * is_found)])
    got = figures(metric)
    assert got["AP_easy"] == pytest.approx(51 / 101)  # one of two, at 101 levels of recall
    assert got["AP_medium"] == pytest.approx(1)
    assert got["AP_hard"] == -1  # nobody there


def test_images_without_crowd_index_are_refused():
    truth = ground_truth({1: 0.1}, [])
    for image in ({"id": 1}, {"id": 1, "crowdIndex": None}):
        truth["images"][0] = image
        with pytest.raises(InputError, match=r"image 1 has no 'crowdIndex'.*metric=coco"):
            CrowdPoseAP(ground_truth=truth, skeleton=CROWDPOSE14)
