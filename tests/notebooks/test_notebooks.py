"""The notebooks run from top to bottom, and show what their text says."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from executed import NOTEBOOKS, run

MAX_BYTES = 500_000
SMALLER = {"[192,192]": "[128,128]", "(192, 192)": "(128, 128)"}  # images that the networks learn by heart


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder in which deploy.ipynb ran, and what it showed. Its network is the ``dcc`` of the paper's figures."""
    folder = tmp_path_factory.mktemp("deploy")
    changes = SMALLER | {"trainer.max_epochs=300": "trainer.max_epochs=120"}
    return folder, run("deploy.ipynb", "people_found", "difference", folder=folder, changes=changes)


@pytest.mark.slow
def test_paper_figures(deployed: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Finds one network, and trains the other."""
    runs = tmp_path / "outputs" / "paper_figures"
    runs.mkdir(parents=True)
    (runs / "dcc").symlink_to(deployed[0] / "outputs" / "deploy" / "small")
    shorter = {"trainer.max_epochs=300": "trainer.max_epochs=100", "(768, 768)": "(512, 512)", "rounds=10": "rounds=2"}
    changes = SMALLER | shorter
    shown = run("paper_figures.ipynb", "correlation", "roughness", "came_out", folder=tmp_path, changes=changes)

    assert shown["correlation"] < -0.3  # the better the pose, the smaller the spread
    assert shown["roughness"]["dcc"]["total_variation"] < shown["roughness"]["cc_dba"]["total_variation"]
    assert shown["came_out"] == [1, 2, 5, 10, 15, 20]
    assert [path.name for path in runs.iterdir() if not path.is_symlink()] == ["cc_dba"]


@pytest.mark.slow
def test_deploy(deployed: tuple[Path, dict[str, Any]]) -> None:
    ours, plain = deployed[1]["people_found"]
    assert ours == plain > 0
    assert deployed[1]["difference"] < 0.5


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_committed_outputs_are_of_one_clean_run(path: Path) -> None:
    """GitHub shows what is stored: all cells in order, no error, no warning, no path of a machine, not too large."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]

    nbformat.validate(notebook)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert {output.output_type for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert all(output.name == "stdout" for output in outputs if output.output_type == "stream")
    assert not any(folder in json.dumps(outputs) for folder in ("/home/", "/root/", "/Users/", "/tmp/", "/work/"))
    assert path.stat().st_size < MAX_BYTES
