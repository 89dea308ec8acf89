"""Links lead somewhere, commands are understood, and numbers are those of the code."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from own_data import write_yolo_pose

from rtmo import config, predict
from rtmo.benchmark.__main__ import COMMANDS as BENCHMARK_COMMANDS
from rtmo.data.__main__ import COMMANDS as DATA_COMMANDS
from rtmo.figures.__main__ import COMMANDS as FIGURE_COMMANDS
from rtmo.models.rtmo import RTMO
from rtmo.report.__main__ import KEYS as REPORT_KEYS
from rtmo.train import KEYS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PROGRAMS = {"benchmark": BENCHMARK_COMMANDS, "data": DATA_COMMANDS, "figures": FIGURE_COMMANDS}
OUTPUT_DIR = "paths.output_dir=somewhere"  # exists in runs only


def commands(entry_point: str) -> list[str]:
    """What follows ``python -m rtmo.<entry_point>`` on the pages; extending.md has a test of its own."""
    pages = [page.read_text().replace("\\\n", "") for page in PAGES if page.name != "extending.md"]
    found = re.findall(rf"python -m rtmo\.{entry_point} ([^`#\n]*)", "\n".join(pages))
    return sorted({command.strip() for command in found})


def headings(page: Path) -> set[str]:
    """Anchors as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for link in (*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'src="([^"]+)"', text)):
        name, _, anchor = link.partition("#")
        if name.startswith("http"):
            continue
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in headings(target), f"{page.name}: {link}"


@pytest.mark.parametrize("command", commands("train"))
def test_training_commands_compose(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_yolo_pose(tmp_path / "my_data")
    monkeypatch.chdir(tmp_path)
    flags = {"-m", "--cfg", "job", "--resolve"}
    overrides = [word for word in shlex.split(command) if word not in flags]
    if "-m" in shlex.split(command):
        overrides = [word.partition(",")[0] for word in overrides]  # the first of all combinations
    config.validate(config.compose("train", [*overrides, OUTPUT_DIR]), "train", KEYS)


@pytest.mark.parametrize("command", commands("evaluate"))
def test_evaluation_commands_compose(command: str) -> None:
    config.compose("evaluate", [*shlex.split(command), OUTPUT_DIR])


@pytest.mark.parametrize("command", commands("info"))
def test_info_commands_compose(command: str) -> None:
    config.compose("info", shlex.split(command))


@pytest.mark.parametrize("command", commands("predict"))
def test_prediction_commands_compose(command: str) -> None:
    cfg = config.compose("predict", predict.overrides(shlex.split(command)))
    config.validate(cfg, "predict", predict.KEYS)


@pytest.mark.parametrize("command", commands("report"))
def test_report_commands_compose(command: str) -> None:
    cfg = config.compose("report", [word for word in shlex.split(command) if word != "--help"])
    config.validate(cfg, "report", REPORT_KEYS)


@pytest.mark.parametrize(("program", "command"), [(name, line) for name in PROGRAMS for line in commands(name)])
def test_commands_of_programs_with_several_compose(program: str, command: str) -> None:
    word, *arguments = shlex.split(command)
    overrides = PROGRAMS[program][word].overrides([argument for argument in arguments if argument != "--help"])
    config.compose(f"{program}_{word}", overrides)


@pytest.mark.parametrize("name", ["rtmo_n", "rtmo_t", "rtmo_s", "rtmo_m", "rtmo_l", "rtmo_r50"])
def test_parameters_in_the_readme(name: str) -> None:
    cfg = config.validate(config.compose("train", [f"model={name}", "data=synthetic", OUTPUT_DIR]), "train", KEYS)
    with torch.device("meta"):
        model = config.build(cfg["model"], num_keypoints=17)
    assert isinstance(model, RTMO)

    row = re.search(rf"^\| `{name}` \| ([\d ]+) \|", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    assert row is not None
    assert int(row[1].replace(" ", "")) == model.parameter_counts()["total"]
