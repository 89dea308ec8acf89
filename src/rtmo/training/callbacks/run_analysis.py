"""analysis.json: what stands behind the AP of the last validation."""

from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from rtmo.data.coco_json import write_json
from rtmo.evaluation.analysis import analyse


class RunAnalysis(Callback):
    """Writes ``analysis.json`` into the run folder after every validation; see ``rtmo.evaluation.analysis``.

    It is about the first validation set.
    """

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Not when training ends: a run that goes on after its last validation would have nothing to analyse."""
        if trainer.sanity_checking:
            return
        metrics: Any = pl_module.metrics
        analysis = analyse(metrics["val"])  # on every rank, before they part
        if trainer.is_global_zero:
            write_json(Path(trainer.default_root_dir) / "analysis.json", analysis, "paths.output_dir", indent=2)
