"""Steps whose loss or gradients are not finite are as if they had not been; too many of them end the run."""

import logging
from pathlib import Path

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch.utils.data import DataLoader

from rtmo.errors import RunError
from rtmo.training.big_batch import Accumulation
from rtmo.training.callbacks.ema import EMA
from rtmo.training.callbacks.non_finite import NonFinite
from rtmo.training.memory import PeakMemory
from rtmo.training.module import PoseModule
from rtmo.training.step_times import StepTimes
from rtmo.types import Batch, Targets

NAN = float("nan")


class Tiny(PoseModule):
    """A network with a batch norm; ``added`` to the loss by image id, which has no gradient."""

    def __init__(self, added: dict[int, float]) -> None:
        nn.Module.__init__(self)
        super(PoseModule, self).__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 3))
        self.added = added
        self.accumulation, self.step_times, self.peak_memory = Accumulation(), StepTimes(), PeakMemory()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.net(batch.images).float().square().mean() + self.added.get(batch.image_ids[0], 0.0)
        self.log("train/loss", loss, batch_size=len(batch))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.01)


def batch_of(image_id: int, poison: float = 0.0) -> Batch:
    """Two images with ids of their own."""
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(image_id)) + poison
    nobody = torch.zeros(2, 1, 17, dtype=torch.bool)
    boxes = torch.zeros(2, 1, 4)
    targets = Targets(boxes, torch.zeros(2, 1, 17, 2), nobody.byte(), nobody, boxes[..., 0], nobody[..., 0])
    return Batch(images, targets, None, [image_id, image_id + 1], torch.zeros(2, 2, 3), torch.zeros(2, 2).int())


def fit(
    folder: Path, batches: list[Batch], accumulate: int = 1, added: dict[int, float] | None = None, **options
) -> tuple[Trainer, Tiny, NonFinite]:
    callback = options.pop("callback", None) or NonFinite()
    average = [EMA()] if options.pop("averages", False) else []  # which takes the place of the weights in the end
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=1,
        callbacks=[callback, *average],
        accumulate_grad_batches=accumulate,
        gradient_clip_val=0.1,
        log_every_n_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    module = Tiny(added or {})
    trainer.fit(module, DataLoader(batches, batch_size=None))
    return trainer, module, callback


pytestmark = pytest.mark.filterwarnings(
    "ignore:The .*_dataloader. does not have many workers", "ignore:You defined a `validation_step`"
)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("cause", ["images", "loss"])
def test_a_skipped_step_leaves_no_trace(tmp_path, accumulate, cause):
    batches = [batch_of(number) for number in range(0, 12, 2)]
    sound = batches[:2] + batches[2 + accumulate :]
    if cause == "images":  # of which the statistics of the norm, too, would be NaN from then on
        batches[2] = batch_of(4, poison=NAN)
    trainer, module, callback = fit(tmp_path, batches, accumulate, {4: NAN} if cause == "loss" else {})
    _, expected, _ = fit(tmp_path, sound, accumulate)
    for (name, tensor), other in zip(module.net.named_parameters(), expected.net.parameters(), strict=True):
        assert torch.equal(tensor, other), name
    for name in ("running_mean", "running_var"):
        assert torch.equal(getattr(module.net[1], name), getattr(expected.net[1], name))
    assert callback.skipped == trainer.callback_metrics["train/skipped_steps"] == 1
    assert trainer.global_step == 6 / accumulate


def test_the_average_of_the_weights_stays_finite(tmp_path):
    _, module, _ = fit(tmp_path, [batch_of(0), batch_of(2, poison=NAN), batch_of(4)], averages=True)
    assert all(tensor.isfinite().all() for tensor in module.state_dict().values())


def test_what_the_step_saw_is_kept_and_told(tmp_path, caplog):
    batches = [batch_of(2), batch_of(4), batch_of(6, poison=float("inf")), batch_of(8)]
    with caplog.at_level(logging.WARNING, logger="rtmo"):
        fit(tmp_path, batches, accumulate=2)
    (file,) = tmp_path.glob("non_finite/*")
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith("step 1 is skipped: losses [nan, ")
    assert message.endswith(f"images 6, 7; saved to {file}")
    saved = torch.load(file, weights_only=True)
    assert (saved["step"], saved["epoch"], saved["image_ids"]) == (1, 0, [[6, 7], [8, 9]])
    assert saved["losses"].isfinite().tolist() == [False, True]
    assert [held["batch_idx"] for held in saved["batches"]] == [2, 3]
    torch.testing.assert_close(saved["batches"][1]["images"], batches[3].images)
    assert saved["batches"][0]["targets"]["keypoints"].shape == (2, 1, 17, 2)


@pytest.mark.parametrize(
    ("limits", "poor", "steps", "in_a_row"),
    [
        ({"max_in_a_row": 3}, [2, 3, 5, 6, 7, 8], 7, 3),
        ({"max_skipped": 3}, [0, 2, 4, 6], 4, 1),
    ],
)
def test_too_many_end_the_run(tmp_path, limits, poor, steps, in_a_row):
    batches = [batch_of(2 * number, poison=NAN if number in poor else 0.0) for number in range(9)]
    callback = NonFinite(max_files=2, **limits)
    with pytest.raises(RunError, match=rf"^step {steps}: {in_a_row} steps in a row .*lower optimizer\.lr"):
        fit(tmp_path, batches, callback=callback)
    assert len(list(tmp_path.glob("non_finite/*"))) == 2
    assert all(statistic.isfinite().all() for statistic in callback._statistics)


def test_no_checkpoint_of_a_network_that_may_have_diverged(tmp_path):
    trainer, _, callback = fit(tmp_path, [batch_of(0), batch_of(2, poison=NAN)])
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    saved = torch.load(tmp_path / "one.ckpt", weights_only=True)
    resumed = NonFinite()
    resumed.load_state_dict(saved["callbacks"][callback.state_key])
    assert resumed.skipped == 1
    with pytest.raises(RunError, match="5 steps in a row and 5 in all"):  # the one before the checkpoint included
        fit(tmp_path, [batch_of(2, poison=NAN)] * 4, callback=resumed)
    trainer, _, _ = fit(tmp_path, [batch_of(0), batch_of(2, poison=NAN), batch_of(4, poison=NAN)])
    with pytest.raises(RunError, match="2 steps in a row"):
        trainer.save_checkpoint(tmp_path / "two.ckpt")
    assert not (tmp_path / "two.ckpt").exists()


def test_the_search_of_a_gradient_scaler_does_not_count(tmp_path):
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**36)
    precision = MixedPrecision("16-mixed", "cpu", scaler=scaler)
    batches = [batch_of(2 * number) for number in range(40)]
    _, module, callback = fit(tmp_path, batches, plugins=[precision], callback=NonFinite(max_in_a_row=2))
    assert 1 < scaler.get_scale() < 2.0**34
    assert callback.skipped == 0
    assert not torch.equal(module.net[0].weight, Tiny({}).net[0].weight)
    with pytest.raises(RunError, match="2 steps in a row"):  # a loss that is not finite is no matter of scale
        fit(
            tmp_path,
            batches[:1] + [batch_of(2, poison=NAN)] * 2,
            plugins=[MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=64.0))],
            callback=NonFinite(max_in_a_row=2),
        )


class Dealt(Tiny):
    """Every rank has every second batch."""

    def train_dataloader(self) -> DataLoader:
        return DataLoader([batch_of(2 * number) for number in range(6)][self.trainer.global_rank :: 2], batch_size=None)


@pytest.mark.slow
def test_all_ranks_skip_a_step_or_none(tmp_path):
    """The loss of one batch of the second rank is infinite, all gradients are finite."""
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        devices=2,
        strategy="ddp_spawn",
        max_epochs=1,
        callbacks=[NonFinite()],
        log_every_n_steps=1,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Dealt({6: float("inf")}))
    assert trainer.callback_metrics["train/skipped_steps"] == 1
    files = {file.name: torch.load(file, weights_only=True) for file in tmp_path.glob("non_finite/*")}
    assert {name: saved["image_ids"] for name, saved in files.items()} == {
        "step_1_rank_0.pt": [[4, 5]],
        "step_1_rank_1.pt": [[6, 7]],
    }
