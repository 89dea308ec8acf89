"""From runs to the files of a report."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rtmo.data.coco_json import write_json
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


def write_report(
    patterns: Sequence[str],
    output: Path,
    *,
    title: str = "Report",
    baseline: str | None = None,
    latency: bool = False,
    rounds: int = 20,
    device: str = "cpu",
) -> list[Row]:
    """Writes index.html, report.md with figures/, table.json and table.csv.

    Args:
        patterns: Run folders, folders that hold some at any depth, globs of either.
        output: Folder of the report, made if need be.
        baseline: Label of the row that others are compared with, or a part of it; None: the one without overrides.
        latency: Whether the networks of all rows are timed.
        rounds: Timed turns of each.
        device: That they are timed on.

    Returns:
        What it is about.

    Raises:
        InputError: If a pattern leads to no run, the baseline to no row, or the folder cannot be written.
    """
    runs = find_runs(patterns)
    rows = make_rows(runs)
    compared = choose_baseline(rows, baseline)
    parameters, faults = _parameters(rows)
    timings = None
    if latency:
        timings, not_timed = measure_latencies(rows, rounds, device)
        faults += not_timed
    sections = make_sections(rows, compared, parameters, timings, faults)
    facts = _facts(runs, rows, compared)
    records = as_records(rows, compared, parameters, timings)
    files = {
        "index.html": as_html(title, facts, sections),
        "report.md": as_markdown(title, facts, sections),
        "table.csv": as_csv(records),
        **_figure_files(sections),
    }
    write_json(output / "table.json", records, label=f"output={output}", indent=2)
    try:
        (output / FIGURES).mkdir(exist_ok=True)
        for name, text in files.items():
            (output / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"output={output}: cannot be written ({error}); choose another folder") from error
    return rows


def _parameters(rows: Sequence[Row]) -> tuple[dict[str, int | None], list[str]]:
    """Parameters by label, and what could not be counted, in sentences: a network may be of code that is not here."""
    counts: dict[str, int | None] = {}
    faults = []
    for row in rows:
        try:
            counts[row.label] = count_parameters(row)
        except InputError as error:
            faults.append(f"Parameters of {row.label} are unknown. {error}")
    return counts, faults


def _facts(runs: Sequence[Run], rows: Sequence[Row], baseline: Row) -> list[tuple[str, str]]:
    """What the report is of; no path of this machine."""
    version = environment()["packages"]["rtmo"] or "(not installed)"
    commits = {str(run.environment["commit"])[:10] for run in runs if run.environment.get("commit")}
    trained_on = {str(run.config["data_name"]) for run in runs if "data_name" in run.config}
    scored_on = {str(run.summary["data"]) for run in runs if "data" in run.summary}
    overrides = [set(own_overrides(run)) for run in runs if run.config]
    facts = {
        "Runs": f"{len(runs)}, of which {sum(run.finished for run in runs)} finished, in {len(rows)} rows",
        "Baseline": baseline.label,
        "Data": ", ".join(sorted(trained_on | scored_on)),
        "All with": " ".join(sorted(set.intersection(*overrides))) if overrides else "",
        "Commits of the runs": ", ".join(sorted(commits)),
        "Made": f"{datetime.now():%Y-%m-%d %H:%M} by rtmo {version}",
    }
    return [(name, value) for name, value in facts.items() if value]


def _figure_files(sections: Sequence[Section]) -> dict[str, str]:
    """The figures by path; a file has no page behind it, so they are on white."""
    figures = [block for section in sections for block in section.blocks if isinstance(block, Figure)]
    paper = '<rect width="100%" height="100%" fill="white"/>'
    return {f"{FIGURES}/{figure.name}.svg": figure.svg.replace(">", f">{paper}", 1) for figure in figures}
