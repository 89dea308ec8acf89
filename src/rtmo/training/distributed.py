"""Training on several devices: Lightning's strategy ``ddp`` with norms that all ranks share, and what cannot work."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, StrategyRegistry
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from rtmo.errors import InputError
from rtmo.training.ranks import RankLauncher

STRATEGIES = ("auto", "ddp")


class DDP(DDPStrategy):
    """Lightning's strategy ``ddp``, which this replaces under that name.

    Statistics of batch norms are averaged over ranks with every optimizer step, so that all ranks validate the same
    network. The published recipe averages them before it validates, which comes to the same; torch alone would take
    those of rank 0. ``trainer.sync_batchnorm`` shares them in the forward pass.

    Args:
        timeout_minutes: How long a rank waits for one that is alive but silent. Dead ones are noticed at once.
    """

    def __init__(self, *, timeout_minutes: float = 30.0) -> None:
        super().__init__(timeout=timedelta(minutes=timeout_minutes), forward_sync_buffers=False)

    def _configure_launcher(self) -> None:
        if self.cluster_environment is None:
            raise ValueError("the Trainer has not set up this strategy")
        self._launcher: RankLauncher = RankLauncher(self.cluster_environment, self.num_processes, self.num_nodes)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> Any:
        output = super().optimizer_step(*args, **kwargs)
        if self.lightning_module is not None:
            average_norms(self.lightning_module)
        return output


StrategyRegistry.register("ddp", DDP, description="Lightning's ddp; see rtmo.training.distributed.DDP", override=True)


def average_norms(module: nn.Module) -> None:
    """Gives every rank the mean of all ranks' running statistics, of norms that are being trained."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.training]
    found = [(norm.running_mean, norm.running_var) for norm in norms if not isinstance(norm, nn.SyncBatchNorm)]
    statistics = [tensor for pair in found for tensor in pair if tensor is not None]
    if not statistics:
        return
    means = torch.cat(statistics)
    torch.distributed.all_reduce(means)
    means /= torch.distributed.get_world_size()
    torch._foreach_copy_(statistics, means.split([len(tensor) for tensor in statistics]))


def check_strategy(strategy: Any) -> None:
    """Refuses a strategy that is known not to work, before Lightning asks for what it needs.

    Raises:
        InputError: If so. Says why.
    """
    if isinstance(strategy, Mapping) or strategy in STRATEGIES:
        return
    raise InputError(
        f"trainer.strategy={strategy}: choose auto or ddp. Those that split the network over ranks, as fsdp and "
        "deepspeed do, leave no rank all of it, which the average of the weights (callbacks.ema) and checkpoints need; "
        "those that fork or spawn take the run's results along when they end"
    )


def check_trainer(trainer: Trainer, sync_batchnorm: bool) -> None:
    """Refuses what only a finished Trainer tells of.

    Raises:
        InputError: If its strategy is no ``DDP``, or norms are to be synchronised where torch cannot.
    """
    strategy = trainer.strategy
    if not isinstance(strategy, DDP | SingleDeviceStrategy):
        check_strategy(type(strategy).__name__)
    if sync_batchnorm and strategy.root_device.type == "cpu":
        raise InputError(
            "trainer.sync_batchnorm: torch synchronises norms on GPUs only; say false, with which ranks average their "
            "statistics"
        )
