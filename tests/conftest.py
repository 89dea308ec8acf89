"""Fixtures for all tests; shapes in annotations are checked by jaxtyping while tests run."""

import gc
import logging
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import jaxtyping
import pytest
from hydra.core.hydra_config import HydraConfig

with suppress(
    ImportError
):  # OpenVINO's; when Hydra sets up logging, its handler would close what pytest has for stderr
    from absl.logging import get_absl_handler

    get_absl_handler().python_handler.setStream(sys.__stderr__)

jaxtyping.install_import_hook("rtmo", "typechecker.check").__enter__()  # stays on for the whole run


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with golden tensors and photographs that is not part of the repository."""
    default = Path(__file__).resolve().parents[1].parent / "shared"
    folder = Path(os.environ.get("RTMO_SHARED_DIR", default))
    if not folder.is_dir():
        pytest.skip(f"no shared folder at {folder}; set RTMO_SHARED_DIR to test against it")
    return folder


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory):
    """What killed processes leave in the folder for temporary files goes with it when the tests have ended.

    Its path is short: sockets of loader workers lie there, and theirs may have some hundred bytes.
    """
    tmp_path_factory.getbasetemp()  # not in it
    with (
        tempfile.TemporaryDirectory(prefix="rtmo-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture
def unchecked_shapes():
    """Lets functions be called with symbols for sizes, as export does, which are no numbers to the type checker."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def collected_afterwards():
    """For tests that export: the exporter makes so many objects that to look for garbage among them takes long."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()


@pytest.fixture(autouse=True)
def process_as_before():
    """After every test, undoes what Hydra does to the whole process: it sets up logging, and remembers the config."""
    loggers = logging.getLogger(), logging.getLogger("lightning.pytorch")
    before = [(logger.handlers[:], logger.level) for logger in loggers]
    yield
    for logger, (handlers, level) in zip(loggers, before, strict=True):
        for handler in set(logger.handlers) - set(handlers):
            handler.close()
        logger.handlers[:] = handlers
        logger.setLevel(level)
    HydraConfig.instance().cfg = None


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Calls an entry point in an empty folder; gives its exit code and what it printed on stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def run(entry, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rtmo", *arguments])
        try:
            entry()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
