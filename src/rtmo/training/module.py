"""The LightningModule: network, losses, optimiser and validation of a run."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from rtmo.errors import InputError
from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.losses.criterion import Criterion
from rtmo.models.flip_test import flip_test
from rtmo.models.rtmo import RTMO
from rtmo.ops.affine import unwarp_poses
from rtmo.phases import Phase, Phases
from rtmo.training.activation_checkpointing import checkpoint_stages
from rtmo.training.big_batch import Accumulation, mean_over_ranks
from rtmo.training.memory import PeakMemory
from rtmo.training.multiscale import MultiScale, resize_batch
from rtmo.training.param_groups import make_param_groups
from rtmo.training.step_times import StepTimes
from rtmo.types import Batch, Poses

VARIANTS = ("fused", "foreach", "capturable", "differentiable")  # of torch's optimizers, of which some exclude others


class PoseModule(LightningModule):
    """Trains and validates an ``RTMO``.

    Args:
        model: The network.
        criterion: Its losses.
        optimizer: A torch optimiser lacking only its parameters, with ``lr`` and ``weight_decay`` given.
        schedule: A scheduler lacking the optimiser and the number of steps.
        metric: Makes the metric from the validation set's ground truth.
        phases: When the phases of training begin.
        lr_factors: Rates of parts of the network relative to ``lr``, by prefix of the parameter's name; None for a
            part that this network has not got.
        lr_scale: Multiplies every rate; see ``batch_plan``.
        multiscale: Draws the size of each training batch; None keeps the loader's.
        channels_last: Whether convolutions run in channels-last layout, faster on CPUs and tensor cores.
        compile: Whether backbone and neck are compiled, at their first batch and at its first change of size, which
            takes minutes. Names of weights stay as they are.
        checkpoint_activations: Whether the backbone's activations are computed again in the backward pass instead of
            kept, for larger batches; see ``activation_checkpointing``.
        score_thr: People scored below are not reported in validation.
        nms_thr: IoU over which the lower-scored box of two is dropped.
        flip_test: Whether validation averages with what is found in the mirrored images; see ``models.flip_test``.

    Raises:
        ValueError: If a phase of the criterion learns from a classifier that the network has not got, or activations
            are to be checkpointed in a compiled backbone.
    """

    def __init__(
        self,
        *,
        model: RTMO,
        criterion: Criterion,
        optimizer: Callable[..., Optimizer],
        schedule: Callable[..., LRScheduler],
        metric: Callable[..., CocoKeypointAP],
        phases: Phases,
        lr_factors: Mapping[str, float | None],
        lr_scale: float = 1.0,
        multiscale: MultiScale | None = None,
        channels_last: bool = True,
        compile: bool = False,
        checkpoint_activations: bool = False,
        score_thr: float = 0.1,
        nms_thr: float = 0.65,
        flip_test: bool = False,
    ) -> None:
        super().__init__()
        criterion.check_decoding(model.dcc)
        if compile and checkpoint_activations:
            raise ValueError("module.checkpoint_activations=true and module.compile=true do not go together; set one")
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.model = model.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        if compile:
            for part in (self.model.backbone, self.model.neck):
                part.compile()
        if checkpoint_activations:
            checkpoint_stages(self.model.backbone.stages)
        self.criterion = criterion
        self.make_optimizer = optimizer
        self.make_schedule = schedule
        self.make_metric = metric
        self.metrics: dict[str, CocoKeypointAP] = {}  # by the prefix of their figures, in the order of the loaders
        self.phases = phases
        self.lr_factors = {prefix: factor for prefix, factor in lr_factors.items() if factor is not None}
        self.lr_scale = lr_scale
        self.multiscale = multiscale
        self.score_thr = score_thr
        self.nms_thr = nms_thr
        self.flip_test = flip_test
        self.accumulation = Accumulation()
        self.step_times = StepTimes()
        self.peak_memory = PeakMemory()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW over the parameter groups, with its rate set before every step; fused kernels where there are any.

        The groups of the criterion come last; there are none unless a loss has parameters.

        Raises:
            InputError: If optimizer, schedule or groups refuse their values, which are complete only here.
        """
        try:
            return self._optimizer_and_schedule()
        except ValueError as error:
            raise InputError(f"optimizer, schedule or lr_factors: {error}") from error

    def _optimizer_and_schedule(self) -> OptimizerLRScheduler:
        settings = self.make_optimizer.keywords  # type: ignore[attr-defined]
        rates = {"lr": settings["lr"] * self.lr_scale, "weight_decay": settings["weight_decay"]}
        groups = [
            *make_param_groups(self.model, **rates, lr_factors=self.lr_factors),
            *make_param_groups(self.criterion, **rates, lr_factors={}, name="criterion"),
        ]
        has_fused = "fused" in inspect.signature(self.make_optimizer.func).parameters  # type: ignore[attr-defined]
        faster = {"fused": True} if has_fused and settings.keys().isdisjoint(VARIANTS) else {}
        optimizer = self.make_optimizer(groups, **faster)
        # fused kernels can undo the scale of float16's gradients, but so late that nobody could clip them
        optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
        schedule = self.make_schedule(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @property
    def phase(self) -> Phase:
        """Whose losses apply now."""
        return self.criterion.phase_in_force(self.phases.at(self.current_epoch, self.trainer.max_epochs or 1))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        phase = self.phase
        image_size = (batch.images.shape[-2], batch.images.shape[-1])
        if self.multiscale is not None:
            image_size = self.multiscale.size(self.current_epoch, batch_idx, image_size)
        batch = resize_batch(batch, image_size)
        outputs = self.model(batch.images.contiguous(memory_format=self.memory_format), with_proxy=True)
        losses = self.criterion(
            outputs, batch.targets, self.model.dcc, phase, batch.ignore_mask, self._generator(batch_idx)
        )
        shown = losses
        if self.logs_this_step():
            shown = mean_over_ranks(losses, self.trainer.strategy) if self.trainer.world_size > 1 else losses
            self.log("train/phase", float("ABC".index(phase)), batch_size=len(batch))
            self.log("train/positives_per_image", shown["num_positives"] / len(batch), batch_size=len(batch))
        for name, value in shown.items():
            if name != "normalizer":
                self.log(f"train/{name}", value, prog_bar=name in ("loss", "pose_oks"), batch_size=len(batch))
        if self.trainer.accumulate_grad_batches == 1:
            return losses["loss"]
        return self.accumulation.weigh(losses["loss"], losses["normalizer"])

    def _generator(self, batch_idx: int) -> torch.Generator:
        """Of what is random in the losses of a batch: by epoch, batch and rank alone, so that resuming is exact."""
        batch = self.current_epoch * int(self.trainer.num_training_batches) + batch_idx
        return torch.Generator().manual_seed(batch * self.trainer.world_size + self.trainer.global_rank)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Makes accumulated gradients those of a big batch; logs their L2 norm, which Lightning clips afterwards.

        A skipped step has none; see ``callbacks.non_finite``.
        """
        num_batches = self.trainer.accumulate_grad_batches
        if num_batches == 1 and not self.logs_this_step():
            return
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        self.accumulation.finish(gradients, divided_by=num_batches)
        if gradients and self.logs_this_step():
            self.log("train/grad_norm", get_total_norm(gradients))

    def on_fit_start(self) -> None:
        self.peak_memory.start()

    def on_train_start(self) -> None:
        self.step_times.resume()  # it may be within an epoch

    def on_train_epoch_start(self) -> None:
        self.step_times.resume()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self.step_times.batch_arrived()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Logs what the latest steps cost, on this rank; images are those of all ranks."""
        self.step_times.batch_ended(len(batch) * self.trainer.world_size)
        if self.logs_this_step():
            self.log("train/images_per_second", self.step_times.images_per_second, batch_size=len(batch))
            self.log("train/data_wait", self.step_times.data_wait, batch_size=len(batch))
            self.log("train/memory_mib", self.peak_memory.mib(), batch_size=len(batch))

    def on_validation_end(self) -> None:
        self.step_times.resume()  # it may come in the middle of an epoch

    def logs_this_step(self) -> bool:
        """Whether loggers get what is logged now: to compute it for every step would cost time.

        They do once a step, with the last of the batches whose gradients add up to it.
        """
        if self.trainer.fit_loop._should_accumulate():
            return False
        return self.trainer._logger_connector.should_update_logs or bool(self.trainer.fast_dev_run)  # type: ignore[attr-defined]

    def on_validation_epoch_start(self) -> None:
        """Makes the metrics when the ground truth is known, and empties them."""
        if not self.metrics:
            self.metrics |= metrics_of(self.trainer.datamodule, self.make_metric)  # type: ignore[attr-defined]
        for metric in self.metrics.values():
            metric.to(self.device)
            metric.reset()

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> list[Poses]:  # type: ignore[override]
        """Poses in px of the original images, which are also what the metric sees."""
        metric = list(self.metrics.values())[dataloader_idx]
        images = batch.images.float().contiguous(memory_format=self.memory_format)
        if self.flip_test:
            found = flip_test(self.model, images, metric.skeleton.flip_indices, self.score_thr, self.nms_thr)
        else:
            found = self.model.decode(self.model(images), self.score_thr, self.nms_thr)
        poses = [unwarp_poses(image_poses, warp) for image_poses, warp in zip(found, batch.warps, strict=True)]
        metric.update(batch.image_ids, poses)
        return poses

    def on_validation_epoch_end(self) -> None:
        scores = {
            f"{prefix}/{name}": value
            for prefix, metric in self.metrics.items()
            for name, value in metric.compute().items()
        }
        self.log_dict({name: value for name, value in scores.items() if name != "val/AP"})
        self.log("val/AP", scores["val/AP"], prog_bar=True)


def metrics_of(data: Any, make_metric: Callable[..., CocoKeypointAP]) -> dict[str, CocoKeypointAP]:
    """A metric for each data set to validate on, by the prefix of its figures, in the order of the loaders.

    Args:
        data: A ``PoseDataModule``, or what has ``val_source`` and ``more_val`` as it does.
        make_metric: Makes that of the first data set from its ground truth; further ones need not have what it asks for
            and are scored as COCO is.
    """
    metrics = {"val": make_metric(ground_truth=data.val_source.ground_truth())}
    for name, source in data.more_val.items():
        metrics[f"val/{name}"] = CocoKeypointAP(ground_truth=source.ground_truth(), skeleton=source.skeleton)
    return metrics
