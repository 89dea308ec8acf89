"""The wheel alone, in another folder, has conf/ and runs."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

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
    for entry in ("train", "evaluate", "predict", "report"):
        page = output(str(site / "bin" / f"rtmo-{entry}"), "--help")
        assert f"python -m rtmo.{entry}" in page
    assert output(sys.executable, "-m", f"rtmo.{entry}", "--help") == page
