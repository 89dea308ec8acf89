"""Published formats with values of other kinds than they have."""

import json
from pathlib import Path

import pytest

from rtmo.data.converters import CONVERTERS
from rtmo.errors import InputError

FLAT = [1, 2, 1] * 14
MPII = {"image": "a.jpg", "center": [1, 2], "scale": 1, "joints": [[1, 2]] * 16, "joints_vis": [1] * 16}
AIC = {"image_id": "a", "human_annotations": {"h": [1, 2, 3, 4]}, "keypoint_annotations": {"h": FLAT}}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("aic", [1]),
        ("aic", [{**AIC, "human_annotations": "h"}]),
        ("aic", [{**AIC, "human_annotations": {"h": [1, [], "3", None]}}]),
        ("aic", [{**AIC, "keypoint_annotations": {"h": [[], [], []] * 14}}]),
        ("mpii", [None]),
        ("mpii", [{**MPII, "center": 3}]),
        ("mpii", [{**MPII, "scale": {}}]),
        ("mpii", [{**MPII, "joints": [[1, 2]] * 3}]),
        ("mpii", [MPII, {**MPII, "image": ["a.jpg"]}]),
        ("halpe", {"images": [], "annotations": [], "categories": [1]}),
        ("posetrack18", {"images": [1], "annotations": [2], "categories": [3]}),
    ],
)
def test_other_values_are_the_files_fault(name: str, content: object, tmp_path: Path) -> None:
    file = tmp_path / "raw.json"
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"raw\.json: "):
        CONVERTERS[name](file)
