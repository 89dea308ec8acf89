"""Articulated synthetic people with true annotations: training data that needs nothing but a seed."""

from .source import SyntheticPeople

__all__ = ["SyntheticPeople"]
