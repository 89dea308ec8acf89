"""The notebooks about the coordinate classifier run from top to bottom, and show what their text says.

A file of their own, so that two processes share the notebooks.
"""

import pytest
from executed import run


@pytest.mark.slow
def test_coordinate_classifier() -> None:
    shown = run("coordinate_classifier.ipynb", "history", "final_oks", "sigma_ratio", "box_moved", "joints_moved")

    assert shown["history"][0][1] < 0.3  # mean OKS of the first step: nothing is known yet
    assert shown["final_oks"] > 0.95
    assert shown["sigma_ratio"] == pytest.approx(0.40, abs=0.04)  # sqrt(2 / pi) / 2
    assert shown["joints_moved"]["from the grid point"] < 0.1 * shown["box_moved"]
    assert shown["joints_moved"]["from the middle of the box"] > 0.9 * shown["box_moved"]


@pytest.mark.slow
def test_why_the_classifier_stalls() -> None:
    """Ranges hold over seeds. Sharp wrong heatmaps and the likelihood stall together; either alone does not."""
    names = ("others", "gau_size", "spread_with", "spread_without", "pull", "wrong", "race", "scores", "spreads")
    shown = run("why_the_classifier_stalls.ipynb", *names)
    scores, pull, race = shown["scores"], shown["pull"], shown["race"]

    assert shown["gau_size"] > 5  # of what gated attention adds to features of size 1
    assert shown["spread_with"] > 5 * shown["spread_without"]
    assert pull["scale 1, mle"] < 1e-10  # nothing arrives at the label
    assert pull["scale 1, kld"] > 1e-2
    assert pull["scale 0.03, mle"] > 0.1
    assert shown["wrong"][0] > 0.7  # the less a heatmap had there, the longer it is wrong
    assert shown["wrong"][-1] < 0.2
    assert race["0.0002"] > 0.85  # OKS when heatmaps get sharp: right first,
    assert race["0.004"] < 0.4  # or sharp first
    assert all(sharp < 0.35 and flat > sharp + 0.3 for sharp, flat in shown["others"].values())

    stuck = ("sharp", "flat, rate 4e-3", "flat, swapped")
    learns = (
        "sharp / 32",
        "flat",
        "sharp / 100, rate 4e-3",
        "flat, KLD, rate 4e-3",
        "flat, swapped, flattened",
        "flat, KLD, swapped",
    )
    assert max(max(scores[name]) for name in stuck) < 0.4
    assert min(min(scores[name]) for name in learns) > 0.75
    assert min(scores["sharp, KLD"] + scores["sharp, flattened"]) > 0.6
    assert min(shown["spreads"]["flat, rate 4e-3"]) > 500
