from types import SimpleNamespace

import psutil
import pytest
import torch

from rtmo.training.memory import PeakMemory

MIB = 2**20


@pytest.fixture
def held(monkeypatch):
    """Sets what the process holds, MiB."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def set_held(mib: float) -> None:
        memory = SimpleNamespace(rss=mib * MIB)
        monkeypatch.setattr(psutil, "Process", lambda: SimpleNamespace(memory_info=lambda: memory))

    return set_held


def test_it_is_the_most_of_this_run_and_not_of_those_before(held):
    first, second = PeakMemory(), PeakMemory()
    first.start()
    for now, most in ((300, 300), (900, 900), (200, 900)):
        held(now)
        assert first.mib() == most
    second.start()
    assert second.mib() == 200


def test_the_gpu_begins_anew_with_every_run(monkeypatch):
    peak = [900 * MIB]  # of the run before
    for name in ("is_available", "is_initialized"):
        monkeypatch.setattr(torch.cuda, name, lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: peak.__setitem__(0, 100 * MIB))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: peak[0])
    memory = PeakMemory()
    memory.start()
    assert memory.mib() == 100
