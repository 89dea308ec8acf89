import json

import pytest

from rtmo.benchmark import evaluation


def test_it_measures_and_writes(call, tmp_path):
    code, printed, _ = call(evaluation.main, "images=30", "rounds=1", "output=speed/evaluation.json")
    assert code == 0
    assert "times as fast" in printed
    record = json.loads((tmp_path / "speed" / "evaluation.json").read_text())
    numpy, pycocotools = (record["milliseconds"][name]["median_ms"] for name in ("numpy", "pycocotools"))
    assert record["times_as_fast"] == pytest.approx(pycocotools / numpy)
    assert record["largest_difference"] < 1e-9
    assert 0.2 < record["figures"]["pycocotools"]["AP"] < 0.9
    assert record["settings"]["detections"] == 10


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("rounds=0", "rounds: expected a whole number from 1 on, got 0"),
        ("seed=-1", "seed: expected a whole number from 0 on, got -1"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, option, message):
    code, _, stderr = call(evaluation.main, option)
    assert code == 2
    assert message in stderr
