"""The recipes of docs/extending.md, followed to the letter in a copy of the package."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rtmo.config import conf_dir
from rtmo.data.synthetic.source import SyntheticPeople
from rtmo.drawing import write_image
from rtmo.skeletons import COCO17

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    *("image_size=[64,64]", "data.batch_size=2", "data.num_workers=0", "callbacks.images=null"),
    *("trainer.fast_dev_run=true", "trainer.accelerator=cpu", "trainer.devices=1"),
)
IMAGE_FIELDS = ("id", "file_name")
PERSON_FIELDS = ("id", "image_id", "category_id", "bbox", "keypoints")
BLOCK = re.compile(r"^`([^`\n]+)`([^\n]*):\n\n```(?:python|yaml)\n(.*?)```", re.DOTALL | re.MULTILINE)
NO_BACKBONE = '        else:\n            raise ValueError(f"model.backbone='
# trains once for every line of arguments; one process, for starting is most of the time
RUN = """
import shlex, sys
from rtmo.config import compose, validate
from rtmo.train import KEYS, train

for line in sys.argv[1:]:
    print("python -m rtmo.train", line, flush=True)
    train(validate(compose("train", shlex.split(line)), "train", KEYS))
"""


def follow(text: str, copy: Path) -> None:
    """Writes every block of code into the file that the line above it names."""
    for name, place, code in BLOCK.findall(text):
        file = copy / name
        if not place:
            assert not file.exists(), f"{name} is there already"
            file.write_text(code)
        elif place == ", at the end":
            file.write_text(f"{file.read_text()}\n\n{code}")
        else:
            before, otherwise, after = file.read_text().partition(NO_BACKBONE)
            assert otherwise, f"{name}: no {NO_BACKBONE!r}"
            file.write_text(f"from rtmo.models.plain import PlainBackbone\n{before}{code}{otherwise}{after}")


def make_office(folder: Path) -> None:
    """A small set of pictures with no more in its files than the README says is needed."""
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.joints)}
    for name, seed in (("train", 1), ("val", 2)):
        source = SyntheticPeople(num_images=4, image_size=(48, 64), seed=seed)
        truth = source.ground_truth()
        for index, image in enumerate(truth["images"]):
            write_image(folder / "images" / image["file_name"], source.load(index).image)
        content = {
            "images": [{field: image[field] for field in IMAGE_FIELDS} for image in truth["images"]],
            "annotations": [{field: person[field] for field in PERSON_FIELDS} for person in truth["annotations"]],
            "categories": [category],
        }
        (folder / f"{name}.json").write_text(json.dumps(content))


@pytest.mark.slow
def test_every_recipe_trains(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "extending.md").read_text()
    commands = re.findall(r"```bash\npython -m rtmo.train (.*?)\n```", text)
    assert len(commands) == text.count("```bash") >= 9
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(conf_dir(), tmp_path / "conf")
    make_office(tmp_path / "data" / "office")
    follow(text, tmp_path)

    lines = []
    for number, arguments in enumerate(commands):
        paths = (f"paths.output_dir={tmp_path / str(number)}", f"paths.data_dir={tmp_path / 'data'}")
        lines.append(shlex.join([*shlex.split(arguments), *TINY, *paths]))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src"), "RTMO_CONF_DIR": str(tmp_path / "conf")}
    command = [sys.executable, "-c", RUN, *lines]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("everything of this run is in") == len(commands)
