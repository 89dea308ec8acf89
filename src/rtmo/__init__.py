"""RTMO: real-time multi-person pose estimation."""

from typing import Any

__all__ = ["load_model"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for when it is asked for: the entry points need not wait for all of it."""
    if name == "load_model":
        from rtmo.hub import load_model  # noqa: PLC0415

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
