"""Optimiser parameter groups: which weights decay, and which parts learn at a rate of their own."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

NORM_LAYERS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


def make_param_groups(
    model: nn.Module, *, lr: float, weight_decay: float, lr_factors: Mapping[str, float], name: str = "base"
) -> list[dict[str, Any]]:
    """Parameters grouped by learning rate and weight decay, ready for a torch optimiser.

    Normalisation layers and parameters named exactly ``bias`` do not decay; other one-dimensional parameters do
    (the attention's ``in_proj_bias``, scales, learned positions), as in the published recipe.

    Args:
        lr: Of parameters that no prefix matches.
        weight_decay: Of parameters that decay.
        lr_factors: Multiplies ``lr`` for parameters whose name starts with the key; the longest match wins.
        name: What groups of parameters that no prefix matches are called in the logs.

    Raises:
        ValueError: If a prefix matches no parameter.
    """
    norm_parameters = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, NORM_LAYERS)
        for parameter in module.parameters(recurse=False)
    }
    prefixes = sorted(lr_factors, key=len, reverse=True)
    groups: dict[tuple[str, bool], dict[str, Any]] = {}
    for path, parameter in model.named_parameters():
        prefix = next((prefix for prefix in prefixes if path.startswith(prefix)), "")
        decays = id(parameter) not in norm_parameters and path.rpartition(".")[2] != "bias"
        group = groups.setdefault(
            (prefix, decays),
            {
                "name": f"{prefix or name}{'' if decays else '/no_decay'}",
                "params": [],
                "lr": lr * lr_factors.get(prefix, 1.0),
                "weight_decay": weight_decay if decays else 0.0,
            },
        )
        group["params"].append(parameter)
    for prefix in prefixes:
        if not any(prefix == matched for matched, _ in groups):
            raise ValueError(f"lr_factors names {prefix!r}, but no parameter's name starts with it")
    return list(groups.values())
