"""Entry points of ``python -m rtmo.data``, a module for each command."""
