"""docs/model-zoo.md has the numbers of the code."""

import re
from pathlib import Path

import pytest
import torch

from rtmo import config
from rtmo.models.rtmo import RTMO
from rtmo.skeletons import keypoint_set
from rtmo.train import KEYS
from rtmo.weights.zoo import BACKBONES, MODELS, ZooEntry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "model-zoo.md"


def rows() -> dict[str, list[str]]:
    """The cells of both tables after the name that opens a row."""
    found = re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.read_text(), flags=re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in found}


def published(entry: ZooEntry) -> list[str]:
    by_crowding = [value for value in (entry.ap_easy, entry.ap_medium, entry.ap_hard) if value is not None]
    cells = [[entry.ap], [entry.ap50], [entry.ap75], [] if entry.ar is None else [entry.ar], by_crowding]
    return [", ".join(f"{value:.3f}".removeprefix("0") for value in values) for values in cells]


def test_the_page_has_every_name_in_the_order_of_the_code():
    assert list(rows()) == [*MODELS, *BACKBONES]


@pytest.mark.parametrize("entry", MODELS.values(), ids=MODELS)
def test_a_model_is_described_as_it_is(entry):
    cfg = config.validate(
        config.compose("train", [f"model={entry.model}", "data=synthetic", "paths.output_dir=somewhere"]), "train", KEYS
    )
    with torch.device("meta"):
        model = config.build(cfg["model"], num_keypoints=keypoint_set(entry.skeleton).num_keypoints)
    assert isinstance(model, RTMO)
    parameters = f"{model.parameter_counts()['total']:,}".replace(",", " ")
    megabytes = sum(tensor.nbytes for tensor in model.state_dict().values()) / 1e6

    expected = [entry.data, str(entry.image_size), *published(entry), parameters, f"{megabytes:.1f}", entry.file]
    assert rows()[entry.name] == expected


@pytest.mark.parametrize("entry", BACKBONES.values(), ids=BACKBONES)
def test_a_backbone_is_described_as_it_is(entry):
    model, data, _, file = rows()[entry.name]
    assert (data, file) == (entry.data, entry.file)
    assert (config.conf_dir() / "model" / f"{model.strip('`')}.yaml").is_file()
