"""Memory for time: activations that the backward pass computes again instead of finding them kept."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def checkpoint_stages(stages: Iterable[nn.Module]) -> None:
    """Has every stage keep its input only, in place: names of parameters stay as they are.

    Losses, gradients and statistics of norms are those without it. Stages that draw random numbers are not supported.
    """
    for stage in stages:
        stage.forward = partial(
            checkpoint,
            stage.forward,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=partial(_contexts, stage),
        )


def _contexts(stage: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Of the first pass, and of the second, in which norms must not count the batch again."""
    return nullcontext(), _unchanged(stage)


@contextmanager
def _unchanged(stage: nn.Module) -> Iterator[None]:
    buffers = list(stage.buffers())
    values = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers, values, strict=True):
                buffer.copy_(value)
