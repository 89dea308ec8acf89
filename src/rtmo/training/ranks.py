"""The processes of a run on several devices of this machine: how they start, are watched and end together."""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from lightning.fabric.plugins import ClusterEnvironment
from lightning.fabric.strategies.launchers.subprocess_script import _basic_subprocess_cmd
from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from rtmo.errors import EXIT_INPUT_ERROR, EXIT_INTERRUPTED, InputError, RunError

GRACE = 20.0  # seconds in which a rank that lost another may end by itself
FAREWELL = 60.0  # seconds that the others have to end when rank 0 has
RANK_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")
LAUNCHER = "RTMO_LAUNCHER"  # in the environment of a rank: the process that started it

log = logging.getLogger(__name__)


class RankLauncher(_SubprocessScriptLauncher):
    """Starts the ranks of this machine, unless torchrun or SLURM did, and sees to it that they end together.

    Lightning's own repeats the whole command, so that a sweep would start anew in every rank; leaves its variables
    behind, which the next run of the process would take for a launcher's; and says nothing when a rank dies.
    """

    def __init__(self, cluster_environment: ClusterEnvironment, num_processes: int, num_nodes: int) -> None:
        super().__init__(cluster_environment, num_processes, num_nodes)
        self.command: Sequence[str] | None = None  # starts a further rank; None: that of this process

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Calls the function in this process while further ranks, if they are ours to start, do the same.

        Raises:
            RunError: If another rank failed. Names it.
            InputError: If what failed is input that it cannot use.
        """
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        _set_num_threads_if_needed(num_processes=self.num_processes)
        if self.cluster_environment.creates_processes_externally:
            with _following(os.environ.get(LAUNCHER)):
                return function(*args, **kwargs)
        with rank_variables(), self._further_ranks():
            return function(*args, **kwargs)

    @contextmanager
    def _further_ranks(self) -> Iterator[None]:
        """Further ranks as long as the block runs; they end when it does, and it fails if they do."""
        patience, done = 0.0, threading.Event()
        ranks = self._start()
        self.procs[:] = ranks  # which Lightning passes signals on to
        try:
            threading.Thread(target=_watch, args=(ranks, done), daemon=True).start()
            yield
            patience = FAREWELL
        except SystemExit:  # a stop that all ranks were asked for
            patience = FAREWELL
            raise
        except Exception as error:
            if lost_another(error) and (failure := first_failure(ranks, wait=GRACE / 2)) is not None:
                raise failure from error
            raise
        finally:
            done.set()
            end(ranks, patience)
        if (failure := first_failure(ranks)) is not None:
            raise failure

    def _start(self) -> list["Rank"]:
        environment = self.cluster_environment
        node = environment.node_rank()
        os.environ |= {
            "MASTER_ADDR": environment.main_address,
            "MASTER_PORT": str(environment.main_port),
            "NODE_RANK": str(node),
            "LOCAL_RANK": "0",
            "WORLD_SIZE": str(self.num_processes * self.num_nodes),
        }
        command = self.command or _basic_subprocess_cmd()
        return [
            Rank(
                rank=node * self.num_processes + local_rank,
                command=command,
                environment={**os.environ, "LOCAL_RANK": str(local_rank), LAUNCHER: str(os.getpid())},
            )
            for local_rank in range(1, self.num_processes)
        ]


class Rank(subprocess.Popen[bytes]):
    """The process of a rank that this process started."""

    def __init__(self, *, rank: int, command: Sequence[str], environment: Mapping[str, str]) -> None:
        super().__init__(command, env=environment)
        self.rank = rank
        self.dismissed = False  # ended by this process

    def failure(self) -> Exception | None:
        """What to say of it if it ended otherwise than it should."""
        code = self.poll()
        if self.dismissed or code in (None, 0, EXIT_INTERRUPTED):
            return None
        if code == EXIT_INPUT_ERROR:
            return InputError(f"rank {self.rank} (process {self.pid}) cannot use its input; its own message says why")
        if code < 0:
            reason = "out of memory?" if code == -signal.SIGKILL else "its own message may say why"
            return RunError(f"rank {self.rank} (process {self.pid}) was killed by {_name(-code)}; {reason}")
        return RunError(f"rank {self.rank} (process {self.pid}) ended with exit code {code}; its own message says why")


def first_failure(ranks: Sequence[Rank], wait: float = 0.0) -> Exception | None:
    """Of a rank that failed, at once or within some seconds."""
    until = time.monotonic() + wait
    while True:
        for rank in ranks:
            if (failure := rank.failure()) is not None:
                return failure
        if time.monotonic() >= until:
            return None
        time.sleep(0.1)


def _watch(ranks: Sequence[Rank], done: threading.Event) -> None:
    """Ends this process if another rank failed and this one does not notice: a collective cannot be interrupted."""
    while not done.wait(0.5):
        if (failure := first_failure(ranks)) is not None:
            log.error("%s; this run ends", failure)
            if not done.wait(GRACE):
                end(ranks)
                os._exit(EXIT_INPUT_ERROR if isinstance(failure, InputError) else 1)
            return


@contextmanager
def _following(launcher: str | None) -> Iterator[None]:
    """Ends this process if the one that started it is gone; None: something else looks after it.

    Raises:
        RunError: If it is gone, and this one noticed by itself.
    """
    if launcher is None:
        yield
        return
    message = f"rank 0 of this machine (process {launcher}) is gone; rank {os.environ['LOCAL_RANK']} of it ends"
    threading.Thread(target=_follow, args=(int(launcher), message), daemon=True).start()
    try:
        yield
    except Exception as error:
        if lost_another(error) and _is_gone(int(launcher), wait=GRACE / 10):
            raise RunError(message) from error
        raise


def _follow(launcher: int, message: str) -> None:
    while not _is_gone(launcher, wait=60.0):
        pass
    log.error("%s", message)
    time.sleep(GRACE)
    os._exit(1)


def _is_gone(launcher: int, wait: float) -> bool:
    until = time.monotonic() + wait
    while os.getppid() == launcher:
        if time.monotonic() >= until:
            return False
        time.sleep(0.2)
    return True


def end(ranks: Sequence[Rank], patience: float = 0.0) -> None:
    """Waits some seconds for processes to end, then ends them."""
    until = time.monotonic() + patience
    for rank in ranks:
        with suppress(subprocess.TimeoutExpired):
            rank.wait(max(0.0, until - time.monotonic()))
        if rank.poll() is None:
            if patience:
                log.warning(
                    "rank %d (process %d) has not ended in %.0f s, and is killed", rank.rank, rank.pid, patience
                )
            rank.dismissed = True
            rank.kill()
            rank.wait()


def lost_another(error: BaseException) -> bool:
    """Whether an error is that of a collective; gloo has no type of its own."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error).lower()


@contextmanager
def rank_variables() -> Iterator[None]:
    """Has nothing left afterwards of what makes this process a rank."""
    before = {name: os.environ.get(name) for name in RANK_VARIABLES}
    try:
        yield
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
