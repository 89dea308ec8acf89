"""Jobs of a sweep (-m): what becomes of each is kept in its folder, one that fails does not stop the others."""

import json
import logging
import math
import os
import signal
import traceback
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from rtmo.config_errors import CONFIG_ERRORS, explain
from rtmo.data.coco_json import write_json
from rtmo.errors import EXIT_INPUT_ERROR, RunError

RECORD, ERROR = "job.json", "error.txt"  # in the folder of every job; of one that failed

log = logging.getLogger(__name__)


def _searched(overrides: Iterable[str], params: Container[str]) -> str:
    return ",".join(sorted(override for override in overrides if override.partition("=")[0] in params))


# For hydra.sweep.subdir of a search: the job's values of what hydra.sweeper.params lists.
OmegaConf.register_new_resolver("searched", _searched)


class SweepStart(Callback):
    """Hydra's callback ``hydra.callbacks.sweep``: forgets how jobs of the folder ended when they ran before.

    Notes the folder, which Hydra names within jobs only.
    """

    folder: ClassVar[Path | None] = None  # of the sweep that this process runs

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        SweepStart.folder = Path(config.hydra.sweep.dir)
        for folder in _records():
            (folder / RECORD).unlink()


def run_job(task: Callable[[DictConfig], Any], cfg: DictConfig) -> Any:
    """Runs a job of a sweep and writes how it ended to ``job.json``, why it failed also to ``error.txt``.

    A failure has no result, so that launchers and sweepers go on: for Optuna it is a failed trial. What is no
    ``Exception``, such as Ctrl-C, stops the sweep.

    Returns:
        What the task returns; None if it failed.
    """
    if os.environ.get("SLURM_PROCID", "0") != "0":
        return task(cfg)  # one of several processes of the job, of which the first keeps the record
    job = HydraConfig.get()
    folder = Path(job.runtime.output_dir)
    finished_before = (folder / "summary.json").is_file()  # whatever happens now says nothing of that run
    metric = cfg.get("optimized_metric") or "val/AP"
    record = {"job": job.job.num, "folder": str(job.sweep.subdir), "overrides": list(job.overrides.task)}
    record |= {"metric": metric, "state": "stopped"}
    _write(folder, record)
    if not finished_before:
        (folder / ERROR).unlink(missing_ok=True)
    result = None
    try:
        outcome = task(cfg)
        if isinstance(outcome, float) and math.isnan(outcome):
            raise ValueError("the result is NaN")  # which no sweeper can compare
        result = outcome
        record |= {"state": "done", "value": _value(result, folder, metric)}
    except Exception as error:
        refused = isinstance(error, CONFIG_ERRORS)
        says_all = refused or isinstance(error, RunError)
        message = explain(error) if says_all else f"{type(error).__name__}: {error}"
        record |= {"state": "refused" if refused else "failed", "error": message}
        if not finished_before:
            wants_traceback = not says_all or os.environ.get("HYDRA_FULL_ERROR") == "1"
            (folder / ERROR).write_text(traceback.format_exc() if wants_traceback else f"error: {message}\n")
        log.error("job %s %s: %s", job.job.num, record["state"], message)
    except SystemExit as stop:  # Lightning's, after SIGTERM in an evaluation, says that all is well
        raise SystemExit(stop.code or 128 + signal.SIGTERM) from None
    _write(folder, record)
    return result


def all_failed() -> bool:
    """Whether this process ran a sweep of which no job has a result, so that its sweeper may have none to choose."""
    states = {record["state"] for record in _records().values()}
    return bool(states) and states <= {"failed", "refused"}


def report() -> int:
    """If this process ran a sweep: prints a table of its jobs, and what those that failed had to say.

    Returns:
        The exit code: 0 if every job is done, 2 if all others are input that cannot be used, else 1.
    """
    jobs, folder = _records(), SweepStart.folder
    if folder is None or not jobs:
        return 0
    console = Console(highlight=False, markup=False)
    shared = set.intersection(*(set(record["overrides"]) for record in jobs.values())) if len(jobs) > 1 else set()
    table = Table(title=f"{len(jobs)} jobs in {folder}")
    metric = " ".join(dict.fromkeys(record["metric"] for record in jobs.values()))
    for name in ("job", "overrides", "state", metric, "folder"):
        table.add_column(name, overflow="fold")
    for place, record in jobs.items():
        own = " ".join(override for override in record["overrides"] if override not in shared)
        value = "-" if record.get("value") is None else f"{record['value']:.4f}"
        table.add_row(str(record["job"]), own, record["state"], value, str(place.relative_to(folder)))
    console.print(table)
    for place, record in jobs.items():
        if "error" in record:
            console.print(f"{place}: {record['error']}", soft_wrap=True)
    states = {record["state"] for record in jobs.values()} - {"done"}
    if not states:
        return 0
    console.print("the same command with the same folder (hydra.sweep.dir=...) runs what is not done", soft_wrap=True)
    return EXIT_INPUT_ERROR if states == {"refused"} else 1


def _records() -> dict[Path, Mapping[str, Any]]:
    """What ``job.json`` says, by the folder of the job, in the order of their numbers.

    Sweeps in folders below have records too: a record says where in its own sweep it is.
    """
    sweep = SweepStart.folder
    if sweep is None:
        return {}
    found = {file.parent: json.loads(file.read_text()) for file in sweep.rglob(RECORD)}
    own = {folder: record for folder, record in found.items() if folder == sweep / record.get("folder", "")}
    return dict(sorted(own.items(), key=lambda item: item[1]["job"]))


def _value(result: Any, folder: Path, metric: str) -> float | None:
    """What a job returned, else what it left in its summary."""
    if isinstance(result, float):
        return result
    summary = folder / "summary.json"
    metrics = json.loads(summary.read_text())["metrics"] if summary.is_file() else {}
    return metrics.get(metric, metrics.get(metric.removeprefix("val/")))


def _write(folder: Path, record: Mapping[str, Any]) -> None:
    write_json(folder / RECORD, record, "hydra.sweep.dir", indent=2)
