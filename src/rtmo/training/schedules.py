"""Learning rate as a function of the step: a run is a row of segments.

The published schedule (quadratic warm-up, two cosines with a jump of x2.5 between them) and the schedules of short
runs are tables of such segments; see conf/schedule.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


@dataclass(frozen=True)
class Segment:
    """One stretch of a schedule. Every fraction is of the whole run.

    Attributes:
        until: Where it ends.
        shape: ``warmup`` rises with the square of the step; ``cosine`` falls towards ``eta_min``; ``constant`` stays;
            ``exponential`` changes by the same factor every step.
        factor: Multiplies the rate where the segment begins.
        eta_min: What a cosine falls to, as an absolute rate.
        period: Length of a cosine's fall if it is not the segment's own: the published cosines end early.
        end_factor: What an exponential comes to in its last step, relative to the rate before the segment as
            ``factor`` is.

    Raises:
        ValueError: If there is no such shape, or a factor of an exponential is not above 0.
    """

    until: float
    shape: str
    factor: float = 1.0
    eta_min: float = 0.0
    period: float | None = None
    end_factor: float = 1.0

    def __post_init__(self) -> None:
        if self.shape not in ("warmup", "cosine", "constant", "exponential"):
            raise ValueError(f"schedule segment shape={self.shape!r}; choose warmup, cosine, constant or exponential")
        if self.shape == "exponential" and min(self.factor, self.end_factor) <= 0:
            raise ValueError(
                f"schedule segment shape=exponential: factor={self.factor} and end_factor={self.end_factor} must be "
                "above 0"
            )


class SegmentedLR(LRScheduler):
    """Sets the rate of every parameter group from its base rate and the step alone, so that resuming is exact.

    Args:
        optimizer: Its groups' ``lr`` are the base rates.
        total_steps: Optimiser steps of the whole run.
        segments: In order; the last must reach 1.
        warmups: Fraction of the run over which the rate of a part rises on top of that, with the square of the step,
            by prefix of its parameters' names, which must have a rate of their own (``lr_factors``).

    Raises:
        ValueError: If the segments' ends do not rise, or do not reach 1; or if ``warmups`` names a part that the
            optimizer has no group for, or is no fraction.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        *,
        segments: Sequence[Segment | Mapping[str, Any]],
        warmups: Mapping[str, float] | None = None,
    ) -> None:
        names = [str(group.get("name", "")).removesuffix("/no_decay") for group in optimizer.param_groups]
        for prefix, share in (warmups := warmups or {}).items():
            if not 0 <= share <= 1:
                raise ValueError(f"schedule.warmups.{prefix} must be a fraction of the run, 0..1; got {share}")
            if prefix not in names:
                raise ValueError(
                    f"schedule.warmups names {prefix!r}, which has no rate of its own; those that have: "
                    f"{', '.join(sorted(set(names)))}"
                )
        self.warmups = [warmups.get(name, 0.0) for name in names]
        self.segments = [s if isinstance(s, Segment) else Segment(**s) for s in segments]
        self.total_steps = total_steps
        ends = [segment.until for segment in self.segments]
        if ends != sorted(ends) or ends[-1:] != [1.0]:
            raise ValueError(f"schedule segments must end at rising fractions of the run, the last at 1; got {ends}")
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """The rates of the coming step, one a group."""
        return [
            rate_at(self.last_epoch, float(base), self.segments, self.total_steps) * self._warmed(share)
            for base, share in zip(self.base_lrs, self.warmups, strict=True)
        ]

    def _warmed(self, share: float) -> float:
        """What a warm-up over a share of the run leaves of the rate of the coming step."""
        return min((self.last_epoch + 1) / max(share * self.total_steps, 1.0), 1.0) ** 2

    def state_dict(self) -> dict[str, Any]:
        """Plain containers only, so that a checkpoint loads with ``weights_only=True``."""
        return {key: value for key, value in super().state_dict().items() if key not in ("segments", "warmups")}


def rate_at(step: int, base: float, segments: Sequence[Segment], total_steps: int) -> float:
    """The learning rate of a 0-based step."""
    if base == 0:
        return 0.0  # a part that is frozen, whatever eta_min is
    begin, rate = 0, base
    for segment in segments:
        end = round(segment.until * total_steps)
        rate *= segment.factor
        if step < end or segment is segments[-1]:
            return _shape(segment, step - begin, end - begin, rate, total_steps)
        if end > begin:
            rate = _shape(segment, end - begin - 1, end - begin, rate, total_steps)
            begin = end
    raise ValueError("a schedule needs at least one segment")


def _shape(segment: Segment, step: int, length: int, start: float, total_steps: int) -> float:
    """The rate ``step`` steps into a segment that begins at rate ``start``."""
    if segment.shape == "warmup":
        return start * (min(step + 1, length) / length) ** 2
    if segment.shape == "constant":
        return start
    if segment.shape == "exponential":
        return start * (segment.end_factor / segment.factor) ** (step / max(length - 1, 1))
    period = max(length if segment.period is None else round(segment.period * total_steps), 1)  # 1: a run of one step
    return segment.eta_min + (start - segment.eta_min) * (1 + math.cos(math.pi * min(step / period, 1.0))) / 2
