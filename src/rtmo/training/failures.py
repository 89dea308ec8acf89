"""What ends a run although its input is sound, in words: what happened, what to do, where the run goes on."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from rtmo.errors import InputError, RunError
from rtmo.training.batch_plan import BatchPlan, plan_batch
from rtmo.training.checkpoint_io import FOLDER, newest

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WORKER = r"DataLoader worker \(pid.+?\) "
_WRITER = r"PytorchStreamWriter failed|inline_container"
# What torch says, and what that means. The first that fits counts.
_MEANINGS = (
    (
        rf"{_WORKER}is killed by signal: Bus error",
        "a loader worker found no room in shared memory; enlarge /dev/shm (docker run --shm-size=8g), or lower "
        "data.num_workers",
    ),
    (
        rf"{_WORKER}is killed by signal: (Killed|Terminated)",
        "a loader worker was killed, as the system does when memory runs out; lower data.num_workers or data.cache_gb",
    ),
    (
        rf"{_WORKER}(is killed by signal|exited unexpectedly)",
        "a loader worker crashed or was killed; data.num_workers=0 shows a crash, and lower data.num_workers or "
        "data.cache_gb helps where memory ran out",
    ),
    (
        r"unable to open shared memory object|received \d+ items of ancdata|Too many open files",
        "no more files can be opened; raise the limit (ulimit -n 65536), or lower data.num_workers",
    ),
    (
        _WRITER,
        "a file could not be written, as happens when a disk is full; make room",
    ),
    (
        r"DefaultCPUAllocator: (can't allocate|not enough) memory",
        "the machine has not enough memory; lower data.batch_size, data.num_workers or data.cache_gb",
    ),
)


@contextmanager
def told(plan: BatchPlan, folder: Path) -> Iterator[None]:
    """Has failures of the machine end a run with one message, and every message say where the run goes on.

    Args:
        plan: The run's batch arithmetic.
        folder: Of the run.

    Raises:
        InputError: If the data cannot be used any more.
        RunError: If it is the machine that failed.
    """
    try:
        yield
    except (InputError, RunError) as error:
        kind = RunError if _is_full(error.__cause__) else type(error)
        raise kind(f"{str(error).rstrip()}{_way_on(folder)}") from error
    except (RuntimeError, OSError, MemoryError) as error:
        if (meaning := _meaning(error, plan)) is None:
            raise
        raise RunError(f"{meaning}{_way_on(folder)}") from error


def _meaning(error: BaseException, plan: BatchPlan) -> str | None:
    """None for what is a failure of ours."""
    # an error out of a loader's worker comes with the worker's traceback before it
    said = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__).strip()
    if isinstance(error, torch.OutOfMemoryError):
        return f"the GPU has not enough memory for {plan}; {_smaller(plan)}"
    if isinstance(error, OSError) and _is_full(error):
        place = "" if error.filename is None else f"{error.filename}: "
        return f"{place}cannot be written ({error.strerror}); make room"
    chain = f"{error} {error.__cause__}"  # a worker's death is told by one, its signal by the other
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, chain):
            return f"{meaning} ({said})"
    if isinstance(error, OSError):
        return said
    return "the machine has not enough memory" if isinstance(error, MemoryError) else None


def _is_full(error: BaseException | None) -> bool:
    """Whether a file could not be written for want of room, which torch does not tell from other failures to write."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, RuntimeError) and re.search(_WRITER, str(error)) is not None


def _smaller(plan: BatchPlan) -> str:
    """The same step in smaller portions."""
    if plan.batch_size == 1:
        return "a batch of one image is the smallest: take a smaller image_size or model"
    nominal = plan.nominal or plan.total
    half = plan_batch(plan.batch_size // 2, plan.devices, nominal)
    given = "" if plan.nominal else f" nominal_batch={nominal}"
    return f"data.batch_size={half.batch_size}{given} accumulates {half.accumulate} of them to a step of {half.total}"


def _way_on(folder: Path) -> str:
    last = newest(folder / FOLDER)
    return f"; the run goes on with ckpt_path={last}" if last is not None else ""
