"""The numbers of a report for other programs: table.json with every run, table.csv with a line for each row."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rtmo.report.networks import Timings
from rtmo.report.rows import Row
from rtmo.report.scores import difference, spread
from rtmo.report.tables import COSTS, best_score

Record = dict[str, Any]


def as_records(
    rows: Sequence[Row], baseline: Row, parameters: Mapping[str, int | None], timings: Timings | None
) -> list[Record]:
    """Each row: mean, deviation and difference of every score, what it cost, and its runs."""
    return [
        {
            "row": row.label,
            "baseline": row is baseline,
            "scores": {name: _score(row, baseline, name) for name in _names(row)},
            "parameters": parameters.get(row.label),
            "latency_ms": None
            if timings is None or row.label not in timings.by_label
            else timings.by_label[row.label].latency.median_ms,
            "runs": [
                {
                    "run": run.name,
                    "state": run.state,
                    "seed": run.seed,
                    "scores": run.scores,
                    **(
                        {"best": best_score(run), **{name: cost(run) for name, cost in COSTS.items()}}
                        if run.finished
                        else {}
                    ),
                }
                for run in row.runs
            ],
        }
        for row in rows
    ]


def as_csv(records: Sequence[Record]) -> str:
    """Means and deviations of scores, a line for each record."""
    names = list(dict.fromkeys(name for record in records for name in record["scores"]))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["row", "runs", *(title for name in names for title in (name, f"{name} deviation")), "parameters", "latency_ms"]
    )
    for record in records:
        figures = [record["scores"].get(name, {}).get(part) for name in names for part in ("mean", "deviation")]
        finished = sum("scores" in run and bool(run["scores"]) for run in record["runs"])
        writer.writerow([record["row"], finished, *figures, record["parameters"], record["latency_ms"]])
    return buffer.getvalue()


def _names(row: Row) -> list[str]:
    return sorted({name for run in row.finished for name in run.scores})


def _score(row: Row, baseline: Row, name: str) -> Record | None:
    found, change = spread(row.values(name)), difference(row.values(name), baseline.values(name))
    record = {} if found is None else asdict(found)
    return record if change is None else {**record, "difference": change.mean, "margin": change.margin}
