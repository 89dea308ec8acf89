"""What a run logged to W&B, read back from its own file."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from google.protobuf.message import Message
from wandb.proto.wandb_internal_pb2 import Record

_BLOCK = 32768  # bytes, of the log format of LevelDB
_HEADER = struct.Struct("<IHB")  # checksum, length, kind of a fragment
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class WandbFile:
    """The records of the only run below a folder, by kind."""

    def __init__(self, folder: Path, kind: Literal["offline-run", "run"] = "offline-run") -> None:
        (self.path,) = folder.glob(f"wandb/{kind}-*/run-*.wandb")
        self.records = list(_records(self.path.read_bytes()))

    def of(self, kind: str) -> list[Any]:
        return [getattr(record, kind) for record in self.records if record.WhichOneof("record_type") == kind]

    @property
    def history(self) -> list[dict[str, Any]]:
        """Rows as logged, nested keys joined with dots."""
        return [_items(row.item) for row in self.of("history")]

    @property
    def summary(self) -> dict[str, Any]:
        """What the run's page shows of it, last update wins."""
        return {key: value for update in self.of("summary") for key, value in _items(update.update).items()}

    @property
    def config(self) -> dict[str, Any]:
        return {key: value for update in self.of("config") for key, value in _items(update.update).items()}

    def file(self, name: str) -> Path:
        return self.path.parent / "files" / name


def _items(items: Any) -> dict[str, Any]:
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def _records(content: bytes) -> Iterator[Message]:
    assert content[:4] == b":W&B"
    position, parts = 7, b""
    while position + _HEADER.size <= len(content):
        if (left := _BLOCK - position % _BLOCK) < _HEADER.size:
            position += left
            continue
        _, length, kind = _HEADER.unpack_from(content, position)
        assert kind in (_WHOLE, _FIRST, _MIDDLE, _LAST)
        position += _HEADER.size
        parts += content[position : position + length]
        position += length
        if kind in (_WHOLE, _LAST):
            yield Record.FromString(parts)
            parts = b""
