from rtmo.benchmark import stopwatch
from rtmo.benchmark.stopwatch import Stopwatch


class Clock:
    """Time passes when it is told to."""

    now = 0.0

    def __call__(self):
        return self.now

    def work(self, seconds):
        self.now += seconds


def test_a_part_within_another_counts_once(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(stopwatch, "perf_counter", clock)
    watch = Stopwatch()
    clock.work(100)  # nobody's
    with watch.part("outer"):
        clock.work(1)
        with watch.part("inner"):
            clock.work(10)
        clock.work(2)
        with watch.method(Clock, "work", "inner"):
            clock.work(20)
        clock.work(4)
    assert watch.seconds == {"outer": 7, "inner": 30}
