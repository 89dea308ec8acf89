"""The wheel alone, in another folder, has conf/ and runs."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ENTRIES = ("train", "evaluate", "predict", "report")

# Runs each script or module with --help in a process of its own, forked from one that has imported what takes long;
# gives what they print.
PAGES = """
import json, os, runpy, sys
from pathlib import Path
import albumentations, hydra, lightning.pytorch, torchmetrics, wandb
from hydra._internal.hydra import Hydra
Hydra.format_config_groups = lambda *_: ""  # no page shows the list, which takes seconds
pages = {}
for number, command in enumerate(sys.argv[1:]):
    file = Path(f"{number}.txt")
    if (pid := os.fork()) == 0:
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), 1)
        sys.argv = [command, "--help"]
        if "/" in command:
            runpy.run_path(command, run_name="__main__")
        else:
            runpy.run_module(command, run_name="__main__", alter_sys=True)
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, command
    pages[command] = file.read_text()
print(json.dumps(pages))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_config_and_the_licence(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {f"rtmo/conf/{file.relative_to(ROOT / 'conf')}" for file in (ROOT / "conf").rglob("*.yaml")}
    assert configs <= names
    assert {"rtmo/py.typed", *(f"rtmo/report/page/page.{suffix}" for suffix in ("html", "css", "js"))} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "conf/", "docs/")) for name in names)


def test_entry_points_run_from_an_installed_wheel(wheel, tmp_path):
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    environment = {name: value for name, value in os.environ.items() if name != "RTMO_CONF_DIR"}
    environment["PYTHONPATH"] = str(site)

    def output(*command: str) -> str:
        return subprocess.run(
            command, cwd=elsewhere, env=environment, check=True, capture_output=True, text=True
        ).stdout

    found = output(sys.executable, "-c", "import rtmo.config; print(rtmo.config.conf_dir())")
    assert Path(found.strip()) == site / "rtmo" / "conf"
    scripts = [f"{site}/bin/rtmo-{entry}" for entry in ENTRIES]
    modules = [f"rtmo.{entry}" for entry in ENTRIES]
    pages = json.loads(output(sys.executable, "-c", PAGES, *scripts, *modules))
    for entry, script, module in zip(ENTRIES, scripts, modules, strict=True):
        assert f"python -m {module}" in pages[script], entry
        assert pages[module] == pages[script]
    assert output(scripts[0], "--help") == pages[scripts[0]]  # by the system, which finds its Python
