"""From a plain description, ``_target_`` and its keyword arguments, to objects; and the checks that come before.

Written out instead of ``hydra.utils.instantiate`` because that turns dataclasses such as ``KeypointSet`` into configs,
wraps every error, and builds whatever a config names: configs travel inside checkpoints, so here a target has to
derive from a class of the allow-list.
"""

import difflib
import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet

# Whatever derives from one of these may be built. Compared by name, so that this module imports none of them. A package
# prefix would be no boundary: torch.hub.load, and of ours the class that starts the processes of a benchmark.
ALLOWED_BASES = frozenset(
    {
        "albumentations.core.composition.BaseCompose",
        "albumentations.core.transforms_interface.BasicTransform",
        "lightning.fabric.plugins.environments.cluster_environment.ClusterEnvironment",
        "lightning.pytorch.callbacks.callback.Callback",
        "lightning.pytorch.core.datamodule.LightningDataModule",
        "lightning.pytorch.loggers.logger.Logger",
        "lightning.pytorch.plugins.precision.precision.Precision",
        "lightning.pytorch.profilers.profiler.Profiler",
        "lightning.pytorch.strategies.strategy.Strategy",
        "lightning.pytorch.trainer.trainer.Trainer",
        "rtmo.data.source.PoseSource",
        "rtmo.data.transforms.Transform",
        "rtmo.losses.keypoints.CoordinateLoss",
        "rtmo.phases.Phases",
        "rtmo.training.multiscale.MultiScale",
        "torch.nn.modules.module.Module",
        "torch.optim.lr_scheduler.LRScheduler",
        "torch.optim.optimizer.Optimizer",
        "torch.utils.data.dataset.Dataset",
        "torchmetrics.metric.Metric",
    }
)
ALLOWED_FUNCTIONS = frozenset({"rtmo.skeletons.keypoint_set"})
# Libraries have classes that fetch, load or start what their arguments say. Of a config out of a file commands build
# these sections, and in them only what is of these packages.
BUILT_FROM_FILES = frozenset({"model", "data", "criterion", "module", "optimizer", "schedule", "metric"})
FROM_FILES = ("rtmo.", "torch.optim.")
LIBRARIES = frozenset(base.partition(".")[0] for base in ALLOWED_BASES)
TRUST = "RTMO_TRUSTED_PACKAGES"  # of the environment: names with commas
PARTIAL_BASES = frozenset({"torch.optim.lr_scheduler.LRScheduler", "torch.optim.optimizer.Optimizer"})
# Numbers that a config may leave AUTO, for rtmo.training to fill in before anything is built of them.
AUTO: Final = "auto"
AUTOMATIC = frozenset(
    {
        *("data.batch_size", "trainer.max_epochs", "trainer.check_val_every_n_epoch", "schedule.segments.0.until"),
        *("callbacks.ema.momentum", "callbacks.ema.ramp", "callbacks.last.every_n_epochs"),
        "callbacks.norm_momentum.momentum",
        *(f"{part}augment.{kind}.affine.prob" for part in ("", "data.") for kind in ("main", "light")),
    }
)
DIRECTIVES = ("_target_", "_partial_", "_convert_")  # _convert_: all is what happens anyway


def build(node: Any, key: str = "", skeleton: KeypointSet | None = None, **given: Any) -> Any:
    """Builds what a plain container describes, from the inside out.

    A mapping without ``_target_`` stays one, with its members built; lists become tuples; null stays None.

    Args:
        node: Dicts, lists and values, interpolations resolved.
        key: Where the node stands in the config, for messages.
        skeleton: Fills ``skeleton``, ``num_keypoints`` and ``oks_sigmas`` of every target that asks for them and
            whose config is silent, so that K is never written twice.
        given: Further arguments of the node's own target; the config may not set them.

    Raises:
        InputError: If a target is not allowed, its arguments do not fit, or its constructor refuses their values.
    """
    if isinstance(node, Mapping) and "_target_" in node:
        arguments = {
            name: build(value, _join(key, name), skeleton) for name, value in node.items() if name not in DIRECTIVES
        }
        return _call(node, arguments, key, skeleton, given)
    if isinstance(node, Mapping):
        return {name: build(value, _join(key, name), skeleton) for name, value in node.items()}
    if isinstance(node, list | tuple):
        return tuple(build(value, _join(key, str(index)), skeleton) for index, value in enumerate(node))
    return node


def check_targets(node: Any, key: str = "") -> None:
    """Checks every target below a node, before anything is built.

    Raises:
        InputError: If one is unknown or not allowed, or has an argument that its signature does not.
    """
    for target_key, described in _described(node, key):
        target = locate(described["_target_"], target_key)
        for name, value in described.items():
            if name.startswith("_"):
                _check_directive(target, described, name, target_key)
            else:
                _check_argument(target, name, value, target_key)


def refuse_foreign_packages(config: Mapping[str, Any], where: str) -> None:
    """Checks that a config out of a file names no package whose import, or use, would be the file's idea.

    Importing runs code, and ``python -m`` looks beside the file first. What a command builds of a file is of
    ``FROM_FILES``; elsewhere in its config the libraries of the allow-list may be named too. Modules of others that
    are imported already are trusted, as are the packages in ``$RTMO_TRUSTED_PACKAGES``.

    Args:
        config: By section.
        where: What messages start with.

    Raises:
        InputError: If a target is of another package.
    """
    trusted = {*filter(None, os.environ.get(TRUST, "").split(","))}
    for key, described in _described(config, ""):
        path = str(described["_target_"])
        package, module = path.partition(".")[0], path.rpartition(".")[0]
        is_unbuilt = key.partition(".")[0] not in BUILT_FROM_FILES
        is_known = is_unbuilt if package in LIBRARIES else module in sys.modules
        if not (path.startswith(FROM_FILES) or package in trusted or is_known):
            raise InputError(
                f"{where}: {key} asks for {path!r}, and a file does not decide what is imported; if you trust that "
                f"package with it, set {TRUST}={package}"
            )


def locate(path: object, key: str = "") -> Callable[..., Any]:
    """The class or function of a dotted path, if the allow-list has it.

    Raises:
        InputError: If it does not exist or is not allowed.
    """
    where = _join(key, "_target_")
    if not isinstance(path, str):
        raise InputError(f"{where}: must be a class's module and name, got {path!r}")
    module_name, _, name = path.rpartition(".")
    if "__" in path:  # python -m runs __main__ of a package, and so does an import of it
        raise InputError(f"{where}: {path!r} may not be built from a config")
    try:
        target = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"{where}: cannot import {path!r} ({error}); give module and name in full") from error
    is_own = not path.startswith("rtmo.") or str(getattr(target, "__module__", "")).startswith("rtmo.")
    if path in ALLOWED_FUNCTIONS or (is_own and _base_names(target) & ALLOWED_BASES):
        return target
    raise InputError(
        f"{where}: {path!r} may not be built from a config; allowed are classes that derive from one of "
        f"{', '.join(sorted(ALLOWED_BASES))}"
    )


def did_you_mean(name: str, known: Collection[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, else all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"


def _base_names(target: Any) -> set[str]:
    """Defining module and name of a class and of everything it derives from; nothing for what is no class."""
    bases = inspect.getmro(target) if inspect.isclass(target) else ()
    return {f"{base.__module__}.{base.__qualname__}" for base in bases}


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _described(node: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield key, node
        for name, value in node.items():
            yield from _described(value, _join(key, name))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _described(value, _join(key, str(index)))


def _check_directive(target: Callable[..., Any], node: Mapping[str, Any], name: str, key: str) -> None:
    if name not in DIRECTIVES:
        raise InputError(f"{_join(key, name)}: unknown; {did_you_mean(name, DIRECTIVES)}")
    if name == "_partial_" and node[name] and not _base_names(target) & PARTIAL_BASES:
        raise InputError(f"{_join(key, name)}: only an optimizer or a schedule may be partial")
    if name == "_convert_" and node[name] != "all":
        raise InputError(f"{_join(key, name)}: constructors get plain containers here; write all or leave it out")


def _check_argument(target: Callable[..., Any], name: str, value: Any, key: str) -> None:
    parameters = inspect.signature(target).parameters
    if name not in parameters:
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            return
        raise InputError(
            f"{_join(key, name)}: {target.__qualname__} has no such argument; {did_you_mean(name, list(parameters))}"
        )
    default = parameters[name].default
    if value == AUTO and _join(key, name) in AUTOMATIC:
        return
    if isinstance(default, int | float) and not isinstance(default, bool) and isinstance(value, str):
        raise InputError(f"{_join(key, name)}: expected a number such as {default}, got {value!r}")


def _call(
    node: Mapping[str, Any], arguments: dict[str, Any], key: str, skeleton: KeypointSet | None, given: dict[str, Any]
) -> Any:
    target = locate(node["_target_"], key)
    signature = inspect.signature(target)
    derived = _derived(skeleton, signature.parameters, arguments)
    for name in arguments.keys() & (derived.keys() | given.keys()):
        raise InputError(f"{_join(key, name)}: follows from the rest of the config and may not be set; remove it")
    arguments |= derived
    arguments |= given
    partial = bool(node.get("_partial_"))
    try:
        (signature.bind_partial if partial else signature.bind)(**arguments)
    except TypeError as error:
        raise InputError(f"{key or node['_target_']}: {target.__qualname__}: {error}") from error
    if partial:
        return functools.partial(target, **arguments)
    try:
        return target(**arguments)
    except (ValueError, OSError, ImportError) as error:  # constructors refuse values and missing files with these
        raise InputError(f"{key or node['_target_']}: {error}") from error


def _derived(
    skeleton: KeypointSet | None, parameters: Mapping[str, inspect.Parameter], arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """What the skeleton decides of a target's arguments; a data set may bring a skeleton of its own."""
    if skeleton is None:
        return {}
    values = {"num_keypoints": skeleton.num_keypoints, "oks_sigmas": skeleton.oks_sigmas}
    if "skeleton" not in arguments:
        values["skeleton"] = skeleton
    return {name: value for name, value in values.items() if name in parameters}
