"""The three phases of RTMO's training, as a function of the epoch (never of an event, so resuming cannot lose one)."""

from dataclasses import dataclass
from typing import Literal

Phase = Literal["A", "B", "C"]


@dataclass(frozen=True)
class Phases:
    """When the phases begin, as fractions of the run, so that a short run meets every one of them.

    A: the proxy branch learns the ground truth under strong augmentation.
    B: the proxy branch learns from the Dynamic Coordinate Classifier.
    C: as B, on lightly augmented images, with the L1 box loss and the ignore mask.

    Attributes:
        refine_start: Start of B.
        light_start: Start of C.

    Raises:
        ValueError: If the fractions are not 0 <= refine_start <= light_start <= 1.
    """

    refine_start: float = 280 / 600
    light_start: float = 579 / 600

    def __post_init__(self) -> None:
        if not 0 <= self.refine_start <= self.light_start <= 1:
            raise ValueError(
                "phases must satisfy 0 <= refine_start <= light_start <= 1, "
                f"got refine_start={self.refine_start}, light_start={self.light_start}"
            )

    def at(self, epoch: int, max_epochs: int) -> Phase:
        """The phase of a 0-based epoch in a run of ``max_epochs``."""
        if epoch < round(self.refine_start * max_epochs):
            return "A"
        return "B" if epoch < self.light_epoch(max_epochs) else "C"

    def light_epoch(self, max_epochs: int) -> int:
        """The first epoch of C."""
        return round(self.light_start * max_epochs)
