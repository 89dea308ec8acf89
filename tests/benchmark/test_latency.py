import itertools

import pytest

from rtmo.benchmark import latency
from rtmo.benchmark.latency import Latency, interleaved


def test_calls_take_turns_and_every_second_round_runs_backwards():
    order: list[str] = []

    interleaved({name: lambda name=name: order.append(name) for name in "abc"}, rounds=3, warmup=1)

    assert "".join(order) == "cba" + "abc" + "cba" + "abc"


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when a call moves it."""
    now = [0.0]
    monkeypatch.setattr(latency, "perf_counter", lambda: now[0])

    def call_taking(seconds):
        remaining = iter(seconds)

        def call():
            now[0] += next(remaining)

        return call

    return call_taking


def test_warm_up_does_not_count(clock):
    calls = {"slow start": clock([9.0, 9.0, 0.25, 0.25]), "even": clock(itertools.repeat(0.5))}

    times = interleaved(calls, rounds=2, warmup=2)

    assert times == {"slow start": Latency(250, 250), "even": Latency(500, 500)}


def test_one_slow_call_moves_the_95th_percentile_and_not_the_median(clock):
    times = interleaved({"call": clock([0.01] * 10 + [1.0])}, rounds=11, warmup=0)["call"]

    assert times.median_ms == pytest.approx(10)
    assert times.p95_ms == pytest.approx(505)


def test_no_round_is_refused():
    with pytest.raises(ValueError, match="at least one round"):
        interleaved({}, rounds=0)
