"""What must not leave a run's memory: passwords and keys that a config got from the environment."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rtmo.errors import InputError

REDACTED = "***"
# "token" is the end of a name: num_tokens and tokenizer are no secrets
_NAMES = r"(?:\w*(?:api_?key|access_?key|password|passwd|secret|credential|signature)\w*|\w*token)"
_KEY = re.compile(_NAMES, re.IGNORECASE)
# of an address: user:password before the host, or a key among the parameters, as signed addresses have it
_IN_TEXT = re.compile(
    rf"(?P<before>\w://|[?&](?:[\w-]*-)?(?:{_NAMES}|sig)=)([^/?#\s@]+(?=@)|(?<==)[^&#\s]+)", re.IGNORECASE
)


def redacted(node: Any) -> Any:
    """A config, with stars for what is called a key, token or password, and for those in addresses."""
    if isinstance(node, Mapping):
        return {
            key: REDACTED if isinstance(value, str) and value and _KEY.fullmatch(str(key)) else redacted(value)
            for key, value in node.items()
        }
    if isinstance(node, list | tuple):
        return type(node)(redacted(value) for value in node)
    return _IN_TEXT.sub(rf"\g<before>{REDACTED}", node) if isinstance(node, str) else node


def refuse_secrets(overrides: Sequence[str]) -> None:
    """Refuses secrets on the command line, which the shell, the list of processes and W&B keep.

    Raises:
        InputError: If an override holds one. Does not repeat it.
    """
    for override in overrides:
        key, _, value = override.partition("=")
        named = re.search(rf"\b{_NAMES}\s*[:=]\s*(?!(?:null|true|false)\b)[^\s,}}]", override, re.IGNORECASE)
        is_reference = "${" in value
        if not is_reference and (named or redacted(value) != value):
            raise InputError(
                f"{key}: holds a secret, which does not belong on a command line; put it into an environment variable "
                f"and write '{key}=${{oc.env:NAME}}'"
            )
