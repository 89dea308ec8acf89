"""Made-up range tests: 300 steps from a rate of 1e-5 to one of 1e-1, 75 a decade."""

import numpy as np
import pytest

from rtmo.training.rate_range import Steps, read_off, smoothed

RATES = np.geomspace(1e-5, 1e-1, 300)
NOISE = np.random.default_rng(0).normal(size=300)


def logistic(middle: float, steepness: float = 6.0) -> np.ndarray:
    """Rises from 0 to 1 around a rate."""
    return 1 / (1 + np.exp(-steepness * np.log10(RATES / middle)))


def steps(losses: np.ndarray, oks: np.ndarray | float = 0.1, peaks: np.ndarray | float | None = None) -> Steps:
    rates = RATES[: len(losses)]
    return Steps(rates, losses, oks + 0 * rates, None if peaks is None else peaks + 0 * rates)


VALLEY = 15 - 20 * logistic(1e-3) + 15 * logistic(2e-2, 12) + 0.5 * NOISE  # falls below 0, then rises


def test_a_valley_is_read_off_where_it_falls_fastest() -> None:
    reading = read_off(steps(VALLEY))
    assert reading.rate == pytest.approx(1e-3, rel=0.3)
    assert reading.floor == pytest.approx(3e-3, rel=0.3)
    assert reading.stall is None
    assert str(reading).startswith("optimizer.lr=0.00")
    assert "(there the loss falls fastest; it stops falling at 0.00" in str(reading)


def test_the_level_of_the_loss_does_not_matter() -> None:
    assert read_off(steps(VALLEY - 100)).rate == read_off(steps(VALLEY)).rate


def test_how_much_is_lost_in_the_end_does_not_matter() -> None:
    lost = VALLEY.copy()
    lost[240:] = 1e12
    assert read_off(steps(lost)).rate == pytest.approx(1e-3, rel=0.3)


def test_a_loss_that_is_not_finite_ends_the_test() -> None:
    for bad in (np.nan, np.inf):
        lost = 15 - 20 * logistic(1e-3)
        lost[240:] = bad
        reading = read_off(steps(lost))
        assert reading.rate == pytest.approx(1e-3, rel=0.1)
        assert 1e-3 < reading.floor <= RATES[239]


def test_nothing_is_suggested_if_the_loss_is_not_finite_early() -> None:
    lost = VALLEY.copy()
    lost[20] = np.nan
    reading = read_off(steps(lost))
    assert reading.rate is None
    assert "20 steps, then the loss was not finite" in reading.reason


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        (3 - np.log10(RATES) + 0.1 * NOISE, "still falls at the highest rate, 0.1"),
        (3 + np.log10(RATES) + 0.1 * NOISE, "does not fall between rates of 1e-05 and 0.1"),
        (3 + 0.5 * NOISE, "does not fall"),
        (np.full(300, 3.0), "does not fall"),
        (VALLEY[:49], "49 steps, which is too few"),
        (VALLEY[:0], "0 steps"),
    ],
    ids=["falls", "rises", "noise", "flat", "short", "empty"],
)
def test_nothing_is_suggested(losses: np.ndarray, reason: str) -> None:
    reading = read_off(steps(losses))
    assert reading.rate is None
    assert reason in reading.reason
    assert str(reading).startswith("no rate suggested (")


def test_the_rate_is_well_below_that_of_a_stall() -> None:
    """Heatmaps become sharp while OKS is low, where other losses still fall fastest."""
    reading = read_off(steps(VALLEY, oks=0.2, peaks=logistic(1.2e-3)))
    assert reading.stall == pytest.approx(1e-3, rel=0.2)  # where the highest bin passes .3
    assert reading.rate == pytest.approx(reading.stall / 4)
    assert "1/4 of where the classifier stalls" in reading.reason


def test_a_stall_far_above_is_told_and_lowers_nothing() -> None:
    reading = read_off(steps(VALLEY, oks=0.2, peaks=logistic(1e-2)))
    assert reading.rate == read_off(steps(VALLEY)).rate
    assert reading.stall == pytest.approx(8e-3, rel=0.2)
    assert "the classifier stalls at 0.00" in reading.reason


@pytest.mark.parametrize(
    ("oks", "peaks"),
    [(0.8, logistic(1.2e-3)), (0.1, 0.9), (0.1, 0.05)],
    ids=["sharp and right", "sharp from the start", "never sharp"],
)
def test_what_is_no_stall(oks: float, peaks: np.ndarray | float) -> None:
    assert read_off(steps(VALLEY, oks, peaks)).stall is None


def test_smoothing_shifts_nothing() -> None:
    peak = np.exp(-0.5 * ((np.arange(300) - 150) / 20) ** 2)
    assert smoothed(peak).argmax() == 150
    np.testing.assert_allclose(smoothed(np.full(300, 2.0)), 2.0)
