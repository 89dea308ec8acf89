import json
from unittest.mock import Mock

import pytest
import torch
from lightning import Trainer

from rtmo.training.callbacks.run_summary import RunSummary
from rtmo.training.memory import PeakMemory
from rtmo.training.module import PoseModule
from rtmo.training.step_times import StepTimes


@pytest.mark.parametrize("since", [{}, {"train/loss": 2.0}])
def test_the_validation_before_an_interruption_counts(tmp_path, since):
    """Even after two of them."""
    module = Mock(spec=PoseModule, step_times=StepTimes(), peak_memory=PeakMemory())
    earlier = Mock(spec=Trainer, callback_metrics={"train/loss": torch.tensor(3.0), "val/AP": torch.tensor(0.25)})
    checkpoint: dict = {}
    RunSummary().on_save_checkpoint(earlier, module, checkpoint)
    again = RunSummary()
    again.on_load_checkpoint(Mock(spec=Trainer), module, checkpoint)
    again.on_save_checkpoint(Mock(spec=Trainer, callback_metrics={}), module, checkpoint)
    last = RunSummary()
    last.on_load_checkpoint(Mock(spec=Trainer), module, checkpoint)
    metrics = {name: torch.tensor(value) for name, value in since.items()}
    trainer = Mock(spec=Trainer, callback_metrics=metrics, checkpoint_callback=None, default_root_dir=str(tmp_path))
    trainer.current_epoch, trainer.global_step = 3, 12
    last.on_fit_end(trainer, module)
    expected = {"train/loss": 3.0, "val/AP": 0.25, **since}
    assert json.loads((tmp_path / "summary.json").read_text())["metrics"] == expected
    assert {name: float(value) for name, value in trainer.callback_metrics.items()} == expected
