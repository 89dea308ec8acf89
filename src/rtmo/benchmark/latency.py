"""Latency of several calls on a machine that does other things too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np


@dataclass(frozen=True)
class Latency:
    """Milliseconds that one call takes: the median and the 95th percentile."""

    median_ms: float
    p95_ms: float


def interleaved(calls: Mapping[str, Callable[[], object]], *, rounds: int, warmup: int = 2) -> dict[str, Latency]:
    """Latency of each call by name.

    Calls take turns, so that whatever else the machine does disturbs all alike; every second round goes through them
    backwards, so that none always follows the same other.

    Args:
        rounds: Timed turns of every call.
        warmup: Turns before them that do not count.

    Raises:
        ValueError: Fewer than one round.
    """
    if rounds < 1:
        raise ValueError(f"expected at least one round, got {rounds}")
    names = list(calls)
    milliseconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-warmup, rounds):
        for name in names if turn % 2 == 0 else names[::-1]:
            start = perf_counter()
            calls[name]()
            elapsed = perf_counter() - start
            if turn >= 0:
                milliseconds[name].append(1000 * elapsed)
    return {
        name: Latency(median_ms=float(np.median(times)), p95_ms=float(np.percentile(times, 95)))
        for name, times in milliseconds.items()
    }
