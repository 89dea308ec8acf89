"""Hydra's part of rtmo: where conf/ lies, how it is composed and checked, and how an entry point is made.

Nothing else reads a config; classes get typed keyword arguments from ``rtmo.targets.build``.
"""

import functools
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, cast

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rtmo import sweeps
from rtmo.commands import override
from rtmo.config_data import expand
from rtmo.config_errors import CONFIG_ERRORS, explain, unnamed_choice
from rtmo.errors import EXIT_INPUT_ERROR, InputError, RunError
from rtmo.targets import build, check_targets, did_you_mean

__all__ = ["build", "compose", "conf_dir", "main", "validate"]

FULL_ERROR = "HYDRA_FULL_ERROR"
TOLD = (*CONFIG_ERRORS, RunError)  # whose message says all


def conf_dir() -> Path:
    """The folder of YAML files: $RTMO_CONF_DIR, else that of the checkout, else the copy in the installed package.

    Raises:
        InputError: If $RTMO_CONF_DIR is no such folder.
    """
    if chosen := os.environ.get("RTMO_CONF_DIR"):
        folder = Path(chosen).resolve()
        if not (folder / "train.yaml").is_file():
            raise InputError(f"RTMO_CONF_DIR={chosen}: no train.yaml in that folder; copy conf/ there or unset it")
        return folder
    package = Path(__file__).resolve().parent
    checkout = package.parents[1]
    return checkout / "conf" if (checkout / "conf" / "train.yaml").is_file() else package / "conf"


def compose(config_name: str = "train", overrides: Sequence[str] = ()) -> DictConfig:
    """The config of an entry point with overrides as on the command line, for notebooks and tests.

    ``paths.output_dir`` is the run's folder and only exists in a run: set it if the config is to be resolved.

    Raises:
        InputError: If it does not compose.
    """
    try:
        inside_a_command = GlobalHydra.instance().is_initialized()  # which has the same conf/
        initialized = (
            nullcontext() if inside_a_command else hydra.initialize_config_dir(str(conf_dir()), version_base="1.3")
        )
        with initialized:
            return hydra.compose(config_name, list(overrides))
    except CONFIG_ERRORS as error:
        raise InputError(explain(error)) from error
    except ValueError as error:
        raise unnamed_choice(error, overrides, conf_dir()) or error from None


def validate(cfg: DictConfig, config_name: str, keys: Collection[str]) -> dict[str, Any]:
    """Writes out short forms, resolves a composed config and checks every key of it, before anything is built.

    Args:
        cfg: As composed.
        config_name: The entry point's own file, such as ``train``.
        keys: Its top-level keys, those that the program reads.

    Returns:
        Plain containers.

    Raises:
        InputError: If a key is unknown at any level, a value is missing or an interpolation points nowhere.
    """
    try:
        expand(cfg, conf_dir() / "source")
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise InputError(explain(error)) from error
    plain = cast(dict[str, Any], plain)
    for key in plain:
        if key not in keys:
            raise InputError(f"{key}: {config_name} has no such key; {did_you_mean(key, keys)}")
    for key in keys:
        if key not in plain:
            raise InputError(f"{key}: missing; no file of {conf_dir()} that this run uses sets it")
    check_targets(plain)
    for section, node in plain.items():
        if isinstance(node, dict) and "_target_" not in node and section != "skeleton":  # which checks its own fields
            _check_names(node, section, _declared(section, config_name))
    return plain


def main(
    config_name: str, keys: Collection[str], prepare: Callable[[DictConfig], None] | None = None
) -> Callable[[Callable[[dict[str, Any]], Any]], Callable[[], None]]:
    """Makes a function of the checked config an entry point: ``hydra.main`` with our exit codes.

    0: done. 2: input that cannot be used, with its message alone. 1: a run that failed, with its message alone, or a
    failure of ours, with its traceback. With HYDRA_FULL_ERROR=1 every error keeps its traceback. Jobs of a sweep do not
    end the others (rtmo.sweeps), unless they have no folder of their own to say why they failed.

    Args:
        config_name: The entry point's file in conf/.
        keys: Its top-level keys, those that the program reads.
        prepare: Fills in values before the config is resolved and checked.
    """

    def decorate(task: Callable[[dict[str, Any]], Any]) -> Callable[[], None]:
        @functools.wraps(task)  # Hydra names the job after the wrapped function's module
        def job(cfg: DictConfig) -> Any:
            if prepare is not None:
                prepare(cfg)
            return task(validate(cfg, config_name, keys))

        @functools.wraps(task)
        def entry() -> None:
            wants_tracebacks = os.environ.get(FULL_ERROR) == "1"
            try:
                _run(job, config_name)
            except TOLD as error:
                if wants_tracebacks:
                    raise
                print(f"error: {explain(error)}", file=sys.stderr)
                raise SystemExit(1 if isinstance(error, RunError) else EXIT_INPUT_ERROR) from None

        return entry

    return decorate


def command_of_this_job(module: str) -> list[str]:
    """The command for another process of the job that runs: its config, its folder, and no sweep around it.

    The other process logs to a file of its own, named after its ``LOCAL_RANK``.
    """
    run = HydraConfig.get()
    own = [text for text in run.overrides.hydra if not text.startswith("hydra.mode=")]
    return [
        *(sys.executable, "-m", module),
        *flags_of_this_job(module),
        *own,
        *run.overrides.task,
        "hydra.mode=RUN",
        override("hydra.run.dir", run.runtime.output_dir),
        f"hydra.job.name={run.job.name}_rank${{oc.env:LOCAL_RANK}}",
    ]


def flags_of_this_job(module: str) -> list[str]:
    """The flags that choose the config of the job that runs, where it is not the one of the entry point."""
    run = HydraConfig.get()
    name, usual = str(run.job.config_name), module.rpartition(".")[2]
    kinds = {"main": "--config-path", "command-line": "--config-dir"}
    folders = [(kinds.get(source.provider), source.path) for source in run.runtime.config_sources]
    chosen = [(flag, path) for flag, path in folders if flag is not None and Path(path) != conf_dir()]
    return [*(() if name == usual else ("--config-name", name)), *(word for pair in chosen for word in pair)]


def _run(job: Callable[[DictConfig], Any], config_name: str) -> None:
    """``hydra.main``, but every exception comes out: alone Hydra prints it and exits with 1, whatever went wrong."""
    users_choice = os.environ.get(FULL_ERROR)
    refused: list[Exception] = []
    sweeps.SweepStart.folder = None

    @functools.wraps(job)
    def guarded(cfg: DictConfig) -> Any:
        folder = Path(HydraConfig.get().runtime.output_dir)
        in_place = folder == Path.cwd()
        with _environment(FULL_ERROR, users_choice):  # also for processes that the job starts
            if HydraConfig.get().mode is RunMode.MULTIRUN and not in_place:
                return sweeps.run_job(job, cfg)
            try:
                return job(cfg)
            except TOLD as error:
                if not in_place:
                    with suppress(OSError):  # Hydra has made the run's folder; an empty one is of no use
                        folder.rmdir()
                refused.append(error)
                raise _Refused from None  # not an Exception, of which Hydra would speak

    with _environment(FULL_ERROR, "1"):
        try:
            hydra.main(config_path=str(conf_dir()), config_name=config_name, version_base="1.3")(guarded)()
        except _Refused:
            raise refused[0] from None
        except Exception as error:
            if isinstance(error, ValueError) and (refusal := unnamed_choice(error, sys.argv[1:], conf_dir())):
                raise refusal from None
            if not sweeps.all_failed():
                raise
    if code := sweeps.report():
        raise SystemExit(code)


class _Refused(BaseException):
    """Carries one of ``TOLD`` past Hydra."""


@contextmanager
def _environment(name: str, value: str | None) -> Iterator[None]:
    before = os.environ.get(name)
    _set_environment(name, value)
    try:
        yield
    finally:
        _set_environment(name, before)


def _set_environment(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _declared(section: str, config_name: str) -> set[str]:
    """Paths of all keys that conf/ declares for a section.

    They stand in the entry point's own file, in one that it builds upon, in the group of that name, or in the file of
    that name.
    """
    folder = conf_dir()
    paths: set[str] = set()
    own = folder / f"{config_name}.yaml"
    bases = [folder / f"{entry}.yaml" for entry in _read(own)["defaults"] if isinstance(entry, str) and entry[0] != "_"]
    for file in [own, *bases, *folder.glob(f"*/**/{section}.yaml")]:
        paths |= _paths((_read(file) or {}).get(section), section)
    for file in folder.glob(f"{section}/*.yaml"):
        paths |= _paths(_read(file), section)
    return paths


def _read(file: Path) -> Any:
    return yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # C is ten times as fast


def _paths(node: Any, key: str) -> set[str]:
    """Dotted paths of every key below a node."""
    if not isinstance(node, Mapping):
        return set()
    return set().union(*({f"{key}.{name}"} | _paths(value, f"{key}.{name}") for name, value in node.items()))


def _check_names(node: Mapping[str, Any], key: str, declared: Collection[str]) -> None:
    """Refuses names outside targets that no file of conf/ declares; a new node with a ``_target_`` may have any name.

    A misspelt name would otherwise be silent: a null that switches nothing off, a path that nobody reads.
    """
    for name, value in node.items():
        path = f"{key}.{name}"
        if isinstance(value, Mapping) and "_target_" in value:
            continue
        if path not in declared:
            siblings = {other.rpartition(".")[2] for other in declared if other.rpartition(".")[0] == key}
            raise InputError(f"{path}: no such key; {did_you_mean(str(name), siblings)}")
        if isinstance(value, Mapping):
            _check_names(value, path, declared)
