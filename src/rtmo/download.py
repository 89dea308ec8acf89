"""Downloads files of any size: resumed where the connection broke, verified, by one process at a time."""

import hashlib
import logging
import time
from http.client import HTTPException
from pathlib import Path
from ssl import SSLError
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from rtmo.errors import InputError

TIMEOUT = 30.0  # seconds without an answer
CONNECTIONS = 5  # for one file
PAUSE = 1.0  # seconds before the second connection, twice as many before each further one
CHUNK = 1 << 16  # bytes

# What urllib raises when a server is not there, refuses or falls silent; files raise other kinds of OSError.
_CONNECTION_ERRORS = (URLError, ConnectionError, TimeoutError, SSLError, HTTPException)

log = logging.getLogger(__name__)


class DownloadError(InputError):
    """A server that is not there, refuses or falls silent."""


def download(url: str, path: Path, sha256_prefix: str | None = None) -> Path:
    """Fetches a file, unless it is there already: then the network is left alone.

    What arrives is kept in ``<path>.part``, so that the next call goes on where this one was broken off. It gets its
    name only when it is complete. Others who want the same file wait at ``<path>.lock``. Logs start and end, and draws
    a progress bar if stderr is a terminal.

    Args:
        sha256_prefix: First hex digits of the SHA-256, lower case. A file that is there is checked too and, where it
            is damaged, downloaded again and replaced. None trusts it, and checks of what arrives only the length.

    Returns:
        ``path``.

    Raises:
        DownloadError: If the server does not give it.
        InputError: If the file cannot be read or written, or is another one than its hash says.
    """
    try:
        if _is_intact(path, sha256_prefix):
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not _is_intact(path, sha256_prefix):  # nobody else fetched it while we waited
                if path.exists():
                    log.warning("%s is damaged: its SHA-256 does not begin with %s", path, sha256_prefix)
                _fetch(url, path, sha256_prefix)
    except _CONNECTION_ERRORS as error:
        fix = f"try again later, or download it elsewhere and put it at {path}"
        raise DownloadError(f"{path}: cannot be downloaded from {url} ({error}); {fix}") from error
    except OSError as error:
        fix = "make room there, or permit reading and writing"
        raise InputError(f"{path}: cannot be read or written ({error}) to download {url}; {fix}") from error
    return path


def _is_intact(path: Path, sha256_prefix: str | None) -> bool:
    return path.is_file() and (sha256_prefix is None or _sha256(path).startswith(sha256_prefix))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(url: str, path: Path, sha256_prefix: str | None) -> None:
    log.info("downloading %s to %s", url, path)
    part = path.with_name(f"{path.name}.part")
    resumed = _receive(url, part)
    intact = _is_intact(part, sha256_prefix)
    if resumed and not intact:
        log.warning("%s does not continue what an earlier connection left; starting over", url)
        part.unlink()
        _receive(url, part)
        intact = _is_intact(part, sha256_prefix)
    if not intact:
        found = _sha256(part)[: len(sha256_prefix or "")]
        part.unlink()
        raise InputError(
            f"{path}: what {url} sends is another file (SHA-256 begins with {found}, expected {sha256_prefix}); "
            f"look for a proxy or mirror in between, or download it elsewhere and put it at {path}"
        )
    part.replace(path)
    log.info("downloaded %s, %.1f MB", path.name, path.stat().st_size / 1e6)


def _receive(url: str, part: Path) -> bool:
    """Completes the part over as many connections as it takes; returns whether the last one continued another."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        progress.add_task(part.stem, total=None)
        connection = 1
        while True:
            try:
                return _connect(url, part, progress)
            except _CONNECTION_ERRORS as error:
                # Nobody there at first contact, or a refusal: waiting would not help.
                if connection == CONNECTIONS or (connection == 1 and isinstance(error, URLError)):
                    raise
                log.warning("lost the connection to %s (%s); trying again", url, error)
            time.sleep(PAUSE * 2 ** (connection - 1))
            connection += 1


def _connect(url: str, part: Path, progress: Progress) -> bool:
    """Appends what is missing, over one connection; returns whether the server agreed to continue."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "rtmo"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code != 416 or not start:
            raise
        part.unlink()  # 416: the file has no byte at that position, so the part is of another file
        return _connect(url, part, progress)
    with response:
        resumed = response.status == 206
        received = start if resumed else 0
        length = response.headers["Content-Length"]
        total = None if length is None else received + int(length)
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                received += len(chunk)
                progress.update(progress.task_ids[0], completed=received, total=total)
    if total is not None and received != total:
        raise ConnectionError(f"it ended after {received} of {total} bytes")
    return resumed
