"""Where the time of training goes: images/s, and how long the network waits for data."""

import time
from collections import deque


class StepTimes:
    """Times training batches on the host; what lies outside of them, such as validation, counts for nothing.

    Args:
        window: Batches that ``images_per_second`` and ``data_wait`` look back on.

    Attributes:
        images: Trained on so far.
        seconds: Spent on that, waiting included.
    """

    def __init__(self, *, window: int = 20) -> None:
        self.images = 0
        self.seconds = 0.0
        self._recent: deque[tuple[int, float, float]] = deque(maxlen=window)  # images, seconds, of these waiting
        self.resume()

    def resume(self) -> None:
        """Training goes on: the wait for the next batch begins."""
        self._ended = self._arrived = time.perf_counter()

    def batch_arrived(self) -> None:
        """The wait is over."""
        self._arrived = time.perf_counter()

    def batch_ended(self, images: int) -> None:
        """A batch of so many images, those of other ranks included, is done with."""
        waited = self._arrived - self._ended
        now = time.perf_counter()
        self._recent.append((images, now - self._ended, waited))
        self.images += images
        self.seconds += now - self._ended
        self._ended = self._arrived = now

    @property
    def images_per_second(self) -> float:
        """Of the latest batches; 0 before the first."""
        images, seconds, _ = self._sums()
        return images / max(seconds, 1e-9)

    @property
    def data_wait(self) -> float:
        """Share of the time of the latest batches spent waiting for them, 0..1; 0 before the first."""
        _, seconds, waited = self._sums()
        return waited / max(seconds, 1e-9)

    def _sums(self) -> tuple[float, float, float]:
        images, seconds, waited = (sum(column) for column in zip((0, 0.0, 0.0), *self._recent, strict=True))
        return images, seconds, waited
