"""From a source and an index to a sample in the network's frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64
from torch.utils.data import Dataset

from rtmo.data.image_cache import ImageCache
from rtmo.data.letterbox import Letterbox, fitted
from rtmo.data.source import PoseSource
from rtmo.data.transforms import Draw, Filter, Transform, check_image_size
from rtmo.phases import Phases
from rtmo.types import Sample

Augmentation = Mapping[str, Transform | None]  # steps by name, in order; None switches one off


@dataclass(frozen=True)
class Item:
    """A sample ready for batching.

    Attributes:
        original_size: (height, width) of the image as stored, px.
    """

    sample: Sample
    original_size: tuple[int, int]


class TrainDataset(Dataset[Item]):
    """Augmented samples, each a pure function of (seed, epoch, index).

    The steps of ``main`` run in phases A and B, those of ``light`` in phase C, which also loads ignore masks. A sample
    that the steps leave at another size than ``image_size`` is letterboxed, so any step may be switched off.

    Args:
        image_size: (height, width) of the result, px.
        seed: Not negative.
        max_epochs: The length of the run, of which ``phases`` are fractions.
        cache: Where decoded images stay; None decodes them each time.
    """

    def __init__(
        self,
        *,
        source: PoseSource,
        image_size: Sequence[int],
        augment: Mapping[Literal["main", "light"], Augmentation],
        phases: Phases,
        max_epochs: int,
        seed: int,
        cache: ImageCache | None = None,
    ) -> None:
        self.source, self.image_size = source, check_image_size(image_size)
        self.steps = {name: [step for step in augment[name].values() if step is not None] for name in augment}
        self.phases, self.max_epochs, self.seed, self.cache = phases, max_epochs, seed, cache
        self._drawn: tuple[int, np.ndarray] | None = None  # the last epoch asked for, and its images

    def __len__(self) -> int:
        """All images of the source, of which an epoch may show only some."""
        return len(self.source)

    def epoch_indices(self, epoch: int) -> Int64[np.ndarray, " _"]:
        """The images of an epoch, a function of (seed, epoch), so that sampler and workers agree."""
        if self._drawn is None or self._drawn[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch)).spawn(1)[0]  # not the stream that shuffles
            self._drawn = epoch, self.source.epoch_indices(rng, light=self._is_light(epoch))
        return self._drawn[1]

    def _is_light(self, epoch: int) -> bool:
        return self.phases.at(epoch, self.max_epochs) == "C"

    def __getitem__(self, key: tuple[int, int] | int) -> Item:
        """The sample of (epoch, index); a bare index, as Lightning's overfit_batches gives, means epoch 0."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        rng = np.random.default_rng((self.seed, epoch, index))
        light, images = self._is_light(epoch), self.epoch_indices(epoch)

        def draw(generator: np.random.Generator) -> Sample:
            return self._load(int(images[generator.integers(len(images))]), light)

        sample = self._load(index, light)
        original_size = sample.image_size
        for step in self.steps["light" if light else "main"]:
            sample = _apply(step, sample, rng, draw)
        return Item(fitted(sample, self.image_size).drawn(), original_size)

    def _load(self, index: int, light: bool) -> Sample:
        sample = self.source.load_undrawn(index, with_ignore_mask=light)
        return sample if self.cache is None else self.cache.keep(sample, index)


class ValDataset(Dataset[Item]):
    """Letterboxed samples without augmentation; people without labeled keypoints are left out of the targets."""

    def __init__(self, *, source: PoseSource, image_size: Sequence[int]) -> None:
        self.source = source
        self._steps = (Letterbox(image_size=check_image_size(image_size)), Filter())

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Item:
        sample = self.source.load(index)
        original_size = sample.image_size
        unused = np.random.default_rng(0)
        for step in self._steps:
            sample = _apply(step, sample, unused, self._no_draw)
        return Item(sample.drawn(), original_size)

    @staticmethod
    def _no_draw(generator: np.random.Generator) -> Sample:
        raise AssertionError("validation combines no images")


def _apply(step: Transform, sample: Sample, rng: np.random.Generator, draw: Draw) -> Sample:
    """A step on a sample that is drawn if the step needs pixels."""
    if step.takes_undrawn:
        return step(sample, rng, draw)
    return step(sample.drawn(), rng, lambda generator: draw(generator).drawn())
