"""A run outlives W&B: a server that cannot be reached, its process killed, its files refused."""

import errno
import logging
import socket
from collections.abc import Callable, Iterator
from unittest.mock import Mock

import numpy as np
import psutil
import pytest
import wandb
from wandb_file import WandbFile

from rtmo.errors import InputError
from rtmo.training.wandb_logger import RunWandbLogger

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:wandb", "ignore::pydantic.PydanticDeprecationWarning"
)
LOST = "W&B failed, and the run goes on without it; metrics.csv has all figures"


@pytest.fixture
def surroundings(monkeypatch, tmp_path) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield monkeypatch
    wandb.teardown()


@pytest.fixture
def said(caplog) -> Callable[[], list[str]]:
    """The warnings so far."""
    caplog.set_level(logging.WARNING)
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("rtmo")]


def test_what_fails_is_said_once(said, tmp_path):
    run = Mock()
    logger = RunWandbLogger(project="rtmo", save_dir=tmp_path, experiment=run)
    run.log.side_effect = OSError(errno.ENOSPC, "No space left on device")
    logger.log_metrics({"a": 1.0}, 0)
    logger.log_image("picture", [np.zeros((4, 4, 3), np.uint8)], 0)
    run.log.side_effect = None
    logger.log_metrics({"a": 2.0}, 1)
    assert said() == [f"{LOST} (OSError: [Errno 28] No space left on device)"]
    assert run.log.call_args.args == ({"a": 2.0, "trainer/global_step": 1},)  # room was made


@pytest.mark.slow
def test_its_process_dies(surroundings, said, tmp_path):
    surroundings.setenv("WANDB_MODE", "offline")
    logger = RunWandbLogger(project="rtmo", save_dir=tmp_path / "first")
    (tmp_path / "first").mkdir()
    logger.log_metrics({"a": 1.0}, 0)
    before = logger.version
    (core,) = (child for child in psutil.Process().children(recursive=True) if child.name().startswith("wandb-core"))
    core.kill()
    core.wait()
    for step in range(1, 4):
        logger.log_metrics({"a": 1.0}, step)
    logger.finish(0)
    assert [warning.startswith(LOST) for warning in said()] == [True]
    (tmp_path / "second").mkdir()
    following = RunWandbLogger(project="rtmo", save_dir=tmp_path / "second")  # as the next job of a sweep
    following.log_metrics({"a": 3.0}, 0)
    following.finish(0)
    wandb.teardown()
    assert following.version != before
    assert [row["a"] for row in WandbFile(tmp_path / "second").history] == [3.0]


@pytest.mark.slow
@pytest.mark.parametrize("listens", [True, False], ids=["hangs", "refuses"])
def test_a_server_that_cannot_be_reached(surroundings, said, tmp_path, listens):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:
            server.listen()
        surroundings.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        surroundings.setenv("WANDB_API_KEY", "a" * 40)
        surroundings.delenv("WANDB_MODE", raising=False)
        settings = {"init_timeout": 1.0, "x_graphql_timeout_seconds": 1.0, "x_graphql_retry_max": 0}
        logger = RunWandbLogger(project="rtmo", save_dir=tmp_path, settings=settings)
        logger.log_metrics({"a": 1.0}, 0)
        logger.finish(0)
        wandb.teardown()
    (warning,) = said()
    assert warning.startswith("W&B: ")
    assert warning.endswith("The run is logged offline; `wandb sync` sends it later")
    assert [row["a"] for row in WandbFile(tmp_path).history] == [1.0]


@pytest.mark.slow
def test_what_it_refuses_is_an_input_error(surroundings, tmp_path):
    surroundings.setenv("WANDB_MODE", "offline")
    with pytest.raises(InputError, match=r"logger\.wandb: .*project name.*; correct it"):
        RunWandbLogger(project="a/b", save_dir=tmp_path).log_hyperparams({"seed": 0})
