"""Which images a rank trains on in an epoch, in which order."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import Dataset, DistributedSampler


class EpochSampler(DistributedSampler):
    """Yields (epoch, index), shuffled by (seed, epoch) and dealt to the ranks in turn.

    The epoch travels with the index because workers live through several epochs. Every rank gets equally many: the
    last ranks of an uneven deal are filled from the front. Being a ``DistributedSampler``, Lightning leaves it alone
    and calls its ``set_epoch``.
    """

    def __init__(self, dataset: Dataset[Any], *, seed: int, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(dataset, num_replicas=world_size, rank=rank, seed=seed)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.dataset))  # type: ignore[arg-type]
        dealt = np.resize(order, self.total_size)[self.rank :: self.num_replicas]
        return ((self.epoch, index) for index in dealt.tolist())
