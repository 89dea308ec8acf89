import logging
from contextlib import nullcontext
from dataclasses import asdict

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from sources import SIZE, SPOT, NoiseSource, published

from rtmo.data.datamodule import PoseDataModule
from rtmo.errors import InputError
from rtmo.phases import Phases
from rtmo.training.callbacks.run_position import RunPosition

# Two cores and fewer are no mistake here; and Lightning 2.6 meets a deprecation of torch 2.13.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"),
]


def module(**options):
    given = {
        "train": NoiseSource(7),
        "val": NoiseSource(5),
        "image_size": SIZE,
        "batch_size": 3,
        "num_workers": 0,
        "seed": 0,
        "phases": Phases(refine_start=0.25, light_start=0.5),
        "augment": published(),
    }
    return PoseDataModule(**{**given, **options})


def content(batch):
    """Everything of a batch in a form that compares."""
    records = {**asdict(batch), **asdict(batch.targets)}
    del records["targets"]
    return {name: value.numpy().tobytes() if torch.is_tensor(value) else value for name, value in records.items()}


class Witness(LightningModule):
    """Learns nothing and keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.shown, self.validated = [], []

    def training_step(self, batch, batch_idx):
        self.shown.append((self.current_epoch, content(batch)))
        return self.weight.sum()

    def validation_step(self, batch, batch_idx):
        self.validated.extend(batch.image_ids)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(data, folder, epochs=4, witness=None, callbacks=(), **options):
    witness = witness or Witness()
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=list(callbacks),
    )
    trainer.fit(witness, data, **options)
    return witness


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return fit(module(), tmp_path_factory.mktemp("run"))


def test_epochs_and_phases_reach_the_samples(uninterrupted):
    assert [epoch for epoch, _ in uninterrupted.shown] == sorted(3 * list(range(4)))
    with_mask = {epoch for epoch, batch in uninterrupted.shown if batch["ignore_mask"] is not None}
    assert with_mask == {2, 3}
    for epoch in range(4):
        seen = [image for at, batch in uninterrupted.shown if at == epoch for image in batch["image_ids"]]
        assert sorted(seen) == list(range(100, 107))
    assert uninterrupted.validated == 4 * list(range(100, 105))


@pytest.mark.parametrize("num_workers", [1, 3])
def test_batches_do_not_depend_on_the_number_of_workers(uninterrupted, tmp_path, num_workers):
    state = torch.random.get_rng_state()
    assert fit(module(num_workers=num_workers), tmp_path).shown == uninterrupted.shown
    assert torch.equal(state, torch.random.get_rng_state())  # nor does what others draw


def test_a_resumed_run_sees_what_the_uninterrupted_one_did(uninterrupted, tmp_path):
    class Interrupted(Witness):
        def on_train_epoch_end(self):
            self.trainer.should_stop = self.current_epoch == 1

    first = fit(module(), tmp_path, witness=Interrupted())
    first.trainer.save_checkpoint(tmp_path / "last.ckpt")
    second = fit(module(), tmp_path, ckpt_path=tmp_path / "last.ckpt")
    assert [epoch for epoch, _ in second.shown] == [2, 2, 2, 3, 3, 3]
    assert first.shown + second.shown == uninterrupted.shown


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("batches", [1, 3])
def test_a_run_goes_on_within_an_epoch(uninterrupted, tmp_path, num_workers, batches):
    """Three batches are an epoch: after the third, the next one begins."""

    class Saving(Witness):
        def on_train_batch_start(self, batch, batch_idx):
            if len(self.shown) == batches:
                self.trainer.save_checkpoint(tmp_path / "last.ckpt")
                raise KeyError("stopped")

    first, second = Saving(), Witness()
    position = RunPosition()
    with pytest.raises(KeyError):
        fit(module(num_workers=num_workers), tmp_path, witness=first, callbacks=[position])
    with pytest.warns(UserWarning, match="dataloader is not resumable") if batches % 3 else nullcontext():
        fit(module(num_workers=num_workers), tmp_path, witness=second, ckpt_path=tmp_path / "last.ckpt")
    assert first.shown + second.shown == uninterrupted.shown
    assert first.validated + second.validated == uninterrupted.validated
    if batches % 3:
        with pytest.raises(
            InputError, match="ckpt_path: was written within an epoch, with batch_size 3, and now it is"
        ):
            fit(module(batch_size=2), tmp_path, ckpt_path=tmp_path / "last.ckpt")


def test_drop_last_and_small_sets(caplog):
    def sizes(**options):
        return [len(batch) for batch in module(**options).train_dataloader()]

    assert sizes() == [3, 3, 1]
    assert sizes(drop_last=True) == [3, 3]
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        assert sizes(batch_size=16, drop_last=True) == [7]
    assert "only 7 training images" in caplog.text


def test_validation_batches_have_a_size_of_their_own():
    assert [len(batch) for batch in module(val_batch_size=4).val_dataloader()[0]] == [4, 1]


def test_further_data_sets_are_validated_after_the_first():
    data = module(more_val={"four": NoiseSource(4), "left_out": None})
    assert [sum(len(batch) for batch in loader) for loader in data.val_dataloader()] == [5, 4]


@pytest.mark.parametrize(("options", "message"), [
    ({"image_size": (100, 64)}, "image_size"),
    ({"batch_size": 0}, "batch_size"),
    ({"val_batch_size": 0}, "val_batch_size"),
    ({"num_workers": -1}, "num_workers"),
    ({"seed": -1}, "seed"),
    ({"cache_gb": -1}, "cache_gb"),
    ({"augment": {"main": {}}}, "main and light"),
])  # fmt: skip
def test_what_cannot_be_used_is_named(options, message):
    with pytest.raises(InputError, match=message):
        module(**options)


def test_both_sources_need_one_skeleton():
    other = NoiseSource()
    other.skeleton = SPOT
    with pytest.raises(InputError, match=r"skeleton 'coco17'.*'spot'"):
        module(val=other)


def test_the_length_of_the_run_must_be_known(tmp_path):
    with pytest.raises(InputError, match="max_epochs"):
        fit(module(), tmp_path, epochs=-1)


def test_batches_reach_the_main_process_whole():
    batch = next(iter(module(num_workers=1).train_dataloader()))
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(batch.warps.shape, (3, 2, 3))
