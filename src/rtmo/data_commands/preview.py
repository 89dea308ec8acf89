"""Samples as pictures, as stored and as training sees them: ``python -m rtmo.data preview``; see ``--help``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rtmo import config
from rtmo.config_data import data_sets
from rtmo.data.mixture import Mixture
from rtmo.data.pipeline import TrainDataset
from rtmo.data.preview import raw_sheet, training_sheet, validation_sheet
from rtmo.data.source import PoseSource
from rtmo.drawing import write_image
from rtmo.errors import InputError
from rtmo.phases import Phases
from rtmo.skeletons import keypoint_set
from rtmo.targets import AUTO, build, did_you_mean
from rtmo.train import KEYS as TRAIN_KEYS
from rtmo.training.batch_plan import AUTO_NOMINAL
from rtmo.training.run_plan import filled, plan_run

KEYS = TRAIN_KEYS | {"only", "num_images", "height", "output"}


@config.main("data_preview", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Draws, and prints the files."""
    for file in preview(cfg):
        print(file)


def preview(cfg: Mapping[str, Any]) -> list[Path]:
    """Writes a contact sheet of every data set and of every pipeline.

    Args:
        cfg: As ``rtmo.config.validate`` returns it.

    Returns:
        The files.

    Raises:
        InputError: If the data cannot be used, or an option makes no sense.
    """
    for name, least in (("num_images", 1), ("height", 32)):
        if not isinstance(cfg[name], int) or cfg[name] < least:
            raise InputError(f"{name}: expected a whole number from {least} on, got {cfg[name]!r}")
    sheet = {"num_images": cfg["num_images"], "height": cfg["height"]}
    folder, sources = Path(cfg["output"]), chosen_sources(cfg)
    written = []

    def write(name: str, image: Any) -> None:
        write_image(folder / f"{name}.jpg", image)
        written.append(folder / f"{name}.jpg")

    for key, source in sources.items():
        if not isinstance(source, Mixture):
            write(f"raw_{key}", raw_sheet(source, seed=cfg["seed"], **sheet))
    for key, source in sources.items():
        if not key.startswith("train"):
            write(f"val_{key}", validation_sheet(source, cfg["image_size"], seed=cfg["seed"], **sheet))
        elif key == "train" or cfg["only"] is not None:
            for name, dataset, epochs in pipelines(cfg, source):
                write(f"{name}_{key}", training_sheet(dataset, epochs, **sheet))
    return written


def chosen_sources(cfg: Mapping[str, Any]) -> dict[str, PoseSource]:
    """All data sets by their key in the config, members of a mixture included, or the one that ``only`` names."""
    skeleton, data = keypoint_set(cfg["skeleton"]), cfg["data"]
    train = build(data["train"], "data.train", skeleton)
    sources = {"train": train}
    if isinstance(train, Mixture):
        sources |= {f"train.sources.{name}": source for name, source in train.sources.items()}
    for key, node in data_sets(data):
        if not key.startswith("data.train"):
            sources[key.removeprefix("data.")] = build(node, key, skeleton)
    if (chosen := cfg["only"]) is None:
        return sources
    if chosen not in sources:
        raise InputError(f"only={chosen}: no such data set; {did_you_mean(str(chosen), sources)}")
    return {chosen: sources[chosen]}


def pipelines(cfg: Mapping[str, Any], source: PoseSource) -> list[tuple[str, TrainDataset, list[int]]]:
    """Name, samples and first epochs of the phases of the two augmentations, as far as the run has them."""
    skeleton = keypoint_set(cfg["skeleton"])
    given = cfg["trainer"]["max_epochs"]
    plan = plan_run(len(source), AUTO_NOMINAL, epochs=None if given == AUTO else given)
    cfg, max_epochs = filled(cfg, plan), plan.epochs
    phases: Phases = build(cfg["data"]["phases"], "data.phases")
    dataset = TrainDataset(
        source=source,
        image_size=cfg["image_size"],
        augment=build(cfg["data"]["augment"], "data.augment", skeleton),
        phases=phases,
        max_epochs=max_epochs,
        seed=cfg["seed"],
    )
    first: dict[str, int] = {}
    for epoch in range(max_epochs):
        first.setdefault(phases.at(epoch, max_epochs), epoch)
    strong, light = ([first[phase] for phase in names if phase in first] for names in ("AB", "C"))
    return [(name, dataset, epochs) for name, epochs in (("main", strong), ("light", light)) if epochs]


if __name__ == "__main__":
    main()
