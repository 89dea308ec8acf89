"""Which images a rank trains on in an epoch, in which order."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import DistributedSampler

from rtmo.data.pipeline import TrainDataset


class EpochSampler(DistributedSampler):
    """Yields (epoch, index), shuffled by (seed, epoch) and dealt to the ranks in turn.

    The epoch travels with the index because workers live through several epochs. Every rank gets equally many: the
    last ranks of an uneven deal are filled from the front. Being a ``DistributedSampler``, Lightning leaves it alone
    and calls its ``set_epoch``.
    """

    def __init__(self, dataset: TrainDataset, *, seed: int, rank: int = 0, world_size: int = 1, epoch: int = 0) -> None:
        self._epoch_indices = dataset.epoch_indices
        self._start = (0, 0)  # an epoch, and how many samples of it are done with
        super().__init__(dataset, num_replicas=world_size, rank=rank, seed=seed)
        self.set_epoch(epoch)

    def set_epoch(self, epoch: int) -> None:
        """Moves to an epoch; its length is that of the images it shows."""
        super().set_epoch(epoch)
        self.num_samples = -(-len(self._epoch_indices(epoch)) // self.num_replicas)
        self.total_size = self.num_samples * self.num_replicas

    def start_at(self, epoch: int, samples: int) -> None:
        """Leaves out the first samples of an epoch; its length stays, as Lightning counts on from where it was."""
        self._start = (epoch, samples)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self._epoch_indices(self.epoch))
        dealt = np.resize(order, self.total_size)[self.rank :: self.num_replicas]
        first = self._start[1] if self._start[0] == self.epoch else 0
        return ((self.epoch, index) for index in dealt[first:].tolist())
