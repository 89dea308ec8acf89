import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from rtmo.commands import resume_command


@pytest.mark.parametrize("folder", ["/runs/one", "/my runs/lr=0.1,(a)", "/it's", "/a\\", "/tab\t{x}$y", "/${x}"])
def test_the_command_means_what_it_should_to_shell_and_hydra(folder):
    overrides = ["experiment=demo", "name=my run", "ckpt_path=last", "image_size=[64,64]"]
    words = shlex.split(resume_command(overrides, Path(folder) / "last.ckpt", folder))
    assert words[:6] == ["python", "-m", "rtmo.train", "experiment=demo", "name=my run", "image_size=[64,64]"]
    given = {each.key_or_group: each.value() for each in OverridesParser.create().parse_overrides(words[6:])}
    assert OmegaConf.to_container(OmegaConf.create(given), resolve=True) == {
        "ckpt_path": f"{folder}/last.ckpt",
        "hydra.run.dir": folder,
    }


def test_a_run_that_saved_nothing_begins_anew():
    assert resume_command(["seed=1"], None, "run") == "python -m rtmo.train seed=1 hydra.run.dir=run"
