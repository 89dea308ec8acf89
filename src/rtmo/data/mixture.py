"""Several data sets as one, as RTMO's published weights of seven data sets were trained."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64

from rtmo.data.source import PoseSource
from rtmo.errors import InputError
from rtmo.types import Sample

log = logging.getLogger(__name__)


class Mixture(PoseSource):
    """Every epoch shows a share of each source, drawn anew; mosaics and MixUp take partners from the same images.

    Args:
        name: How logs and errors refer to it.
        sources: By name, all with the same skeleton: each maps its joints onto it and says which it has. None leaves
            one out.
        ratios: Which share of its images a source gives to an epoch, by name, above 0 and up to 1.
        light: The only sources of phase C, by name; None: all of them.

    Attributes:
        sources: Those that are not None.

    Raises:
        InputError: If names do not match, a ratio is out of range, or skeletons differ.
    """

    def __init__(
        self,
        *,
        name: str,
        sources: Mapping[str, PoseSource | None],
        ratios: Mapping[str, float],
        light: Sequence[str] | None = None,
    ) -> None:
        chosen = {key: source for key, source in sources.items() if source is not None}
        if sources.keys() != ratios.keys():
            raise InputError(
                f"{name}: sources and ratios must name the same data sets, got {list(sources)} and {list(ratios)}"
            )
        if not chosen:
            raise InputError(f"{name}: no source remains of {list(sources)}; give one at least")
        if light is not None and (not light or set(light) - chosen.keys()):
            raise InputError(f"{name}: light must name some of the sources {list(chosen)}, got {list(light)}")
        for key, ratio in ratios.items():
            if not 0 < ratio <= 1:
                raise InputError(f"{name}: ratios.{key} must be above 0 and at most 1, got {ratio}")
        skeletons = {source.skeleton for source in chosen.values()}
        if len(skeletons) > 1:
            raise InputError(f"{name}: sources have different skeletons: {sorted(each.name for each in skeletons)}")
        self.name, (self.skeleton,) = name, skeletons
        self.sources = chosen
        self._sources = list(chosen.values())
        self._starts = np.cumsum([0, *(len(source) for source in self._sources)])
        self._counts = [max(1, round(ratios[key] * len(source))) for key, source in chosen.items()]
        self._in_light = [light is None or key in light for key in chosen]
        log.info(
            "%s: %d images an epoch: %s; in phase C %s",
            *(name, sum(self._counts)),
            ", ".join(
                f"{key} {count} of {len(source)}"
                for (key, source), count in zip(chosen.items(), self._counts, strict=True)
            ),
            "the same" if light is None else ", ".join(light),
        )

    def __len__(self) -> int:
        """All images of all sources, those of the first source first."""
        return int(self._starts[-1])

    def epoch_indices(self, rng: np.random.Generator, light: bool) -> Int64[np.ndarray, " _"]:
        """See ``PoseSource.epoch_indices``."""
        drawn = [
            start + rng.permutation(len(source))[:count]
            for source, start, count in zip(self._sources, self._starts, self._counts, strict=False)
        ]
        return np.concatenate([images for images, used in zip(drawn, self._in_light, strict=True) if used or not light])

    def load(self, index: int, with_ignore_mask: bool = False) -> Sample:
        """See ``PoseSource.load``; ``image_id`` is that of the source, so two images may have the same."""
        source, own_index = self._find(index)
        return source.load(own_index, with_ignore_mask)

    def load_undrawn(self, index: int, with_ignore_mask: bool = False) -> Sample:
        """See ``PoseSource.load_undrawn`` and ``load``."""
        source, own_index = self._find(index)
        return source.load_undrawn(own_index, with_ignore_mask)

    def _find(self, index: int) -> tuple[PoseSource, int]:
        place = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._sources[place], index - int(self._starts[place])

    def ground_truth(self) -> dict[str, Any]:
        """There is none, as sources number their images and joints differently.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{self.name}: a mixture cannot be evaluated on; take one data set for data.val")
