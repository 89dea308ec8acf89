"""The data of a run, for Lightning's Trainer."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, DistributedSampler

from rtmo.data.collate import collate
from rtmo.data.image_cache import ImageCache
from rtmo.data.pipeline import Augmentation, TrainDataset, ValDataset
from rtmo.data.process import prepare_worker
from rtmo.data.sampler import EpochSampler
from rtmo.data.source import PoseSource
from rtmo.data.transforms import check_image_size
from rtmo.errors import InputError
from rtmo.phases import Phases

log = logging.getLogger(__name__)


class PoseDataModule(LightningDataModule):
    """Augmented training batches and letterboxed validation batches (``types.Batch``, uint8 images).

    Every sample is a function of (seed, epoch, index), whatever the number of workers and ranks, and of whether the
    run was resumed; so is which images an epoch shows.

    Args:
        train: Where training images come from.
        val: Where validation images come from; all of them are shown, in order.
        more_val: Further data sets to validate on after that, by name; None leaves one out.
        image_size: (height, width) of the network input, multiples of 32.
        batch_size: Images per training batch and rank. A smaller set gives one batch of what there is.
        val_batch_size: Likewise for validation; None: as ``batch_size``.
        num_workers: Processes per loader; 0 loads in the main process.
        seed: Of order and augmentation, not negative.
        phases: When the light augmentation takes over.
        augment: Steps by name of the ``main`` (phases A, B) and ``light`` (phase C) augmentation; None skips a step.
        drop_last: Whether to leave out the last batch of an epoch if it is smaller; the published recipe keeps it.
        cache_gb: Memory for decoded training images, shared by the workers of a rank, GB; see ``ImageCache``.

    Raises:
        InputError: If an argument is out of range, or the skeletons of ``train`` and ``val`` differ.
    """

    def __init__(
        self,
        *,
        train: PoseSource,
        val: PoseSource,
        image_size: Sequence[int],
        batch_size: int,
        val_batch_size: int | None = None,
        num_workers: int,
        seed: int,
        phases: Phases,
        augment: Mapping[Literal["main", "light"], Augmentation],
        more_val: Mapping[str, PoseSource | None] | None = None,
        drop_last: bool = False,
        cache_gb: float = 0,
    ) -> None:
        super().__init__()
        self.image_size = check_image_size(image_size)
        for field, number, least in (
            ("batch_size", batch_size, 1),
            ("val_batch_size", 1 if val_batch_size is None else val_batch_size, 1),
            ("num_workers", num_workers, 0),
            ("seed", seed, 0),
            ("cache_gb", cache_gb, 0),
        ):
            if number < least:
                raise InputError(f"{field} must be at least {least}, got {number}")
        if set(augment) != {"main", "light"}:
            raise InputError(f"augment must have the entries main and light, got {sorted(augment)}")
        self.train_source, self.val_source = train, val
        self.more_val = {name: source for name, source in (more_val or {}).items() if source is not None}
        for source in (val, *self.more_val.values()):
            if train.skeleton != source.skeleton:
                raise InputError(
                    f"train ({train.name}) has the skeleton {train.skeleton.name!r}, val ({source.name}) "
                    f"{source.skeleton.name!r}; give both the same"
                )
        self.batch_size, self.val_batch_size = batch_size, val_batch_size or batch_size
        self.num_workers, self.seed, self.drop_last = num_workers, seed, drop_last
        self.phases, self.augment = phases, augment
        self.cache_gb = cache_gb
        self._cache: ImageCache | None = None
        self.max_epochs = 1  # until a Trainer says otherwise
        self._start = {"epoch": 0, "batches": 0}  # where the run began or goes on

    def setup(self, stage: str) -> None:
        """Learns the length of the run, of which the phases are fractions.

        Raises:
            InputError: If the Trainer has no ``max_epochs``.
        """
        if stage == "fit" and self.trainer is not None:
            if not self.trainer.max_epochs or self.trainer.max_epochs < 0:
                raise InputError("trainer.max_epochs must be given: the training phases are fractions of it")
            self.max_epochs = self.trainer.max_epochs

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of this rank's share of the epoch that the sampler's ``set_epoch`` was told."""
        if self.cache_gb and self._cache is None:  # lives on when Lightning asks for another loader
            self._cache = ImageCache(num_images=len(self.train_source), max_bytes=int(self.cache_gb * 1e9))
        dataset = TrainDataset(
            source=self.train_source,
            image_size=self.image_size,
            augment=self.augment,
            phases=self.phases,
            max_epochs=self.max_epochs,
            seed=self.seed,
            cache=self._cache,
        )
        rank, world_size = self._rank()
        epoch = 0 if self.trainer is None else self.trainer.fit_loop.epoch_progress.current.processed
        epoch = max(epoch, self._start["epoch"])  # Lightning may ask for a loader before it knows where it goes on
        sampler = EpochSampler(dataset, seed=self.seed, rank=rank, world_size=world_size, epoch=epoch)
        sampler.start_at(self._start["epoch"], self._start["batches"] * self.batch_size)
        self._reload_in_phase_c(dataset, 0 if self.trainer is None else self.trainer.current_epoch)
        if len(sampler) < self.batch_size:
            log.warning(
                "%s: only %d training images per rank, fewer than batch_size %d: every batch has %d",
                *(self.train_source.name, len(sampler), self.batch_size, len(sampler)),
            )
        drop_last = self.drop_last and len(sampler) >= self.batch_size
        return DataLoader(dataset, sampler=sampler, drop_last=drop_last, **self._options(self.batch_size))

    def state_dict(self) -> dict[str, int]:
        """The place in the epoch, for checkpoints; as its order is known, a number of batches."""
        if self.trainer is None:
            return {}
        epochs, batches = self.trainer.fit_loop.epoch_progress.current, self.trainer.fit_loop.epoch_loop.batch_progress
        is_between = epochs.processed > epochs.completed  # an epoch is over, and the next one has not begun
        place = {"epoch": epochs.processed, "batches": 0 if is_between else batches.current.processed}
        return {**place, "batch_size": self.batch_size, "world_size": self.trainer.world_size}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Has the next loader go on at the place of a checkpoint, without loading what comes before.

        Raises:
            InputError: If that is within an epoch, whose batches had another size.
        """
        for name, size in (("batch_size", self.batch_size), ("world_size", self._rank()[1])):
            if state_dict["batches"] and state_dict[name] != size:
                raise InputError(
                    f"ckpt_path: was written within an epoch, with {name} {state_dict[name]}, and now it is {size}; "
                    "give that one until the epoch is over"
                )
        self._start = state_dict

    def _reload_in_phase_c(self, dataset: TrainDataset, epoch: int) -> None:
        """Has Lightning ask for another loader when phase C begins, if its epochs have another number of images.

        Lightning counts the batches of a loader once, and would not validate at the end of a shorter epoch.
        """
        first = self.phases.light_epoch(self.max_epochs)
        if self.trainer is None or not epoch < first < self.max_epochs:
            return
        if len(dataset.epoch_indices(first)) != len(dataset.epoch_indices(epoch)):
            self.trainer.reload_dataloaders_every_n_epochs = first - epoch  # type: ignore[attr-defined]

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """All images of ``val`` and of each of ``more_val``."""
        return [self._val_loader(source) for source in (self.val_source, *self.more_val.values())]

    def _val_loader(self, source: PoseSource) -> DataLoader[Any]:
        """All images of a source; several ranks share them, repeating a few if they do not divide evenly."""
        dataset = ValDataset(source=source, image_size=self.image_size)
        rank, world_size = self._rank()
        options: dict[str, Any] = {}
        if world_size > 1:
            options["sampler"] = DistributedSampler(dataset, num_replicas=world_size, rank=rank, shuffle=False)
        # workers of further sets would wait in vain most of the time
        return DataLoader(dataset, **self._options(self.val_batch_size, source is self.val_source), **options)

    def _rank(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _options(self, batch_size: int, keeps_workers: bool = True) -> dict[str, Any]:
        """What all loaders have in common."""
        reloads = getattr(self.trainer, "reload_dataloaders_every_n_epochs", 0) > 0
        return {
            "batch_size": batch_size,
            "num_workers": self.num_workers,
            "collate_fn": collate,
            "pin_memory": torch.cuda.is_available(),
            # Replacing a loader whose workers persist is unsafe with pinned memory (pytorch issue 91252).
            "persistent_workers": keeps_workers and self.num_workers > 0 and not reloads,
            "worker_init_fn": prepare_worker,
            # A generator of its own: the number of workers must not change what others draw from the global one.
            "generator": torch.Generator().manual_seed(self.seed),
        }
