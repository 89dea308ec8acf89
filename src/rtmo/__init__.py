"""RTMO: real-time multi-person pose estimation."""

from typing import Any

__all__ = ["Predictor", "load_model"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for when it is asked for: the entry points need not wait for all of it."""
    if name == "load_model":
        from rtmo.hub import load_model  # noqa: PLC0415

        return load_model
    if name == "Predictor":
        from rtmo.inference.predictor import Predictor  # noqa: PLC0415

        return Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
