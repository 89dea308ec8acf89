"""Reading, predicting and writing at the same time, however long the video is: a bounded number of frames in memory."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from queue import Full, Queue
from threading import Event
from typing import Any, TypeVar

from rtmo.inference.predictor import Fitted, Predictor
from rtmo.inference.sources import Frame
from rtmo.types import Poses

T = TypeVar("T")
R = TypeVar("R")

_END = object()
_PATIENCE = 0.05  # s between two looks whether the other side has given up


def predict_stream(
    predictor: Predictor, frames: Iterable[Frame], write: Callable[[Frame, Poses], None], *, batch_size: int = 1
) -> None:
    """Finds the people of every frame, in order; ``frames`` is read in one thread and ``write`` called in another.

    Args:
        predictor: Its steps are taken one by one, images fitted while the network is busy with those before.
        frames: Read ahead by two batches at most.
        write: Gets each frame with its people, px of its image.
        batch_size: Frames that go through the network together.

    Raises:
        Exception: What ``frames`` or ``write`` raise, once both threads have ended.
    """

    def find(batch: list[tuple[Frame, Fitted]]) -> list[tuple[Frame, Poses]]:
        taken, fitted = zip(*batch, strict=True)
        found = predictor.find([frame.image for frame in taken], fitted)
        return list(zip(taken, found, strict=True))

    fitting = ((frame, predictor.fit(frame.image)) for frame in frames)
    in_stages(fitting, find, lambda found: write(*found), batch_size=batch_size)


def in_stages(
    items: Iterable[T], process: Callable[[list[T]], list[R]], consume: Callable[[R], None], *, batch_size: int
) -> None:
    """Iterates in one thread, processes batches in the caller's and consumes results in a third, all in order.

    An exception of any stage, Ctrl-C included, ends the iteration; what is processed by then is still consumed, unless
    it is the consumer that fails. Then it is raised here.
    """
    read: Queue[Any] = Queue(2 * batch_size)
    done: Queue[Any] = Queue(2 * batch_size)
    stop_reading, stop_writing = Event(), Event()

    def reading() -> None:
        try:
            for item in items:
                if not _put(read, item, stop_reading):
                    return
        finally:
            _put(read, _END, stop_reading)

    def writing() -> None:
        try:
            for result in iter(done.get, _END):
                consume(result)
        except BaseException:
            stop_writing.set()
            raise

    with ThreadPoolExecutor(2) as threads:
        stages = threads.submit(reading), threads.submit(writing)
        try:
            for batch in _batches(read, batch_size):
                if not all(_put(done, result, stop_writing) for result in process(batch)):
                    break
        finally:
            stop_reading.set()
            while not all(stage.done() for stage in stages):
                with suppress(KeyboardInterrupt):  # another one: files must not be closed under the hands of a thread
                    _put(done, _END, stop_writing)
                    wait(stages)
    for stage in stages:
        stage.result()


def _batches(queue: "Queue[Any]", batch_size: int) -> Iterator[list[Any]]:
    batch = []
    for item in iter(queue.get, _END):
        batch.append(item)
        if len(batch) == batch_size:
            yield batch
            batch = []
    if batch:
        yield batch


def _put(queue: "Queue[Any]", item: Any, given_up: Event) -> bool:
    """Puts an item as soon as there is room; False if the other side has given up before."""
    while not given_up.is_set():
        try:
            queue.put(item, timeout=_PATIENCE)
            return True
        except Full:
            continue
    return False
