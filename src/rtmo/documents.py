"""Documents that others wrote, JSON and YAML, as plain containers."""

import json
from typing import Any

import yaml

from rtmo.errors import InputError


def parse_json(text: str | bytes, where: str) -> Any:
    """The content of a JSON document.

    Args:
        where: What messages start with.

    Raises:
        InputError: If it is none, or is nested deeper or has longer numbers than Python reads.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # the former also of bytes that are no text
        raise InputError(
            f"{where}: not valid JSON ({error}); it may be cut short: copy or download it again"
        ) from error


def parse_yaml(text: bytes, where: str) -> Any:
    """The content of a YAML document without aliases.

    Args:
        where: What messages start with.

    Raises:
        InputError: If it is none, has aliases or tags, or is nested deeper or has longer numbers than Python reads.
    """
    try:
        return yaml.load(text.decode("utf-8"), _PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{where}: no YAML ({' '.join(str(error).split())})") from error


class _PlainLoader(yaml.SafeLoader):
    """Refuses aliases, with which a few lines describe more than a memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read; write the value out")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node
