"""The numbers of a report for other programs: table.json with every run, table.csv with a line for each row."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rtmo.report.networks import Timings
from rtmo.report.rows import Row
from rtmo.report.runs import Run
from rtmo.report.scores import difference, spread
from rtmo.report.tables import COSTS

Record = dict[str, Any]


def as_records(
    rows: Sequence[Row], baseline: Row, parameters: Mapping[str, int | None], timings: Timings | None
) -> list[Record]:
    """Each row: mean, deviation and difference of every score, size and speed of the network, and its runs."""
    latencies = {} if timings is None else {name: timing.latency for name, timing in timings.by_label.items()}
    return [
        {
            "row": row.label,
            "baseline": row is baseline,
            "finished": len(row.finished),
            "scores": {name: _score(row, baseline, name) for name in row.score_names},
            "parameters": parameters.get(row.label),
            "latency_ms": latencies[row.label].median_ms if row.label in latencies else None,
            "runs": [_run(run) for run in row.runs],
        }
        for row in rows
    ]


def as_csv(records: Sequence[Record]) -> str:
    """Means and deviations of scores, a line for each record."""
    names = list(dict.fromkeys(name for record in records for name in record["scores"]))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    titles = [title for name in names for title in (name, f"{name} deviation")]
    writer.writerow(["row", "finished", *titles, "parameters", "latency_ms"])
    for record in records:
        figures = [record["scores"].get(name, {}).get(part) for name in names for part in ("mean", "deviation")]
        writer.writerow([record["row"], record["finished"], *figures, record["parameters"], record["latency_ms"]])
    return buffer.getvalue()


def _score(row: Row, baseline: Row, name: str) -> Record:
    found, change = spread(row.values(name)), difference(row.values(name), baseline.values(name))
    record = {} if found is None else asdict(found)
    return record if change is None else {**record, "difference": change.mean, "margin": change.margin}


def _run(run: Run) -> Record:
    record: Record = {"run": run.name, "state": run.state, "seed": run.seed}
    if run.finished:
        record |= {"scores": run.scores, "best": run.best_score}
        record |= {name: cost(run) for name, cost in COSTS.items()}
    return record
