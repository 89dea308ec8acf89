"""analysis.json: what stands behind the AP of the last validation."""

import json
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from rtmo.evaluation.analysis import analyse


class RunAnalysis(Callback):
    """Writes ``analysis.json`` into the run folder when training ends; see ``rtmo.evaluation.analysis``.

    It is about the first validation set. A run that did not validate has none.
    """

    def __init__(self) -> None:
        self._has_validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._has_validated |= not trainer.sanity_checking

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._has_validated:
            return
        metrics: Any = pl_module.metrics
        analysis = analyse(metrics["val"])  # on every rank, before they part
        if trainer.is_global_zero:
            (Path(trainer.default_root_dir) / "analysis.json").write_text(json.dumps(analysis, indent=2) + "\n")
