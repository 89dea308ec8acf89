"""The notebooks run from top to bottom, and show what their text says."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
MAX_BYTES = 500_000
SMALLER = {"[192,192]": "[128,128]", "(192, 192)": "(128, 128)"}  # images that the networks learn by heart


def run(
    name: str, *variables: str, folder: Path | None = None, changes: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Executes a notebook in a kernel of its own, in a folder, some words changed; returns some of its variables."""
    text = (NOTEBOOKS / name).read_text()
    for written, used in (changes or {}).items():
        assert written in text
        text = text.replace(written, used)
    notebook = nbformat.reads(text, as_version=4)
    report = f"import json; print(json.dumps({{{', '.join(f'{variable!r}: {variable}' for variable in variables)}}}))"
    notebook.cells.append(nbformat.v4.new_code_cell(report))
    resources = {"metadata": {"path": str(folder)}} if folder else {}
    NotebookClient(notebook, timeout=1800, kernel_name="python3", resources=resources).execute()
    return json.loads(notebook.cells[-1].outputs[-1].text)


@pytest.mark.slow
def test_coordinate_classifier() -> None:
    shown = run("coordinate_classifier.ipynb", "history", "final_oks", "sigma_ratio", "box_moved", "joints_moved")

    assert shown["history"][0][1] < 0.3  # mean OKS of the first step: nothing is known yet
    assert shown["final_oks"] > 0.95
    assert shown["sigma_ratio"] == pytest.approx(0.40, abs=0.04)  # sqrt(2 / pi) / 2
    assert shown["joints_moved"]["from the grid point"] < 0.1 * shown["box_moved"]
    assert shown["joints_moved"]["from the middle of the box"] > 0.9 * shown["box_moved"]


@pytest.mark.slow
def test_why_the_classifier_stalls() -> None:
    """Ranges hold over seeds. Sharp wrong heatmaps and the likelihood stall together; either alone does not."""
    names = ("others", "gau_size", "spread_with", "spread_without", "pull", "wrong", "race", "scores", "spreads")
    shown = run("why_the_classifier_stalls.ipynb", *names)
    scores, pull, race = shown["scores"], shown["pull"], shown["race"]

    assert shown["gau_size"] > 5  # of what gated attention adds to features of size 1
    assert shown["spread_with"] > 5 * shown["spread_without"]
    assert pull["scale 1, mle"] < 1e-10  # nothing arrives at the label
    assert pull["scale 1, kld"] > 1e-2
    assert pull["scale 0.03, mle"] > 0.1
    assert shown["wrong"][0] > 0.7  # the less a heatmap had there, the longer it is wrong
    assert shown["wrong"][-1] < 0.2
    assert race["0.0002"] > 0.85  # OKS when heatmaps get sharp: right first,
    assert race["0.004"] < 0.4  # or sharp first
    assert all(sharp < 0.35 and flat > sharp + 0.3 for sharp, flat in shown["others"].values())

    stuck = ("sharp", "flat, rate 4e-3", "flat, swapped")
    learns = (
        "sharp / 32",
        "flat",
        "sharp / 100, rate 4e-3",
        "flat, KLD, rate 4e-3",
        "flat, swapped, flattened",
        "flat, KLD, swapped",
    )
    assert max(max(scores[name]) for name in stuck) < 0.4
    assert min(min(scores[name]) for name in learns) > 0.75
    assert min(scores["sharp, KLD"] + scores["sharp, flattened"]) > 0.6
    assert min(shown["spreads"]["flat, rate 4e-3"]) > 500


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder in which deploy.ipynb ran, and what it showed. Its network is the ``dcc`` of the paper's figures."""
    folder = tmp_path_factory.mktemp("deploy")
    changes = SMALLER | {"trainer.max_epochs=300": "trainer.max_epochs=200"}
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
