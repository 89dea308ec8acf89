"""Latency of several calls on a machine that does other things too."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np


@dataclass(frozen=True)
class Latency:
    """Milliseconds that one call takes: the median and the 95th percentile."""

    median_ms: float
    p95_ms: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> "Latency":
        """That of some calls."""
        return cls(median_ms=float(np.median(milliseconds)), p95_ms=float(np.percentile(milliseconds, 95)))


def in_turns(names: Iterable[str], *, rounds: int, warmup: int = 2) -> Iterator[tuple[str, bool]]:
    """Whose turn it is, and whether the turn counts.

    All take turns, so that whatever else the machine does disturbs all alike; every second round goes through them
    backwards, so that none always follows the same other.

    Args:
        rounds: Turns of each that count.
        warmup: Turns before them that do not.

    Raises:
        ValueError: Fewer than one round.
    """
    if rounds < 1:
        raise ValueError(f"expected at least one round, got {rounds}")
    forwards = list(names)
    for turn in range(-warmup, rounds):
        for name in forwards if turn % 2 == 0 else forwards[::-1]:
            yield name, turn >= 0


def interleaved(calls: Mapping[str, Callable[[], object]], *, rounds: int, warmup: int = 2) -> dict[str, Latency]:
    """Latency of each call by name, all in this process and ``in_turns``."""
    milliseconds: dict[str, list[float]] = {name: [] for name in calls}
    for name, counts in in_turns(calls, rounds=rounds, warmup=warmup):
        start = perf_counter()
        calls[name]()
        elapsed = perf_counter() - start
        if counts:
            milliseconds[name].append(1000 * elapsed)
    return {name: Latency.of(times) for name, times in milliseconds.items()}
