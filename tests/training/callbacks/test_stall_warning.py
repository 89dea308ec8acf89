from unittest.mock import Mock

import pytest
import torch
from lightning import Trainer

from rtmo.training.callbacks.stall_warning import StallWarning
from rtmo.training.module import PoseModule
from rtmo.types import Batch


def train(callback: StallWarning, rows: list[tuple[float, float]], every: int = 10) -> None:
    """So many logged steps with a highest bin and an OKS each, and unlogged ones between, whose figures are older."""
    module, batch = Mock(spec=PoseModule), Mock(spec=Batch)
    for index, (peak, oks) in enumerate(rows):
        metrics = {"train/heatmap_peak": torch.tensor(peak), "train/pose_oks": torch.tensor(oks)}
        for step in range(every):
            module.logs_this_step.return_value = step == 0
            trainer = Mock(
                spec=Trainer, callback_metrics=metrics, global_step=index * every + step, is_global_zero=True
            )
            callback.on_train_batch_end(trainer, module, None, batch, step)


def test_says_once_that_heatmaps_stay_sharp_and_wrong(caplog) -> None:
    train(StallWarning(), [(0.9, 0.1)] * 20)
    (message,) = caplog.messages
    assert message.startswith("step 50: the coordinate classifier has stalled")
    assert "highest bin 0.90" in message
    assert "OKS 0.10" in message


@pytest.mark.parametrize(
    "rows",
    [
        [(0.9, 0.1)] * 5,  # not long
        ([(0.9, 0.1)] * 5 + [(0.2, 0.1)]) * 4,  # not in a row
        [(0.02, 0.1)] * 20,  # flat: it has not begun
        [(0.9, 0.8)] * 20,  # right
    ],
)
def test_says_nothing_of_what_is_no_stall(rows, caplog) -> None:
    train(StallWarning(), rows)
    assert not caplog.messages


def test_a_network_without_a_classifier_has_none_to_stall(caplog) -> None:
    trainer = Mock(spec=Trainer, callback_metrics={"train/pose_oks": torch.tensor(0.0)})
    StallWarning().on_train_batch_end(trainer, Mock(spec=PoseModule), None, Mock(spec=Batch), 0)
    assert not caplog.messages


def test_shares_are_shares() -> None:
    with pytest.raises(ValueError, match=r"peak=1\.5"):
        StallWarning(peak=1.5)
