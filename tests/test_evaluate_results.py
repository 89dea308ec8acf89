import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from small_coco import content

from rtmo import evaluate
from rtmo.config import compose
from rtmo.errors import InputError
from rtmo.evaluate_results import evaluate_results
from rtmo.skeletons import COCO17

NAMES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
METRICS = {"coco": "rtmo.evaluation.coco.CocoKeypointAP", "crowdpose": "rtmo.evaluation.crowdpose.CrowdPoseAP"}


def score(results: Path, annotations: Path, folder: Path, metric: str = "coco", **options) -> dict[str, float]:
    cfg = {"results": results, "annotations": annotations, "skeleton": None, "paths": {"output_dir": folder / "scores"}}
    return evaluate_results({**cfg, "metric": {"_target_": METRICS[metric]}, **options})


def pycocotools_figures(results: Path, annotations: Path) -> dict[str, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluator = COCOeval(truth, truth.loadRes(str(results)), "keypoints")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return dict(zip(NAMES, evaluator.stats.tolist(), strict=True))


@pytest.mark.parametrize(
    ("results", "annotations"),
    [
        ("xtcocoapi/annotations/example_coco_preds.json", "xtcocoapi/annotations/example_coco_val.json"),
        (  # its predictions have boxes
            "faster_coco_eval/tests/keypoints_dataset/dt_dataset.json",
            "faster_coco_eval/tests/keypoints_dataset/gt_dataset.json",
        ),
    ],
)
def test_the_figures_are_those_of_pycocotools_on_the_same_files(shared_dir, tmp_path, results, annotations):
    files = [shared_dir / "data" / "evaluation" / name for name in (results, annotations)]
    got = score(*files, tmp_path)
    assert got == pytest.approx(pycocotools_figures(*files), rel=0, abs=1e-9)
    summary = json.loads((tmp_path / "scores" / "summary.json").read_text())
    assert summary["metrics"] == got
    assert summary["predictions"] == len(json.loads(files[0].read_text()))
    assert summary["skeleton"] == "coco17"
    assert summary["metric"] == METRICS["coco"]


def test_crowdpose_as_its_own_tool_prints_it(shared_dir, tmp_path, capsys):
    folder = shared_dir / "data" / "evaluation" / "xtcocoapi" / "annotations"
    files = folder / "example_crowdpose_preds.json", folder / "example_crowdpose_val.json"
    got = score(*files, tmp_path, metric="crowdpose")
    official = {"AP": 0.7877, "AP50": 0.9881, "AP75": 0.7314, "AR": 0.8222}
    groups = {"AP_easy": 1.0, "AP_medium": 0.9802, "AP_hard": 0.4116}
    assert {name: round(got[name], 4) for name in official | groups} == official | groups
    assert "AP_hard" in capsys.readouterr().out


def predictions(described: dict) -> list[dict]:
    """Of every second person, a pixel off."""
    rng = np.random.default_rng(0)
    return [
        {
            "image_id": person["image_id"],
            "category_id": 1,
            "keypoints": (np.array(person["keypoints"]) + rng.normal(0, 0.3, 51)).tolist(),
            "score": float(rng.uniform()),
        }
        for person in described["annotations"][::2]
    ]


def written(folder: Path, results: object, described: dict) -> tuple[Path, Path]:
    files = folder / "results.json", folder / "val.json"
    for file, value in zip(files, (results, described), strict=True):
        file.write_text(json.dumps(value))
    return files


def reordered(flat: list[float], order: np.ndarray) -> list[float]:
    return np.array(flat).reshape(-1, 3)[order].ravel().tolist()


def test_joints_may_come_in_any_order(tmp_path):
    described = content()
    found = predictions(described)
    expected = score(*written(tmp_path, found, described), tmp_path)
    assert 0 < expected["AP"] < 1
    order = np.random.default_rng(1).permutation(17)
    described["categories"][0]["keypoints"] = [COCO17.joints[joint] for joint in order]
    for entry in (*described["annotations"], *found):
        entry["keypoints"] = reordered(entry["keypoints"], order)
    assert score(*written(tmp_path, found, described), tmp_path) == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize("skeleton", [None, "coco17"])
def test_joints_are_known_by_their_names_in_any_spelling(tmp_path, caplog, skeleton):
    described = content()
    found = predictions(described)
    expected = score(*written(tmp_path, found, described), tmp_path)
    described["categories"][0]["keypoints"] = ["Nose", "LEye", *COCO17.joints[2:]][::-1]
    for entry in (*described["annotations"], *found):
        entry["keypoints"] = reordered(entry["keypoints"], np.arange(17)[::-1])
    with caplog.at_level("INFO"):
        got = score(*written(tmp_path, found, described), tmp_path, skeleton=skeleton)
    assert got == pytest.approx(expected, rel=0, abs=1e-12)
    assert "LEye is left_eye, Nose is nose" in caplog.text


def test_as_many_joints_of_other_names_are_refused(tmp_path):
    described = content()
    described["categories"][0]["keypoints"][15:] = ["left_paw", "tail"]
    with pytest.raises(InputError, match=r"skeleton=coco17: its joints .*: \['left_paw', 'tail'\]; choose"):
        score(*written(tmp_path, [], described), tmp_path, skeleton="coco17")


def test_a_file_without_categories_is_refused(tmp_path):
    described = content() | {"categories": []}
    with pytest.raises(InputError, match=r"val.json: lists no categories"):
        score(*written(tmp_path, [], described), tmp_path, skeleton="coco17")


def test_files_that_do_not_name_their_joints_need_a_skeleton(tmp_path):
    described = content()
    del described["categories"][0]["keypoints"]
    files = written(tmp_path, predictions(described), described)
    with pytest.raises(InputError, match=r"val.json: no category lists its joints under 'keypoints'; say skeleton="):
        score(*files, tmp_path)
    assert 0 < score(*files, tmp_path, skeleton="coco17")["AP"] < 1


def test_no_predictions_score_nothing(tmp_path):
    assert score(*written(tmp_path, [], content()), tmp_path)["AP"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 99}, "prediction number 1: image_id 99 is not among the 4 images of the annotations"),
        ({"category_id": 2}, "prediction number 1: category_id 2 is not among the 1 categories"),
        ({"keypoints": [1.0] * 42}, "prediction number 1 .image 1.: keypoints holds 42 numbers, not 51: x, y, score"),
        ({"keypoints": [float("nan")] * 51}, "prediction number 1 .image 1.: keypoints must be finite numbers"),
        ({"keypoints": None}, "keypoints must be finite numbers"),
        ({"score": float("inf")}, "score must be finite numbers"),
        ({"score": "high"}, "score must be finite numbers"),
        ({"score": 10**30}, "score must be finite numbers"),
        ({"bbox": [1, 2, 3]}, "bbox holds 3 numbers, not 4"),
    ],
)
def test_a_prediction_that_cannot_be_used_is_named(tmp_path, changes, message):
    described = content()
    found = predictions(described)
    found[1] |= changes
    with pytest.raises(InputError, match=f"results.json: .*{message}"):
        score(*written(tmp_path, found, described), tmp_path)
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize("field", ["image_id", "category_id", "keypoints", "score"])
def test_a_missing_field_is_named(tmp_path, field):
    described = content()
    found = predictions(described)
    del found[1][field]
    with pytest.raises(InputError, match=f"results.json: prediction number 1 has no '{field}'"):
        score(*written(tmp_path, found, described), tmp_path)


@pytest.mark.parametrize(
    ("results", "options", "message"),
    [
        ({"annotations": []}, {}, "results.json: must be a list of predictions, .* got a dict"),
        (["x"], {}, "prediction number 0: must be an object"),
        ([], {"skeleton": "crowdpose14"}, "skeleton=crowdpose14: has 14 joints, but .*val.json lists 17"),
        ([], {"metric": "crowdpose", "skeleton": "coco17"}, "has no 'crowdIndex'.*metric=coco"),
        ([], {"results": Path("nowhere.json")}, "results=nowhere.json: no such file"),
        ([], {"annotations": Path("nowhere.json")}, "annotations=nowhere.json: no such file"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, results, options, message):
    files = dict(zip(("results", "annotations"), written(tmp_path, results, content()), strict=True))
    with pytest.raises(InputError, match=message):
        score(folder=tmp_path, **{**files, **options})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "checkpoint: has no value; give checkpoint=.*or results=... annotations=..."),
        (["results=a"], "annotations: has no value"),
        (["annotations=a"], "results: has no value"),
        (["results=a", "annotations=b"], "metric: has no value; say metric=coco or metric=crowdpose"),
        (["results=a", "annotations=b", "checkpoint=c"], "give checkpoint=... or results=..."),
    ],
)
def test_one_thing_is_scored(overrides, message):
    with pytest.raises(InputError, match=message):
        evaluate.prepare(compose("evaluate", overrides))


def test_the_command_scores_files_and_refuses_options_of_checkpoints(call, tmp_path):
    described = content()
    written(tmp_path, predictions(described), described)
    files = ("results=results.json", "annotations=val.json", "metric=coco")
    code, printed, _ = call(evaluate.main, *files)
    assert code == 0
    assert "results.json, 4 images" in printed
    (summary,) = tmp_path.glob("outputs/evaluate/*/summary.json")
    assert 0 < json.loads(summary.read_text())["metrics"]["AP"] < 1
    for option in ("score_thr=0.5", "paths.data_dir=nowhere"):
        key = option.partition("=")[0]
        code, _, stderr = call(evaluate.main, *files, option)
        assert (code, stderr) == (
            2,
            f"error: {key}: read only with checkpoint=...; remove it to score a file of predictions\n",
        )
