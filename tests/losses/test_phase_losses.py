"""The table of phases: published numbers, and what is refused."""

import pytest

from rtmo.losses.phase_losses import PUBLISHED, PhaseLosses, phase_table


def test_nothing_changed_is_as_published() -> None:
    assert phase_table({}) == PUBLISHED


def test_changes_keep_the_rest_as_published() -> None:
    table = phase_table({"A": {"coordinate_weight": 0.01}, "C": {"ignore_mask": False}})
    assert table["A"] == PhaseLosses(coordinate_weight=0.01, oks_weight=30.0, proxy_target="gt", score_oks="proxy")
    assert table["B"] == PUBLISHED["B"]
    assert table["C"] == PhaseLosses(bbox_aux_weight=1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"D": {}}, r"phases: no phase is called 'D'; the phases are \['A', 'B', 'C'\]"),
        ({"A": {"bbox_wieght": 1.0}}, r"phases\.A: unknown key 'bbox_wieght'; did you mean 'bbox_weight'\?"),
        ({"B": {"zzz": 1.0}}, r"phases\.B: unknown key 'zzz'; choose among \['bbox_weight'"),
        ({"B": {"oks_weight": -1.0}}, r"phases\.B\.oks_weight must be a number of at least 0, got -1\.0"),
        ({"B": {"oks_weight": float("nan")}}, r"phases\.B\.oks_weight must be a number"),
        ({"C": {"overlaps_power": True}}, r"phases\.C\.overlaps_power must be a number"),
        ({"C": {"proxy_target": "teacher"}}, r"phases\.C\.proxy_target must be 'gt' or 'dcc', got 'teacher'"),
        ({"A": {"dcc_bboxes": "true"}}, r"phases\.A\.dcc_bboxes must be 'pred' or 'gt', got 'true'"),
        ({"A": {"bbox_jitter": 1.0}}, r"phases\.A\.bbox_jitter must be a share of 0 to below 1, got 1\.0"),
        ({"A": {"min_positives": 0}}, r"phases\.A\.min_positives must be a whole number from 1 on, got 0"),
        ({"A": {"min_positives": 2.5}}, r"phases\.A\.min_positives must be a whole number"),
        ({"C": {"ignore_mask": 1}}, r"phases\.C\.ignore_mask must be true or false, got 1"),
    ],
)
def test_what_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        phase_table(changes)
