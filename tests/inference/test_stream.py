"""Frames pass through three stages in order, a bounded number at a time, and errors come out."""

import threading
import time
from concurrent.futures import wait

import numpy as np
import pytest
import torch
from networks import reference_state, save_reference, small_rtmo

from rtmo.inference import stream
from rtmo.inference.predictor import Predictor
from rtmo.inference.sources import Frame, Source
from rtmo.inference.stream import in_stages, predict_stream


def double(batch: list[int]) -> list[int]:
    return [2 * item for item in batch]


@pytest.mark.parametrize("batch_size", [1, 4, 20])
def test_everything_arrives_in_order_in_batches(batch_size):
    batches: list[list[int]] = []
    found: list[int] = []
    in_stages(range(10), lambda batch: batches.append(batch) or double(batch), found.append, batch_size=batch_size)
    assert found == [2 * item for item in range(10)]
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)


def test_nothing_is_no_batch():
    in_stages([], pytest.fail, pytest.fail, batch_size=2)


def test_stages_have_threads_of_their_own():
    where = {}
    is_written = threading.Event()

    def items():
        where["read"] = threading.current_thread()
        yield 1
        assert is_written.wait(60)  # while this one still reads
        yield 2

    def process(batch: list[int]) -> list[int]:
        where["process"] = threading.current_thread()
        return batch

    def consume(_item: int) -> None:
        where["write"] = threading.current_thread()
        is_written.set()

    in_stages(items(), process, consume, batch_size=1)
    assert where["process"] is threading.current_thread()
    assert len({id(thread) for thread in where.values()}) == 3


def test_no_stage_runs_far_ahead_of_the_slowest():
    """Otherwise a long video would fill the memory."""
    read, written, most = 0, 0, 0

    def items():
        nonlocal read
        for item in range(60):
            read += 1
            yield item

    def slow(_item: int) -> None:
        nonlocal written, most
        time.sleep(0.002)
        written += 1
        most = max(most, read - written)

    in_stages(items(), double, slow, batch_size=2)
    assert (read, written) == (60, 60)
    assert most <= 16  # two queues of four, two batches, and what each stage has in its hands


def failing_items():
    yield from (1, 2, 3)
    raise KeyError("reader")


def raising(error: BaseException):
    def process(batch: list[int]) -> list[int]:
        if 3 in batch:
            raise error
        return batch

    return process


@pytest.mark.parametrize(
    ("items", "process", "message"),
    [(failing_items(), double, "reader"), (range(100), raising(KeyError("network")), "network")],
)
def test_errors_come_out_and_what_was_done_is_consumed(items, process, message):
    found: list[int] = []
    threads = threading.active_count()
    with pytest.raises(KeyError, match=message):
        in_stages(items, process, found.append, batch_size=1)
    assert len(found) == 3
    assert threading.active_count() == threads


def test_a_consumer_that_fails_ends_it_all():
    taken = []

    def items():
        for item in range(10_000):
            taken.append(item)
            yield item

    def consume(_item: int) -> None:
        raise OSError("disk full")

    threads = threading.active_count()
    with pytest.raises(OSError, match="disk full"):
        in_stages(items(), double, consume, batch_size=2)
    assert len(taken) < 100
    assert threading.active_count() == threads


def test_ctrl_c_leaves_what_was_done():
    found: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        in_stages(range(10_000), raising(KeyboardInterrupt()), found.append, batch_size=1)
    assert found == [0, 1, 2]


def test_further_ctrl_c_waits_for_the_writer(monkeypatch):
    """Who calls closes the files that are being written."""
    found: list[int] = []
    interrupted = iter([True, True])

    def interrupted_wait(stages):
        if next(interrupted, False):
            raise KeyboardInterrupt
        return wait(stages)

    def consume(item: int) -> None:
        time.sleep(0.02)
        found.append(item)

    monkeypatch.setattr(stream, "wait", interrupted_wait)
    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        in_stages(range(10_000), raising(KeyboardInterrupt()), consume, batch_size=1)
    assert found == [0, 1, 2]
    assert next(interrupted, None) is None
    assert threading.active_count() == threads


def test_frames_of_any_size_get_the_poses_of_the_predictor(tmp_path):
    weights = save_reference(tmp_path / "small.pth", reference_state(small_rtmo()))
    predictor = Predictor(weights, device="cpu", image_size=[64, 96], score_thr=0.2)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (height, 90, 3), np.uint8) for height in (64, 150, 40, 90, 77)]
    frames = [Frame(Source(str(number), number, "camera"), image) for number, image in enumerate(images)]
    found = {}
    predict_stream(predictor, iter(frames), lambda frame, poses: found.update({frame.source.name: poses}), batch_size=2)
    assert list(found) == ["0", "1", "2", "3", "4"]
    for number, image in enumerate(images):
        expected = predictor(image)
        assert len(expected) > 0
        torch.testing.assert_close(found[str(number)].keypoints, expected.keypoints, rtol=0, atol=0.05)
