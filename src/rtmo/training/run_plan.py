"""What a recipe leaves ``auto``: the length of a run and what follows from it, by data size, batch and budget."""

import copy
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Timer

from rtmo.data.datamodule import PoseDataModule
from rtmo.data.source import PoseSource
from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet
from rtmo.targets import AUTO, AUTOMATIC, build
from rtmo.training.assembly import brief_trainer, build_module
from rtmo.training.batch_plan import AUTO_NOMINAL, plan_batch
from rtmo.types import Batch

FEWEST_STEPS = 2_000  # below, images are better spent on more steps of 16 than on larger ones
FIRST_IMAGES = 24_000  # images that any run sees if nobody says how long it may take: 1,500 steps of 16 ...
EPOCHS = 20  # ... and as many epochs more
FEW_EPOCHS = 10  # below, every image is new enough as it is
WARMUP = 0.03  # of the run
MOST_WARMUP = 500  # steps
AVERAGED = 0.1  # of the run, that the average of the weights spans
FEWEST_AVERAGED, MOST_AVERAGED = 20, 5000  # steps, the last as published
NORM_STEPS = 30  # a run has so many spans of a batch norm's statistics ...
LEAST_NORM_MOMENTUM, MOST_NORM_MOMENTUM = 0.03, 0.1  # ... within what is published and what torch takes
VALIDATIONS = 10
SAVES = 50
USED_TIME = 0.85  # of the time that a run may take, as it is an estimate

_BRIEF = {
    **{"max_epochs": 20, "max_steps": 20, "check_val_every_n_epoch": 20},
    **{"num_sanity_val_steps": 0, "limit_val_batches": 10, "accumulate_grad_batches": 1},
    **{"enable_progress_bar": False, "enable_checkpointing": False, "enable_model_summary": False},
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunPlan:
    """Values of a config's ``auto`` fields.

    Attributes:
        epochs: ``trainer.max_epochs``.
        steps: Optimizer steps that these are.
        batch_size: ``data.batch_size``, the one that was asked for or a smaller one.
        moves: Whether images are turned, shifted and scaled; ``prob`` of that step of the augmentation.
        warmup: Fraction of the run; ``until`` of the first segment of the schedule.
        average_steps: Steps that the average of the weights spans.
        norm_momentum: Of batch norms.
        validate_every: Epochs.
        save_every: Epochs.
        reasons: Of the number of epochs, and of the batch if it is smaller.
    """

    epochs: int
    steps: int
    batch_size: int
    moves: bool
    warmup: float
    average_steps: int
    norm_momentum: float
    validate_every: int
    save_every: int
    reasons: tuple[str, ...]

    def fields(self) -> dict[str, float | int]:
        """By dotted key of the config."""
        return {
            "trainer.max_epochs": self.epochs,
            "trainer.check_val_every_n_epoch": self.validate_every,
            "schedule.segments.0.until": self.warmup,
            "callbacks.ema.momentum": 1 / self.average_steps,
            "callbacks.ema.ramp": self.average_steps / 2,
            "callbacks.norm_momentum.momentum": self.norm_momentum,
            "callbacks.last.every_n_epochs": self.save_every,
            **{key: float(self.moves) for key in AUTOMATIC if key.endswith(".affine.prob")},
        }

    def __str__(self) -> str:
        return (
            f"{self.epochs} epochs ({'; '.join(self.reasons)}) = {self.steps} steps; "
            f"images {'' if self.moves else 'not '}turned and scaled; "
            f"warm-up {round(self.warmup * self.steps)}, average over {self.average_steps}, "
            f"norms over {round(1 / self.norm_momentum)}; "
            f"validated every {self.validate_every} epochs"
        )


def default_epochs(num_images: int) -> int:
    """Epochs of a run for which nobody named a budget: small sets are seen often, large ones ``EPOCHS`` times."""
    return EPOCHS + math.ceil(FIRST_IMAGES / num_images)


def plan_run(
    num_images: int,
    batch_size: int,
    *,
    devices: int = 1,
    nominal: int | Literal["auto"] | None = AUTO,
    epochs: int | None = None,
    max_steps: int = -1,
    max_images: float | None = None,
) -> RunPlan:
    """Plans a run.

    Args:
        num_images: Of the training set.
        batch_size: Images a device and forward pass; made smaller where a run would have few steps, unless these are
            given or the nominal batch is not ``auto``.
        devices: Over all nodes.
        nominal: See ``plan_batch``.
        epochs: As the user wants it; None: by the first that is given of ``max_steps`` and ``max_images``, else by
            ``default_epochs``.
        max_steps: Optimizer steps; -1: no limit.
        max_images: Those for which there is time.
    """
    reasons = ["as given"]
    if epochs is None:
        if max_steps > 0:
            steps_per_epoch = math.ceil(num_images / plan_batch(batch_size, devices, nominal).total)
            epochs, reasons = math.ceil(max_steps / steps_per_epoch), [f"trainer.max_steps={max_steps}"]
        elif max_images is not None:
            epochs, reasons = max(1, int(max_images / num_images)), ["what trainer.max_time allows"]
        else:
            epochs = default_epochs(num_images)
            reasons = [f"{EPOCHS}, and {FIRST_IMAGES:,} images more, with a set of {num_images:,}"]
    if nominal == AUTO and max_steps < 0:
        most = max(1, max(AUTO_NOMINAL, epochs * num_images // FEWEST_STEPS) // devices)
        if batch_size > most:
            reasons.append(f"data.batch_size={batch_size} would make few steps of them, {most} is taken")
            batch_size = most
    steps = epochs * math.ceil(num_images / plan_batch(batch_size, devices, nominal).total)
    if max_steps > 0:
        steps = min(steps, max_steps)
    return RunPlan(
        epochs=epochs,
        steps=steps,
        batch_size=batch_size,
        moves=epochs >= FEW_EPOCHS,
        warmup=min(WARMUP, MOST_WARMUP / steps),
        average_steps=min(max(round(AVERAGED * steps), FEWEST_AVERAGED), MOST_AVERAGED),
        norm_momentum=min(max(NORM_STEPS / steps, LEAST_NORM_MOMENTUM), MOST_NORM_MOMENTUM),
        validate_every=math.ceil(epochs / VALIDATIONS),
        save_every=math.ceil(epochs / SAVES),
        reasons=tuple(reasons),
    )


def planned_fields(
    cfg: Mapping[str, Any],
    train_source: PoseSource | None,
    skeleton: KeypointSet,
    earlier: Mapping[str, Any] | None,
    *,
    in_sweep: bool,
) -> tuple[dict[str, Any], RunPlan | None]:
    """What the ``auto`` fields of a config stand for, by dotted key; with the batch size, if the nominal batch is auto.

    Args:
        cfg: Resolved, ``data.batch_size`` known.
        train_source: Of this config.
        earlier: The config of the run that goes on, which keeps to its plan; None: a new one starts.

    Returns:
        The fields, and the plan if one was made.

    Raises:
        InputError: If it is not known how many images there are, or time is to be planned where it cannot be measured
            alike.
    """
    wanted = [key for key in sorted(AUTOMATIC) if _get(cfg, key) == AUTO]
    wanted += ["data.batch_size"] * (cfg["nominal_batch"] == AUTO)
    if earlier is not None:
        return {key: _get(earlier, key) for key in wanted}, None
    if not wanted:
        return {}, None
    if train_source is None:
        raise InputError(f"{wanted[0]}=auto: this data module names no images in data.train; give numbers")
    settings = cfg["trainer"]
    devices = brief_trainer(cfg, skeleton).world_size
    epochs = None if settings["max_epochs"] == AUTO else settings["max_epochs"]
    max_steps, max_time, max_images = settings.get("max_steps") or -1, settings["max_time"], None
    if epochs is None and max_steps < 0 and max_time is not None:
        if in_sweep or devices > 1:
            raise InputError(
                "trainer.max_time: goes with trainer.max_epochs=auto in one run on one device only, as its speed is "
                "measured; give trainer.max_epochs or trainer.max_steps"
            )
        seconds = cast(float, Timer(duration=max_time).time_remaining())
        max_images = images_in(USED_TIME * seconds, cfg, train_source, skeleton)
    plan = plan_run(
        len(train_source),
        cfg["data"]["batch_size"],
        devices=devices,
        nominal=cfg["nominal_batch"],
        epochs=epochs,
        max_steps=max_steps,
        max_images=max_images,
    )
    fields = {**plan.fields(), "data.batch_size": plan.batch_size}
    return {key: fields[key] for key in wanted}, plan


def with_fields(cfg: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a config, changed at dotted keys."""
    changed = copy.deepcopy(dict(cfg))
    for key, value in fields.items():
        *parents, name = key.split(".")
        _get(changed, ".".join(parents))[int(name) if name.isdigit() else name] = value
    return changed


def filled(cfg: Mapping[str, Any], plan: RunPlan) -> dict[str, Any]:
    """A copy of a config whose ``auto`` fields are those of a plan."""
    return with_fields(cfg, {key: value for key, value in plan.fields().items() if _get(cfg, key) == AUTO})


def build_data(cfg: Mapping[str, Any], train_source: PoseSource | None, skeleton: KeypointSet) -> PoseDataModule:
    """The data module around a source that is there already; None: it has no such argument."""
    if train_source is None:
        return build(cfg["data"], "data", skeleton)
    rest = {name: value for name, value in cfg["data"].items() if name != "train"}
    return build(rest, "data", skeleton, train=train_source)


def images_in(seconds: float, cfg: Mapping[str, Any], train_source: PoseSource, skeleton: KeypointSet) -> float:
    """Images that a run can train on in so many seconds, its validations included, as the first steps of one tell.

    Raises:
        InputError: If these take more than half of the time.
    """
    start = time.perf_counter()
    cfg = filled(cfg, plan_run(len(train_source), cfg["data"]["batch_size"]))
    datamodule = build_data(cfg, train_source, skeleton)
    average = build(cfg["callbacks"].get("ema"), "callbacks.ema")
    callbacks = [pace := _Pace(), *([] if average is None else [average])]
    trainer = brief_trainer(cfg, skeleton, callbacks, **_BRIEF)
    with torch.random.fork_rng():  # the run draws its first weights as it would without
        module = build_module(cfg, skeleton)
        trainer.fit(module, datamodule=datamodule)
        trained = time.perf_counter()
        trainer.validate(module, datamodule=datamodule, verbose=False)
    batches = math.ceil(len(datamodule.val_source) / datamodule.val_batch_size)
    shown = min(batches, _BRIEF["limit_val_batches"])
    validating = VALIDATIONS * batches / shown * (time.perf_counter() - trained)
    if validating > seconds / 2:
        raise InputError(
            f"trainer.max_time: of {seconds:.0f} s, {VALIDATIONS} validations would take {validating:.0f}; allow more, "
            "or give trainer.max_epochs and validate less often"
        )
    (first, _), *later = pace.ends[len(pace.ends) // 2 :]  # the steps before are slow
    images_per_second = sum(images for _, images in later) / (later[-1][0] - first)
    log.info("trainer.max_time: %.3g images a second; validations take %.0f s", images_per_second, validating)
    return max(0.0, seconds - validating - (time.perf_counter() - start)) * images_per_second


class _Pace(Callback):
    """Takes the times at which training batches end, and how many images each had."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, int]] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.ends.append((time.perf_counter(), len(batch)))


def _get(node: Any, key: str) -> Any:
    """The value at a dotted key; None if there is no such key."""
    for name in key.split(".") if key else ():
        if isinstance(node, list):
            node = node[int(name)]
        elif isinstance(node, Mapping):
            node = node.get(name)
    return node
