import pytest

from rtmo.training import step_times
from rtmo.training.step_times import StepTimes


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the test decides on."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(step_times.time, "perf_counter", lambda: Clock.now)
    return Clock


def batch(times: StepTimes, clock, waited: float, computed: float, images: int = 8) -> None:
    clock.now += waited
    times.batch_arrived()
    clock.now += computed
    times.batch_ended(images)


def test_nothing_is_known_before_the_first_batch(clock):
    times = StepTimes()
    assert (times.images, times.seconds, times.images_per_second, times.data_wait) == (0, 0, 0, 0)


def test_waiting_is_a_share_of_the_step(clock):
    times = StepTimes()
    batch(times, clock, waited=1, computed=3)
    batch(times, clock, waited=0, computed=4, images=16)
    assert times.data_wait == pytest.approx(1 / 8)
    assert times.images_per_second == pytest.approx(24 / 8)
    assert (times.images, times.seconds) == (24, 8)


def test_what_lies_between_is_not_counted(clock):
    times = StepTimes()
    batch(times, clock, waited=1, computed=1)
    clock.now += 1000  # a validation
    times.resume()
    batch(times, clock, waited=1, computed=1)
    assert times.seconds == 4
    assert times.data_wait == pytest.approx(0.5)


def test_rates_are_of_the_latest_batches_and_sums_of_all(clock):
    times = StepTimes(window=2)
    batch(times, clock, waited=9, computed=1)
    for _ in range(2):
        batch(times, clock, waited=1, computed=1)
    assert times.images_per_second == pytest.approx(16 / 4)
    assert times.data_wait == pytest.approx(0.5)
    assert (times.images, times.seconds) == (24, 14)
