"""Validation after every epoch towards the end, where the published weights were chosen."""

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from rtmo.phases import Phases


class FinalValidation(Callback):
    """Validates after every epoch of phase C, whatever ``check_val_every_n_epoch`` says of the others."""

    def __init__(self, *, phases: Phases) -> None:
        self.phases = phases

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Of a run that goes on within an epoch, Lightning does not start that epoch."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.check_val_every_n_epoch is None:
            return  # validation goes by steps
        if self.phases.at(trainer.current_epoch, trainer.max_epochs or 1) == "C":
            trainer.check_val_every_n_epoch = 1
