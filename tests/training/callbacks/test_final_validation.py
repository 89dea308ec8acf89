import pytest
from lightning import LightningModule, Trainer

from rtmo.phases import Phases
from rtmo.training.callbacks.final_validation import FinalValidation

MODULE = LightningModule()


def in_epoch(epoch: int, max_epochs: int, every: int) -> Trainer:
    trainer = Trainer(
        max_epochs=max_epochs,
        check_val_every_n_epoch=every,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.fit_loop.epoch_progress.current.completed = epoch
    return trainer


@pytest.mark.parametrize(("max_epochs", "every", "start"), [(600, 20, 579), (700, 50, 669)])
def test_every_epoch_of_phase_c_is_validated(max_epochs, every, start):
    callback = FinalValidation(phases=Phases(refine_start=0.4, light_start=start / max_epochs))
    trainer = in_epoch(0, max_epochs, every)
    validated = []
    for epoch in range(max_epochs):
        trainer.fit_loop.epoch_progress.current.completed = epoch
        callback.on_train_epoch_start(trainer, MODULE)
        if (epoch + 1) % trainer.check_val_every_n_epoch == 0:
            validated.append(epoch + 1)
    assert validated == [*range(every, start + 1, every), *range(start + 1, max_epochs + 1)]


def test_a_run_resumed_in_phase_c_validates_too():
    trainer = in_epoch(590, 600, 20)
    FinalValidation(phases=Phases()).on_train_epoch_start(trainer, MODULE)
    assert trainer.check_val_every_n_epoch == 1


def test_validation_by_steps_stays_so():
    trainer = in_epoch(590, 600, 20)
    trainer.check_val_every_n_epoch = None
    FinalValidation(phases=Phases()).on_train_epoch_start(trainer, MODULE)
    assert trainer.check_val_every_n_epoch is None
