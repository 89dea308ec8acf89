"""Results of any set of runs as one page and a Markdown table: ``python -m rtmo.report runs=... output=...``."""
