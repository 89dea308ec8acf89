"""A loader of training batches that goes on in the middle of an epoch."""

from collections.abc import Callable
from typing import Any

from torch.utils.data import DataLoader

from rtmo.data.sampler import EpochSampler
from rtmo.errors import InputError


class ResumableLoader(DataLoader[Any]):
    """Keeps its place in checkpoints: Lightning asks loaders for a ``state_dict`` and gives it back.

    As the order of an epoch is known, the place is a number of batches, and no sample is loaded to come there.

    Args:
        sampler: Yields what the batches are made of.
        batches_done: How many batches of the epoch were trained on. A loader that counted would count those too that
            were only fetched.
        options: Of a ``DataLoader``.
    """

    def __init__(self, *arguments: Any, sampler: EpochSampler, batches_done: Callable[[], int], **options: Any) -> None:
        super().__init__(*arguments, sampler=sampler, **options)
        self._epochs = sampler
        self._batches_done = batches_done

    def state_dict(self) -> dict[str, int]:
        """Where in which epoch training is, and what that place depends on."""
        return {"epoch": self._epochs.epoch, "batches": self._batches_done(), **self._sizes()}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on in the epoch of a checkpoint.

        Raises:
            InputError: If its batches had another size.
        """
        for name, size in self._sizes().items():
            if state[name] != size and state["batches"]:
                raise InputError(
                    f"ckpt_path: was written in the middle of an epoch with {name} {state[name]}, and now it is {size}; "
                    "give that one until the epoch is over"
                )
        self._epochs.start_at(state["epoch"], state["batches"] * self._sizes()["batch_size"])

    def _sizes(self) -> dict[str, int]:
        return {"batch_size": self.batch_size or 1, "world_size": self._epochs.num_replicas}
