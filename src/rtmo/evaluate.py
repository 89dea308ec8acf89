"""Scores a checkpoint or exported file: ``python -m rtmo.evaluate checkpoint=...``; ``--help`` lists what can be set.

With ``results=... annotations=...`` it scores a file of predictions, see ``evaluate_results``.
"""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from rtmo import config
from rtmo.console_tables import print_errors, print_scores
from rtmo.data.coco_json import write_json
from rtmo.data.datamodule import PoseDataModule
from rtmo.errors import InputError
from rtmo.evaluate_exported import Scored, Scorer, is_exported, of_export, take_from_export
from rtmo.evaluate_results import evaluate_results
from rtmo.evaluation.analysis import analyse
from rtmo.phases import Phases
from rtmo.skeletons import COCO17, CROWDPOSE14, KeypointSet, keypoint_set
from rtmo.targets import build
from rtmo.training.assembly import build_module, build_trainer
from rtmo.weights.checkpoint import Checkpoint, find, read_checkpoint
from rtmo.weights.load import load_weights

KEYS = frozenset(
    (
        *("name", "checkpoint", "data", "data_name", "image_size", "batch_size", "num_workers", "score_thr", "nms_thr"),
        *("flip_test", "submission", "results", "annotations"),
        *("trainer", "callbacks", "logger", "paths", "seed", "phases", "augment", "metric", "skeleton"),
    )
)
KEYS_WITH_RESULTS = frozenset(
    ("results", "annotations", "metric", "skeleton", "name", "paths.output_dir", "paths.outputs_dir", "hydra")
)

log = logging.getLogger(__name__)


def prepare(cfg: DictConfig) -> None:
    """Checks that there is one thing to score; a checkpoint fills in what the command line left to it.

    Raises:
        InputError: If there is nothing or too much to score, or an option that goes with something else.
    """
    overrides = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    if cfg.results is None and cfg.annotations is None:
        if cfg.checkpoint is None:
            raise InputError(
                "checkpoint: has no value; give checkpoint=..., a file or a published model, or "
                "results=... annotations=... to score a file of predictions"
            )
        fill_in = take_from_export if is_exported(cfg.checkpoint) else take_from_checkpoint
        fill_in(cfg, overrides)
        return
    if cfg.checkpoint is not None:
        raise InputError(
            "checkpoint: a checkpoint or a file of predictions is scored; give checkpoint=... or results=..."
        )
    for name in ("results", "annotations"):
        if cfg[name] is None:
            raise InputError(f"{name}: has no value; results=... and annotations=... go together")
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if KEYS_WITH_RESULTS.isdisjoint((key, re.split("[.@]", key)[0])):
            raise InputError(f"{key}: read only with checkpoint=...; remove it to score a file of predictions")
    if cfg.metric is None:
        raise InputError("metric: has no value; say metric=coco or metric=crowdpose")


def take_from_checkpoint(cfg: DictConfig, overrides: Sequence[str] = ()) -> None:
    """Fills in what the command line left to the checkpoint; data sets refer to these values."""
    checkpoint = read_checkpoint(find(cfg.checkpoint))
    if checkpoint.config is None and checkpoint.size is None:
        if cfg.image_size is None:
            raise InputError(f"image_size: {cfg.checkpoint} does not tell; give image_size=[height,width]")
        log.warning("%s is of no published size: taken to have 8 attention heads, as those have", checkpoint.path)
    trained = trained_with(checkpoint)
    cfg.skeleton = joints_of(checkpoint, OmegaConf.to_container(cfg)["skeleton"])  # type: ignore[index, call-overload]
    if cfg.data is None and any(override.startswith("paths.data_dir=") for override in overrides):
        raise InputError("paths.data_dir: read only together with data=...; without it the checkpoint names the files")
    for name in ("image_size", "data", "metric"):
        if cfg[name] is None:
            cfg[name] = trained[name]
    for name in ("score_thr", "nms_thr"):
        if name in cfg and cfg[name] is None:  # figures of grid points have none
            cfg[name] = trained["module"][name]


@config.main("evaluate", KEYS, prepare=prepare)
def main(cfg: dict[str, Any]) -> float:
    """Evaluates; the returned AP is what a sweeper maximises."""
    return (evaluate(cfg) if cfg["results"] is None else evaluate_results(cfg))["AP"]


def evaluate(cfg: Mapping[str, Any]) -> dict[str, float]:
    """Scores a checkpoint or exported file on the validation images of a data set.

    Writes ``results.json`` (COCO's result format), ``summary.json`` and ``analysis.json`` into the run's folder. The
    first has the name that COCO's server asks for if ``submission`` names one to test-dev. Of each further data set
    there is a ``results_<name>.json``; without people, as in test-dev, there is nothing to analyse.

    Args:
        cfg: As ``rtmo.config.validate`` returns it.

    Returns:
        The figures of the metric.

    Raises:
        InputError: If checkpoint or data cannot be used.
    """
    check_values(cfg)
    skeleton, score = of_export(cfg) if is_exported(cfg["checkpoint"]) else of_checkpoint(cfg)
    has_people = not cfg["data"]["val"].get("images_only")
    if cfg["submission"] is not None and (has_people or skeleton.joints != COCO17.joints):
        raise InputError(
            f"submission={cfg['submission']}: is for the joints of coco17 on images without people; evaluate such a "
            "checkpoint with data=coco source@data.val=coco_test_dev, or remove submission"
        )
    source = build(cfg["data"]["val"], "data.val", skeleton)
    more_val = build(cfg["data"].get("more_val") or {}, "data.more_val", skeleton)
    datamodule = PoseDataModule(
        train=source,  # never loaded
        val=source,
        more_val=more_val,
        image_size=cfg["image_size"],
        batch_size=cfg["batch_size"],
        num_workers=cfg["num_workers"],
        seed=cfg["seed"],
        phases=Phases(),
        augment={"main": {}, "light": {}},
    )
    started = time.monotonic()
    metrics, scores = score(datamodule)
    seconds = time.monotonic() - started
    results = {name: metric.results() for name, metric in metrics.items()}
    analysis = analyse(metrics["val"]) if has_people else None
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        images = sum(map(len, (source, *datamodule.more_val.values())))
        counts = {"images": images, "predictions": sum(map(len, results.values()))}
        speed = {"seconds": round(seconds, 1), "images_per_second": round(images / seconds, 2)}
        write_scores(cfg, source.name, results, analysis, {**counts, "metrics": scores, **speed})
    return scores


def of_checkpoint(cfg: Mapping[str, Any]) -> tuple[KeypointSet, Scorer]:
    """The joints of a checkpoint, and what scores it with Lightning."""
    checkpoint = read_checkpoint(find(cfg["checkpoint"]))
    trained = trained_with(checkpoint)
    skeleton = checkpoint.skeleton or keypoint_set(cfg["skeleton"])
    own = {name: cfg[name] for name in ("score_thr", "nms_thr", "flip_test")}
    parts = {**trained, "module": {**trained["module"], **own}, "metric": cfg["metric"]}

    def score(datamodule: PoseDataModule) -> Scored:
        module = build_module(parts, skeleton)
        report = load_weights(module.model, checkpoint)
        if report.is_partial:
            log.warning("%s: %s", checkpoint.path, report)
        trainer = build_trainer(cfg, skeleton)
        trainer.validate(module, datamodule=datamodule, verbose=False)
        scores = {name.removeprefix("val/"): float(value) for name, value in trainer.callback_metrics.items()}
        return module.metrics, scores

    return skeleton, score


def check_values(cfg: Mapping[str, Any]) -> None:
    """Refuses values that no constructor would."""
    if not isinstance(cfg["flip_test"], bool):
        raise InputError(f"flip_test: expected true or false, got {cfg['flip_test']!r}")
    submission = cfg["submission"]
    if submission is not None and not re.fullmatch(r"[\w.-]+", str(submission)):
        raise InputError(
            f"submission={submission}: becomes part of a file's name; use letters, digits, _, - and . only"
        )


def write_scores(
    cfg: Mapping[str, Any],
    data: str,
    results: Mapping[str, Sequence[Mapping[str, Any]]],
    analysis: Mapping[str, Any] | None,
    measured: Mapping[str, Any],
) -> None:
    """Writes the predictions by metric, their analysis if there is one and the summary, and prints the figures."""
    folder, submission, scores = Path(cfg["paths"]["output_dir"]), cfg["submission"], measured["metrics"]
    name = "results.json" if submission is None else f"person_keypoints_test-dev2017_{submission}_results.json"
    settings = {key: cfg[key] for key in ("flip_test", "image_size", "score_thr", "nms_thr", "skeleton")}
    settings["metric"] = cfg["metric"]["_target_"]
    summary = {"checkpoint": str(cfg["checkpoint"]), "data": data, **settings, **measured}
    for metric, found in results.items():
        file = name if metric == "val" else f"results_{metric.removeprefix('val/')}.json"
        write_json(folder / file, found, label="paths.output_dir")
    if analysis is not None:
        write_json(folder / "analysis.json", analysis, label="paths.output_dir", indent=2)
    write_json(folder / "summary.json", summary, label="paths.output_dir", indent=2)
    if max(scores.values()) < 0:
        log.warning("%s: there is nobody to find: the predictions are in %s, without a score", data, name)
    console = Console(highlight=False, soft_wrap=True)
    if analysis is not None:
        print_errors(console, analysis)
    print_scores(console, scores, f"{data}, {measured['images']} images", folder)


def trained_with(checkpoint: Checkpoint) -> dict[str, Any]:
    """The config of the run a checkpoint comes from; the published recipe's for weights that no run of ours trained."""
    if checkpoint.config is not None:
        return checkpoint.config
    on_crowdpose = checkpoint.skeleton == CROWDPOSE14
    choices = ["data=crowdpose", "recipe=published_crowdpose"] if on_crowdpose else ["data=coco", "recipe=published"]
    published = config.compose("train", [f"model={checkpoint.size or 'rtmo_s'}", *choices])
    parts = ("image_size", "data", "module", "criterion", "optimizer", "schedule", "metric")
    return {
        **{name: OmegaConf.to_container(published[name], resolve=True) for name in parts},
        "model": checkpoint.model,
    }


def joints_of(checkpoint: Checkpoint, chosen: str | Mapping[str, Any] | None) -> str | Mapping[str, Any]:
    """The joints that are scored: the name of the checkpoint's, or the chosen ones if it does not name its own.

    Raises:
        InputError: If the choice is not what the network finds, or there is none.
    """
    own = checkpoint.skeleton
    if own is not None:
        if chosen is None or chosen == own.name or keypoint_set(chosen).equals_but_for_name(own):
            return own.name
        raise InputError(
            f"skeleton={chosen}: differs from {own.name}, which the checkpoint has; to score those joints that the "
            f"data shares with it, say skeleton={own.name}"
        )
    if chosen is None or keypoint_set(chosen).num_keypoints != checkpoint.num_keypoints:
        raise InputError(
            f"skeleton={chosen}: {checkpoint.path} finds {checkpoint.num_keypoints} joints and does not name them; "
            "give a built-in set or a .yaml file of as many"
        )
    return chosen


if __name__ == "__main__":
    main()
