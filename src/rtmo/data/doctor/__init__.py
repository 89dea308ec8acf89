"""Finds faults of data sets before training does, and writes repaired copies: ``python -m rtmo.data check``."""
