"""Runs of a module with one weight: they stop where they are asked to, and go on as if nobody had."""

import csv
import random
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from sources import SIZE, NoiseSource, published

from rtmo.data.datamodule import PoseDataModule
from rtmo.errors import EXIT_INTERRUPTED, InputError
from rtmo.phases import Phases
from rtmo.training.callbacks.ema import EMA
from rtmo.training.callbacks.last_checkpoint import LastCheckpoint
from rtmo.training.callbacks.run_position import ROWS, RunPosition, random_states, set_random_states
from rtmo.training.callbacks.stop_requests import RunStopped, StopRequests
from rtmo.training.checkpoint_io import SafeCheckpointIO
from rtmo.training.earlier_run import keep_rows

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
    pytest.mark.filterwarnings("ignore:.*your dataloader is not resumable"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"),
]


class OneWeight(LightningModule):
    """Its loss depends on images, order, place in the epoch, and generators but Python's: type checks draw from it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.validations = 0

    def training_step(self, batch, batch_idx):
        noise = torch.rand(()) + np.random.rand()  # noqa: NPY002
        loss = (self.weight - batch.images.float().mean() / 256 - noise - batch_idx / 10).square().mean()
        self.log("train/loss", loss)
        return loss

    def on_validation_epoch_start(self):
        self.validations += 1

    def validation_step(self, batch, batch_idx):
        return None

    def on_validation_epoch_end(self):
        self.log("val/AP", self.weight.sin())

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.95)
        int(self.trainer.estimated_stepping_batches)  # as schedules do: it makes the loader before all is restored
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Seeds(Callback):
    """Starts the generators alike, whatever was drawn while things were built."""

    def on_train_start(self, *_):
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)


class Asking(Callback):
    """Asks the run to stop in its n-th optimizer step, or in the validation after it."""

    def __init__(self, step: int, validation: bool) -> None:
        self.step, self.validation = step, validation

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if not self.validation and trainer.global_step == self.step - 1:
            ask(trainer)

    def on_validation_batch_start(self, trainer, *_):
        if self.validation and not trainer.sanity_checking and trainer.global_step >= self.step:
            ask(trainer)


def ask(trainer: Trainer, number: int = signal.SIGTERM) -> None:
    next(callback for callback in trainer.callbacks if isinstance(callback, StopRequests))._request(number, None)


def run(
    folder: Path,
    *callbacks: Callback,
    last: dict | None = None,
    max_time: object = None,
    num_workers=0,
    val_images=2,
    **options,
):
    """Starts a run, or has it go on where its folder says; three batches an epoch, four epochs."""
    data = PoseDataModule(
        train=NoiseSource(7),
        val=NoiseSource(val_images),
        image_size=SIZE,
        batch_size=3,
        num_workers=num_workers,
        seed=0,
        phases=Phases(refine_start=0.25, light_start=0.5),
        augment=published(),
    )
    best = ModelCheckpoint(folder, "best", monitor="val/AP", mode="max", enable_version_counter=False)
    saving = [] if last is None else [LastCheckpoint(dirpath=str(folder), **last)]
    stops = StopRequests(max_time=max_time)
    logger = CSVLogger(folder, name="", version="", flush_logs_every_n_steps=100)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=4,
        callbacks=[Seeds(), *callbacks, EMA(momentum=0.2, ramp=3.0), RunPosition(), stops, best, *saving],
        logger=logger,
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **options,
    )
    trainer.strategy.checkpoint_io = SafeCheckpointIO()
    module, start = OneWeight(), folder / "last.ckpt"
    if start.is_file():
        content = torch.load(start, weights_only=True)
        keep_rows(logger, content["global_step"], content[ROWS])
    with stops.listening():
        trainer.fit(module, data, ckpt_path=start if start.is_file() else None, weights_only=True)
    return trainer


def outcome(folder: Path) -> tuple:
    """Everything that a run leaves: states, counters, and all rows of its metrics."""
    content = torch.load(folder / "last.ckpt", weights_only=True)
    del content["random"]["python"]
    names = ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers")
    states = [content[name] for name in (*names, "random", "loops", "PoseDataModule")]
    best = torch.load(folder / "best.ckpt", weights_only=True)["global_step"]
    return repr(states), best, (folder / "metrics.csv").read_text()


SETTINGS = {
    "plain": {},
    "validation now and then": {"check_val_every_n_epoch": 3},
    "validation within epochs": {"val_check_interval": 2},
    "accumulation": {"accumulate_grad_batches": 2},
    "accumulation and validation between": {"accumulate_grad_batches": 2, "val_check_interval": 1},
}
SLOW = ("validation now and then", "accumulation", "accumulation and validation between")


@pytest.mark.parametrize(
    "settings",
    [pytest.param(value, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, value in SETTINGS.items()],
)
def test_a_run_that_stops_at_every_step_ends_as_the_uninterrupted_one(tmp_path, settings):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    steps = run(whole, last={}, **settings).global_step
    for step in range(1, steps):
        with pytest.raises(RunStopped) as stop:
            run(parts, Asking(step, validation=False), last={}, **settings)
        assert (stop.value.code, stop.value.reason) == (EXIT_INTERRUPTED, "SIGTERM")
        assert stop.value.checkpoint == parts / "last.ckpt"
        assert torch.load(parts / "last.ckpt", weights_only=True)["global_step"] == step
    run(parts, last={}, **settings)
    assert outcome(parts) == outcome(whole)


def test_a_stop_in_validation_costs_no_step_and_the_validation_is_done_again(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(whole, last={})
    for step in (3, 6, 9):
        with pytest.raises(RunStopped):
            run(parts, Asking(step, validation=True), last={})
    assert run(parts, last={}).lightning_module.validations == 2  # of the third epoch, again, and of the fourth
    assert outcome(parts) == outcome(whole)


class Dying(Callback):
    """As if the process were killed in a step: nothing is saved, and the logger writes nothing more."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            trainer.loggers[0].experiment.metrics.clear()
            raise KeyError("killed")


@pytest.mark.parametrize("num_workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_loses_the_steps_since_its_last_checkpoint(tmp_path, num_workers):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    often = {"every_n_train_steps": 2}
    run(whole, last=often)
    for step in (2, 5, 8, 11):
        with pytest.raises(KeyError):
            run(parts, Dying(step), last=often, num_workers=num_workers)
    run(parts, last=often)
    assert outcome(parts) == outcome(whole)
    with (whole / "metrics.csv").open() as lines:
        assert sum(bool(row["train/loss"]) for row in csv.DictReader(lines)) == 12


class Terminating(Callback):
    """Sends its own process SIGTERM while the validation is tried out."""

    def on_validation_batch_start(self, *_):
        signal.raise_signal(signal.SIGTERM)


def test_a_request_before_the_first_step_ends_the_run_there(tmp_path):
    with pytest.raises(RunStopped) as stop:
        run(tmp_path, Terminating(), last={}, val_images=4)  # two batches, between which Lightning ends with code 0
    assert (stop.value.code, stop.value.reason, stop.value.checkpoint) == (EXIT_INTERRUPTED, "SIGTERM", None)


def test_a_time_limit_stops_after_a_step_and_counts_from_each_start(tmp_path):
    limit = {"milliseconds": 1}
    for _ in range(2):
        with pytest.raises(RunStopped) as stop:
            run(tmp_path, last={}, max_time=limit)
        assert (stop.value.code, stop.value.reason) == (EXIT_INTERRUPTED, "trainer.max_time")


def test_generators_go_on_where_they_were():
    states = random_states()
    drawn = random.random(), np.random.rand(), torch.rand(2).tolist()  # noqa: NPY002
    set_random_states(states)
    assert drawn == (random.random(), np.random.rand(), torch.rand(2).tolist())  # noqa: NPY002


def test_minutes_count_between_saves(tmp_path, monkeypatch):
    now = [0.0]

    class Clock(Callback):
        def on_train_batch_start(self, *_):
            now[0] += 50.0

    monkeypatch.setattr("rtmo.training.callbacks.last_checkpoint.time.monotonic", lambda: now[0])
    saved = []
    monkeypatch.setattr(LastCheckpoint, "save", lambda self, trainer: saved.append(trainer.global_step) or done(self))

    def done(last: LastCheckpoint) -> None:
        last.is_due, last._saved_at = False, now[0]

    run(tmp_path, Clock(), last={"every_minutes": 1.5}, check_val_every_n_epoch=4)
    assert saved == [2, 3, 5, 6, 8, 9, 11, 12, 12]  # epochs are of three steps; the last one is validated


def test_without_a_last_checkpoint_nothing_is_saved(tmp_path):
    with pytest.raises(RunStopped) as stop:
        run(tmp_path, Asking(2, validation=False))
    assert stop.value.checkpoint is None


def test_a_second_ctrl_c_stops_at_once():
    stops = StopRequests()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with stops.listening():
        assert signal.getsignal(signal.SIGTERM) == stops._request
        assert signal.getsignal(signal.SIGUSR1) == stops._request
        stops._request(signal.SIGINT, None)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize("option", ["every_n_train_steps", "every_minutes"])
def test_never_is_null(option):
    with pytest.raises(InputError, match=f"{option}: expected a number above 0, or null for never; got 0"):
        LastCheckpoint(dirpath="x", **{option: 0})
