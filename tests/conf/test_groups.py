"""Every file of conf/ composes, passes the checks, and appears on the help page."""

import pytest
import yaml
from omegaconf import OmegaConf

from rtmo.config import compose, conf_dir, validate
from rtmo.train import KEYS

NEEDED = {  # options without a default
    "custom": [
        "skeleton=coco17",
        *(f"data.{split}.{field}=x" for split in ("train", "val") for field in ("annotation_file", "image_dir")),
    ],
    "mixture": ["data.sources={coco_train: 1, aic_train: 0.3}"],
}
HELP_GROUPS = {
    *("model", "data", "recipe", "augment", "criterion", "optimizer", "schedule", "trainer", "logger"),
    *("experiment", "debug"),
}
PUBLISHED_RUNS = {
    *(f"rtmo_{size}_{data}" for size in "sml" for data in ("coco", "crowdpose")),
    *(f"rtmo_{size}_body7" for size in "tsml"),
    "rtmo_l_body7_crowdpose",
}


def choices(group: str) -> list[str]:
    names = sorted(file.stem for file in (conf_dir() / group).glob("*.yaml"))
    return [name for name in names if not (group == "recipe" and name.startswith("rtmo_"))]


def checked(*overrides: str) -> dict:
    needed = [override for data, given in NEEDED.items() if f"data={data}" in overrides for override in given]
    return validate(compose("train", ["paths.output_dir=out", *needed, *overrides]), "train", KEYS)


COMBINED = {group: choices(group) for group in sorted(HELP_GROUPS - {"experiment"})}


@pytest.mark.parametrize("row", range(max(map(len, COMBINED.values()))))
def test_every_choice_composes(row):
    """Row by row, one choice of every group at a time, until each has had its turn."""
    assert checked(*(f"{group}={names[row % len(names)]}" for group, names in COMBINED.items()))


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_experiment_composes(experiment):
    assert checked(f"experiment={experiment}")


def test_the_help_page_lists_every_choice():
    template = yaml.safe_load((conf_dir() / "hydra" / "help" / "train.yaml").read_text())["template"]
    section = template.split("Groups:")[1].split("Options,")[0]
    for group in HELP_GROUPS:
        line = next(line for line in section.splitlines() if line.split()[:1] == [group])
        listed = line.split(";")[0].split(",")[0].split()[1:]
        published_runs = {"experiment": PUBLISHED_RUNS}.get(group, set())  # listed by a pattern
        assert sorted(listed) == sorted(set(choices(group)) - published_runs)


def test_every_option_of_the_help_page_exists():
    template = yaml.safe_load((conf_dir() / "hydra" / "help" / "train.yaml").read_text())["template"]
    cfg = compose("train", ["paths.output_dir=out"])
    options = [line.split()[0] for line in template.split("they have now")[1].splitlines()[1:] if line.startswith("  ")]
    options = [option for option in options if "<" not in option]
    assert len(options) > 8
    for option in options:
        assert OmegaConf.select(cfg, option, default="nothing") != "nothing", option


def test_evaluate_composes_with_every_data_set():
    for data in choices("data"):
        assert compose("evaluate", [f"data={data}", "checkpoint=x"]).data.val


def test_files_of_differences_say_so():
    """A file without the header would land in a section of its group's name, and nothing would read it."""
    for group in ("model", "data", "recipe", "experiment", "debug"):
        for file in (conf_dir() / group).rglob("*.yaml"):
            assert file.read_text().startswith("# @package _global_\n"), file
