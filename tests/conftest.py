"""Fixtures for all tests; shapes in annotations are checked by jaxtyping while tests run."""

import os
from pathlib import Path

import jaxtyping
import pytest

jaxtyping.install_import_hook("rtmo", "typechecker.check").__enter__()  # stays on for the whole run


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with golden tensors and photographs that is not part of the repository."""
    default = Path(__file__).resolve().parents[1].parent / "shared"
    folder = Path(os.environ.get("RTMO_SHARED_DIR", default))
    if not folder.is_dir():
        pytest.skip(f"no shared folder at {folder}; set RTMO_SHARED_DIR to test against it")
    return folder
