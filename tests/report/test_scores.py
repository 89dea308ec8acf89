"""Means, deviations and differences, by hand."""

import pytest
from scipy import stats

from rtmo.report.scores import Difference, Spread, difference, spread


def test_mean_and_sample_deviation():
    assert spread([1, 2, 3]) == Spread(2, 1, 3)
    assert spread([0.5]) == Spread(0.5, None, 1)
    assert spread([]) is None


def test_the_margin_is_that_of_welchs_test():
    ours, theirs = [0.50, 0.52, 0.57], [0.40, 0.41, 0.45, 0.44]
    found = difference(ours, theirs)
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert found.mean - found.margin == pytest.approx(interval.low)
    assert found.mean + found.margin == pytest.approx(interval.high)
    assert found.beyond_noise


def test_noise():
    assert difference([0.4, 0.6], [0.45, 0.56]).beyond_noise is False
    assert difference([0.5, 0.5], [0.25, 0.25]) == Difference(0.25, 0.0)
    assert difference([0.5, 0.5], [0.5, 0.5]).beyond_noise is False
    assert difference([0.5], [0.25, 0.25]) == Difference(0.25, None)
    assert difference([0.5], [0.25, 0.25]).beyond_noise is None
    assert difference([], [0.4]) is None
