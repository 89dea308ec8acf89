import io
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from lightning import Trainer
from rich.console import Console

from rtmo.training.callbacks import progress
from rtmo.training.callbacks.progress import RunProgress
from rtmo.training.module import PoseModule
from rtmo.types import Batch


@pytest.mark.parametrize(("is_terminal", "batches_between"), [(True, 5), (False, 100)])
def test_metrics_are_waited_for_only_as_often_as_people_look(monkeypatch, is_terminal, batches_between):
    """A batch takes .1 s: twice a second on a terminal, every 10 s elsewhere."""
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    shown = RunProgress(line_seconds=10.0)
    shown.console = Console(file=io.StringIO(), force_terminal=is_terminal)
    module = Mock(spec=PoseModule, phases=Mock(), step_times=Mock(images_per_second=9.0))
    trainer = Mock(spec=Trainer, num_training_batches=400, max_epochs=1, current_epoch=0)
    asked = []
    monkeypatch.setattr(shown, "get_metrics", lambda *_: asked.append(batch) or {"loss": 0.5})
    shown.on_train_start(trainer, module)
    for batch in range(400):
        now[0] += 0.1001
        shown.on_train_batch_end(trainer, module, None, Mock(spec=Batch), batch)
    shown.on_train_end(trainer, module)
    assert asked == list(range(batches_between - 1, 400, batches_between))
    assert "loss 0.5" in shown.console.file.getvalue()
