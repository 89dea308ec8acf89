"""An HTTP server on this machine that can misbehave as those on the internet do."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class FileServer(ThreadingHTTPServer):
    """Serves one content under every path.

    Attributes:
        content: None answers 404.
        supports_range: Whether it sends the rest of a file when asked to.
        cuts: How many bytes the next connections send before they break; the ones after these send all.
        requests: Path and Range header of every request so far.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content: bytes | None = b""
        self.supports_range = True
        self.cuts: list[int] = []
        self.requests: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def ranges(self) -> list[str | None]:
        return [requested for _, requested in self.requests]


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        requested = self.headers.get("Range")
        self.server.requests.append((self.path, requested))
        content = self.server.content
        if content is None:
            self.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", requested)[1]) if requested and self.server.supports_range else None
        if start is not None and start >= len(content):
            self.send_error(416)
            return
        body = content[start or 0 :]
        self.send_response(200 if start is None else 206)
        self.send_header("Content-Length", str(len(body)))
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(body[: self.server.cuts.pop(0)] if self.server.cuts else body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class FolderServer(FileServer):
    """Serves the files of a folder, whole or in parts, as an object store does."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.RequestHandlerClass = _FolderHandler
        self.folder = folder


class _FolderHandler(_Handler):
    server: FolderServer

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        requested = self.headers.get("Range")
        self.server.requests.append((self.path, requested))
        file = self.server.folder / self.path.lstrip("/")
        if not file.is_file():
            self.send_error(404)
            return
        body, size = file.read_bytes(), file.stat().st_size
        if requested:
            first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", requested).groups())
            body = body[first : last + 1]
        self.send_response(206 if requested else 200)
        self.send_header("Content-Length", str(len(body)))
        if requested:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@contextmanager
def serve(chosen: FileServer | None = None) -> Iterator[FileServer]:
    with chosen or FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
