"""One page about any set of runs: ``python -m rtmo.report``; ``--help`` lists what can be set."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rtmo import config
from rtmo.data.coco_json import write_json
from rtmo.data_commands.console import report_console
from rtmo.errors import InputError
from rtmo.report.document import Figure, Section
from rtmo.report.html import as_html
from rtmo.report.markdown import FIGURES, as_markdown
from rtmo.report.networks import count_parameters, measure_latencies
from rtmo.report.numbers import as_csv, as_records
from rtmo.report.rows import Row, choose_baseline, make_rows, own_overrides
from rtmo.report.runs import Run, find_runs
from rtmo.report.sections import make_sections
from rtmo.training.callbacks.run_record import environment

KEYS = frozenset(("runs", "output", "baseline", "title", "latency", "rounds", "device"))


@config.main("report", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Reads the runs and writes the report."""
    check_values(cfg)
    output = Path(cfg["output"])
    patterns = [cfg["runs"]] if isinstance(cfg["runs"], str) else cfg["runs"]
    runs = find_runs(patterns)
    rows = make_rows(runs)
    baseline = choose_baseline(rows, cfg["baseline"])
    parameters, faults = parameters_of(rows)
    timings = measure_latencies(rows, cfg["rounds"], cfg["device"]) if cfg["latency"] else None
    sections = make_sections(rows, baseline, parameters, timings, faults)
    write_report(output, cfg["title"], facts_of(runs, rows, baseline), sections)
    records = as_records(rows, baseline, parameters, timings)
    write_json(output / "table.json", records, label=f"output={output}", indent=2)
    (output / "table.csv").write_text(as_csv(records), encoding="utf-8")
    unfinished = sum(not run.finished for run in runs)
    lacking = f", {unfinished} of them without results" if unfinished else ""
    report_console().print(f"{len(runs)} runs in {len(rows)} rows{lacking}\n{output / 'index.html'}", soft_wrap=True)


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


def parameters_of(rows: Sequence[Row]) -> tuple[dict[str, int | None], list[str]]:
    """Parameters by label, and what could not be counted, in sentences: a network may be of code that is not here."""
    counts: dict[str, int | None] = {}
    faults = []
    for row in rows:
        try:
            counts[row.label] = count_parameters(row)
        except InputError as error:
            faults.append(f"Parameters of {row.label} are unknown. {error}")
    return counts, faults


def facts_of(runs: Sequence[Run], rows: Sequence[Row], baseline: Row) -> list[tuple[str, str]]:
    """What the report is of; no path of this machine."""
    here = environment()
    finished = sum(run.finished for run in runs)
    commits = sorted({str(run.environment["commit"])[:10] for run in runs if run.environment.get("commit")})
    data = sorted({run.config["data_name"] for run in runs if "data_name" in run.config})
    data += sorted({str(run.summary["data"]) for run in runs if run.kind == "evaluation" and "data" in run.summary})
    overrides = [set(own_overrides(run)) for run in runs if run.config]
    common = sorted(set.intersection(*overrides)) if overrides else []
    facts = {
        "Runs": f"{len(runs)}, of which {finished} finished, in {len(rows)} rows",
        "Baseline": baseline.label,
        "Data": ", ".join(data),
        "All with": " ".join(common),
        "Commits of the runs": ", ".join(commits),
        "Made": f"{datetime.now():%Y-%m-%d %H:%M} by rtmo {here['packages']['rtmo'] or '(not installed)'}",
    }
    return [(name, value) for name, value in facts.items() if value]


def write_report(output: Path, title: str, facts: Sequence[tuple[str, str]], sections: Sequence[Section]) -> None:
    """Writes index.html, report.md and the figures that the latter shows.

    Raises:
        InputError: If the folder cannot be written.
    """
    figures = [block for section in sections for block in section.blocks if isinstance(block, Figure)]
    try:
        (output / FIGURES).mkdir(parents=True, exist_ok=True)
        (output / "index.html").write_text(as_html(title, facts, sections), encoding="utf-8")
        (output / "report.md").write_text(as_markdown(title, facts, sections), encoding="utf-8")
        for figure in figures:
            (output / FIGURES / f"{figure.name}.svg").write_text(_on_white(figure.svg), encoding="utf-8")
    except OSError as error:
        raise InputError(f"output={output}: cannot be written ({error}); choose another folder") from error


def _on_white(svg: str) -> str:
    """The drawing as a file of its own, which has no page behind it."""
    start = svg.index(">", svg.index("<svg")) + 1
    return f'{svg[:start]}<rect width="100%" height="100%" fill="white"/>{svg[start:]}'


if __name__ == "__main__":
    main()
