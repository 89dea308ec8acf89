"""Checkpoints of a run whose folder was moved."""

from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint


class MovedCheckpoints(Callback):
    """Has a run that goes on in its folder know its checkpoints where they are now.

    ``ModelCheckpoint`` forgets the best score where its folder has another name than in the checkpoint, and writes the
    next one as the best. That is right for a run that goes on in a new folder, which has no best yet.
    """

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        folder = Path(str(trainer.ckpt_path)).resolve().parent
        for callback in trainer.checkpoint_callbacks:
            state = checkpoint["callbacks"].get(callback.state_key)
            if isinstance(callback, ModelCheckpoint) and state and str(callback.dirpath) == str(folder):
                checkpoint["callbacks"][callback.state_key] = _moved(state, folder)


def _moved(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a ``ModelCheckpoint`` remembers, its files being in that folder."""

    def now(path: str) -> str:
        return str(folder / Path(path).name) if path else path

    paths = {name: now(state[name]) for name in ("best_model_path", "kth_best_model_path", "last_model_path")}
    best = {now(path): score for path, score in state["best_k_models"].items()}
    return {**state, **paths, "best_k_models": best, "dirpath": str(folder)}
