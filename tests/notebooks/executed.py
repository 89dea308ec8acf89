"""Notebooks executed, and what they found."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


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
