"""One page about any set of runs: ``python -m rtmo.report``; ``--help`` lists what can be set."""

from pathlib import Path
from typing import Any

from rtmo import config
from rtmo.data_commands.console import report_console
from rtmo.errors import InputError
from rtmo.report.write import write_report

KEYS = frozenset(("runs", "output", "title", "baseline", "latency", "rounds", "device"))


@config.main("report", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Writes the report, and says what it is about."""
    check_values(cfg)
    rows = write_report(
        [cfg["runs"]] if isinstance(cfg["runs"], str) else cfg["runs"],
        Path(cfg["output"]),
        title=str(cfg["title"]),
        baseline=None if cfg["baseline"] is None else str(cfg["baseline"]),
        **{name: cfg[name] for name in ("latency", "rounds", "device")},
    )
    runs = [run for row in rows for run in row.runs]
    unfinished = sum(not run.finished for run in runs)
    lacking = f", without results: {unfinished}" if unfinished else ""
    console = report_console()
    console.print(f"runs: {len(runs)}, rows: {len(rows)}{lacking}")
    console.print(str(Path(cfg["output"]) / "index.html"), soft_wrap=True)


def check_values(cfg: dict[str, Any]) -> None:
    """Refuses options of the wrong kind.

    Raises:
        InputError: If there is one.
    """
    if not isinstance(cfg["rounds"], int) or cfg["rounds"] < 1:
        raise InputError(f"rounds: expected a whole number from 1 on, got {cfg['rounds']!r}")
    if not isinstance(cfg["latency"], bool):
        raise InputError(f"latency: expected true or false, got {cfg['latency']!r}")
    runs = cfg["runs"]
    if not isinstance(runs, str) and not (
        runs and isinstance(runs, list) and all(isinstance(one, str) for one in runs)
    ):
        raise InputError(f"runs: expected a folder, a glob or a list of them, got {runs!r}")


if __name__ == "__main__":
    main()
