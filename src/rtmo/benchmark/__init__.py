"""How fast the parts of rtmo are on this machine: ``python -m rtmo.benchmark COMMAND``."""
