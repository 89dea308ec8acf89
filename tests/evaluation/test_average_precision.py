import numpy as np
import pytest

from rtmo.evaluation import average_precision, pycocotools_ap

SIZES = (20, 80, 300)  # px: small, medium and large people


def random_person(rng: np.random.Generator, num_keypoints: int) -> dict:
    """Somebody labeled in part, or not at all, or a crowd."""
    size, decimals = rng.choice(SIZES), rng.choice([0, 1, 6])
    points = (rng.uniform(0, 300, 2) + rng.uniform(0, size, (num_keypoints, 2))).round(decimals)
    flags = rng.integers(0, 3, num_keypoints) if rng.random() < 0.8 else np.zeros(num_keypoints)
    (left, top), (width, height) = points.min(0), np.ptp(points, axis=0)
    return {
        "keypoints": np.column_stack([points, flags]).ravel(),
        "bbox": [left, top, width, height],
        "area": width * height * 0.6,
        "iscrowd": int(rng.random() < 0.1),
        "num_keypoints": int((flags > 0).sum()),
    }


def random_predictions(rng: np.random.Generator, people: list[dict], num_keypoints: int, most: int) -> np.ndarray:
    """Rows near people, on them, doubled, and of nobody; many of the same score, some of the same OKS."""
    found = [rng.uniform(0, 400, (num_keypoints, 2)) for _ in range(rng.integers(0, most + 1))]
    for person in people:
        points = person["keypoints"].reshape(-1, 3)[:, :2]
        noise = rng.normal(0, 0.04 * np.sqrt(person["area"] + 1), points.shape).round(rng.choice([0, 1, 6]))
        found += [points + noise] * rng.integers(0, 3) + [points] * rng.integers(0, 2)
    rows = [
        [rng.uniform(0, 1), *np.column_stack([points, np.ones(num_keypoints)]).ravel(), np.prod(np.ptp(points, axis=0))]
        for points in rng.permutation(np.array(found).reshape(-1, num_keypoints, 2))[:most]
    ]
    rows = np.array(rows).reshape(-1, 2 + 3 * num_keypoints)
    rows[:, 0] = rows[:, 0].round(rng.choice([1, 2, 8]))
    return rows


def random_case(seed: int) -> tuple[dict, dict, dict]:
    rng = np.random.default_rng(seed)
    num_keypoints, most = int(rng.choice([1, 3, 5, 14, 17, 26])), int(rng.integers(0, 26))
    people, found = {}, {}
    for image_id in rng.permutation(20)[: rng.integers(1, 7)].tolist():  # 0 among them
        people[image_id] = [random_person(rng, num_keypoints) for _ in range(rng.integers(0, 5))]
        people[image_id] += people[image_id][: rng.integers(0, 2)]  # the same person twice
        found[image_id] = random_predictions(rng, people[image_id], num_keypoints, most)
    sigmas = rng.uniform(0.02, 0.12, num_keypoints).tolist()
    return people, found, {"oks_sigmas": sigmas, "max_detections": int(rng.choice([1, 5, 20]))}


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_every_figure_is_that_of_pycocotools(first):
    for seed in range(first, first + 10):
        people, found, settings = random_case(seed)
        ours = average_precision.evaluate_keypoints(people, found, **settings)
        assert list(ours) == [*("AP", "AP50", "AP75", "APM", "APL"), *("AR", "AR50", "AR75", "ARM", "ARL")]
        theirs = pycocotools_ap.evaluate_keypoints(people, found, **settings)
        assert ours == pytest.approx(theirs, rel=0, abs=1e-12), seed


def test_the_random_cases_are_not_trivial():
    figures = [
        average_precision.evaluate_keypoints(people, found, **settings)
        for people, found, settings in map(random_case, range(60))
    ]
    for name in figures[0]:
        assert sum(0 < case[name] < 1 for case in figures) > 5
        assert any(case[name] == -1 for case in figures)
