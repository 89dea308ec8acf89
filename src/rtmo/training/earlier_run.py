"""The run that a folder holds already: is it the same, is it finished, and where does it go on?"""

import csv
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet
from rtmo.targets import AUTO
from rtmo.training.callbacks.run_record import environment
from rtmo.training.checkpoint_io import FOLDER, LAST, PREVIOUS, newest
from rtmo.training.redaction import redacted
from rtmo.weights.file import RECORD, read_file

# Keys that say where things are, how fast they go, when they are saved and what is told: the network is the same.
WITHOUT_EFFECT = (
    *("paths", "logger", "optimized_metric", "data.num_workers", "data.cache_gb"),
    *("callbacks.progress", "callbacks.last", "trainer.log_every_n_steps", "trainer.max_time"),
)
OWN_CHECKPOINTS = tuple(f"${{paths.output_dir}}/{FOLDER}/{name}" for name in (LAST, PREVIOUS))
CODE = ("rtmo", "torch")  # packages whose version decides results
SHOWN = 3  # differences in a message

log = logging.getLogger(__name__)


def continue_run(config: dict[str, Any]) -> dict[str, float] | None:
    """Has a run go on that its folder holds already, by setting ``ckpt_path``.

    Args:
        config: Resolved, of the run about to start.

    Returns:
        The metrics of that run if it is finished; else None.

    Raises:
        InputError: If it is another run.
    """
    folder = Path(config["paths"]["output_dir"])
    summary, checkpoint = folder / "summary.json", newest(folder / FOLDER)
    if not summary.is_file() and checkpoint is None:
        return None
    check_same(folder, config)
    warn_of_other_code(folder)
    if summary.is_file():
        log.info("%s: the run is finished, and is not done again", folder)
        return json.loads(summary.read_text())["metrics"]
    assert checkpoint is not None
    log.info("%s: the run was stopped, and goes on from %s/%s", folder, FOLDER, checkpoint.name)
    config["ckpt_path"] = str(checkpoint)
    return None


def last_checkpoint(config: Mapping[str, Any], folder_is_given: bool) -> str | None:
    """What ``ckpt_path=last`` means: the newest checkpoint of the run's folder, else of the runs of its name.

    Args:
        config: Resolved, of the run about to start.
        folder_is_given: Whether the user chose the folder (hydra.run.dir). Then no other is looked at, and where it
            holds no checkpoint yet the run starts there: one command serves the first start and all that follow.

    Returns:
        Its path; it may be damaged. None: there is nothing to go on from, and the run starts.

    Raises:
        InputError: If no run of that name has a checkpoint.
    """
    own = Path(config["paths"]["output_dir"])
    named = Path(config["paths"]["outputs_dir"]) / config["name"]
    if (checkpoint := newest(own / FOLDER)) is not None:
        return str(checkpoint)
    if folder_is_given:
        log.warning("ckpt_path=last: no checkpoint in %s yet, so the run starts from its beginning", own)
        return None
    found = [checkpoint for folder in named.glob(f"*/{FOLDER}") if (checkpoint := newest(folder)) is not None]
    if not found:
        raise InputError(
            f"ckpt_path=last: no checkpoint in {named / '*' / FOLDER}; give the file, or the folder of the run with "
            "hydra.run.dir=..., or the name of the run with name=..."
        )
    return str(max(found, key=lambda checkpoint: checkpoint.stat().st_mtime_ns))


def check_same(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuses a folder of a run that is not the one about to start.

    What is ``auto`` now is what it was found to be there, and a batch size that may be made smaller what it was made.
    Paths do not count, wherever the config names them: folders may be moved.

    Raises:
        InputError: If so. Names the keys that differ.
    """
    file = folder / "config.yaml"
    there = _settings(yaml.safe_load(file.read_text())) if file.is_file() else {}
    here = _settings(redacted(config))
    found = {key for key, value in here.items() if value == repr(AUTO)}
    if "nominal_batch" in found:
        found.add("data.batch_size")
    keys = [key for key in {**there, **here} if there.get(key) != here.get(key) and key not in found]
    if keys:
        shown = ", ".join(
            f"{key} ({there.get(key, 'missing')} there, {here.get(key, 'missing')} now)" for key in keys[:SHOWN]
        )
        more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
        raise InputError(
            f"{folder}: holds a run with other options: {shown}{more}; give the sweep a new folder with "
            "hydra.sweep.dir=..., or delete this one"
        )


def in_folder_of(config: Mapping[str, Any]) -> bool:
    """Whether the checkpoint that a run goes on from lies in the run's own folder."""
    if config["ckpt_path"] is None:
        return False
    return Path(config["ckpt_path"]).resolve().is_relative_to(Path(config["paths"]["output_dir"]).resolve())


def warn_of_other_code(folder: Path) -> None:
    """Says what has changed since the run of a folder, of what its config does not tell: commit and versions."""
    file = folder / "environment.json"
    if not file.is_file():
        return
    there, here = _code(json.loads(file.read_text())), _code(environment())
    changed = [f"{name} {there[name]} there, {here[name]} now" for name in here if there[name] != here[name]]
    if changed:
        log.warning("%s: its run is of other code (%s); delete the folder to run anew", folder, "; ".join(changed))


def check_resumable(path: Path, skeleton: KeypointSet) -> dict[str, Any]:
    """Refuses to go on from a file that is no run's, or of a run with other joints; gives what the file holds.

    Raises:
        InputError: If so.
    """
    content = read_file(path)
    if "optimizer_states" not in content or RECORD not in content:
        raise InputError(f"ckpt_path={path}: no run can go on from it; to start from its weights say pretrained={path}")
    try:
        trained = KeypointSet.from_plain(content[RECORD]["skeleton"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"ckpt_path={path}: its joints cannot be read ({error!r}); give an undamaged one") from error
    if not skeleton.equals_but_for_name(trained):
        raise InputError(
            f"skeleton={skeleton.name}: differs from the one that {path} was trained with; give that one, or start a "
            f"new run with pretrained={path}"
        )
    return content


@rank_zero_only
def keep_rows(logger: CSVLogger, before_step: int, count: int | None = None) -> None:
    """Has ``metrics.csv`` go on after the rows of earlier steps; Lightning would begin it anew. Only rank zero logs.

    Args:
        before_step: The step at which the run goes on. What was logged from there on, it will log again.
        count: How many rows there were at that moment; None: not known. A validation that the run begins with may have
            been logged since then, as of the step before.
    """
    file = Path(logger.log_dir) / "metrics.csv"
    if not file.is_file():
        return
    with file.open(newline="") as lines:
        rows = [row for row in [*csv.DictReader(lines)][:count] if row["step"] and int(row["step"]) < before_step]
    writer = logger.experiment  # which deletes the file
    writer.metrics.extend({name: value for name, value in row.items() if value} for row in rows)
    writer.save()


def _code(record: Mapping[str, Any]) -> dict[str, str | None]:
    packages = record.get("packages", {})
    return {"commit": record.get("commit"), **{name: packages.get(name) for name in CODE}}


def _settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Every value of a config that has an effect, by its dotted key, written so that NaN equals itself.

    Paths are by their names. The folder's own checkpoints are no start of the run but where it went on.
    """
    places = sorted(config["paths"].items(), key=lambda item: -len(item[1]))  # a folder before the one it is in
    values = {
        key: _without(places, value)
        for key, value in _leaves(config, "")
        if not f"{key}.".startswith(tuple(f"{prefix}." for prefix in WITHOUT_EFFECT))
    }
    if values.get("ckpt_path") in OWN_CHECKPOINTS:
        values["ckpt_path"] = None
    return {key: repr(value) for key, value in values.items()}


def _leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    if node and isinstance(node, Mapping | list):
        for name, value in node.items() if isinstance(node, Mapping) else enumerate(node):
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, node


def _without(places: list[tuple[str, str]], value: Any) -> Any:
    if isinstance(value, str):
        for name, place in places:
            if value == place or value.startswith(f"{place}/"):
                return f"${{paths.{name}}}{value[len(place) :]}"
    return value
