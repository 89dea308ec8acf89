"""The tables of a report."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rtmo.console_tables import SCORES
from rtmo.evaluation.joint_errors import KINDS
from rtmo.report.document import Cell, Table
from rtmo.report.networks import Timings
from rtmo.report.palette import colour
from rtmo.report.rows import ABSENT, Row, differences
from rtmo.report.runs import Run
from rtmo.report.scores import difference, spread

MAIN = "AP"  # the score that rows are compared by
BEYOND = {True: "yes", False: "no", None: "one seed"}
NOTHING = Cell(ABSENT)
COSTS: Mapping[str, Callable[[Run], float | None]] = {
    "images": lambda run: run.images,
    "seconds": lambda run: run.summary.get("total_seconds", run.summary.get("seconds")),
    "images/s": lambda run: run.summary.get("images_per_second"),
    "memory, MiB": lambda run: run.summary.get("peak_memory_mib"),
}


def label_cell(rows: Sequence[Row], row: Row) -> Cell:
    """A row's label with its colour in figures."""
    return Cell(row.label, colour=colour(rows.index(row)))


def score_names(rows: Sequence[Row]) -> list[str]:
    """Scores that a run has: those of the table of rtmo.train, then AP of further data sets."""
    there = {name for row in rows for name in row.score_names}
    return [name for name in SCORES if name in there] + sorted(name for name in there if name.endswith(f"/{MAIN}"))


def scores(rows: Sequence[Row], baseline: Row) -> Table:
    """A line for each row: scores and the difference to the baseline."""
    names = score_names(rows)
    lines = []
    for row in rows:
        done, planned = len(row.finished), len(row.runs)
        line = [label_cell(rows, row), Cell(f"{done}" if done == planned else f"{done} of {planned}", done)]
        line += [mean_cell(row.values(name)) for name in names]
        line += [*_difference_cells(row, baseline), mean_cell(_known(run.best_score for run in row.finished))]
        lines.append(line)
    return Table(["row", "runs", *names, f"difference in {MAIN}", "beyond noise", f"best {MAIN}"], lines)


def costs(rows: Sequence[Row], parameters: Mapping[str, int | None], timings: Timings | None) -> Table:
    """A line for each row: what training took, how large and how fast the network is."""
    lines = []
    for row in rows:
        count = parameters.get(row.label)
        timing = None if timings is None else timings.by_label.get(row.label)
        line = [label_cell(rows, row), *(_cost_cell(_known(map(cost, row.finished))) for cost in COSTS.values())]
        line.append(NOTHING if count is None else Cell(f"{count / 1e6:.2f} M", count))
        if timings is not None:
            line.append(_number_cell(None if timing is None else timing.latency.median_ms, "{:.1f}"))
        lines.append(line)
    return Table(["row", *COSTS, "parameters", *([] if timings is None else ["latency, ms"])], lines)


def all_runs(rows: Sequence[Row]) -> Table:
    """A line for each run, whatever became of it."""
    columns = ["run", "row", "seed", "state", MAIN, f"best {MAIN}", "epochs", "seconds"]
    lines = []
    for row in rows:
        for run in row.runs:
            numbers = (run.scores.get(MAIN), run.best_score, run.summary.get("epochs"), COSTS["seconds"](run))
            formats = ("{:.3f}", "{:.3f}", "{:d}", "{:.0f}")
            line = [
                Cell(run.name),
                label_cell(rows, row),
                Cell(str(ABSENT if run.seed is None else run.seed), run.seed),
            ]
            line.append(Cell(run.state))
            line += [_number_cell(number, form) for number, form in zip(numbers, formats, strict=True)]
            lines.append(line)
    return Table(columns, lines)


def latencies(rows: Sequence[Row], timings: Timings) -> Table:
    """Median and 95th percentile of every row's network."""
    lines = []
    for row in rows:
        if timing := timings.by_label.get(row.label):
            times = [Cell(f"{ms:.1f}", ms) for ms in (timing.latency.median_ms, timing.latency.p95_ms)]
            lines.append([label_cell(rows, row), *times, Cell(str(timing.people), timing.people), Cell(timing.weights)])
    return Table(["row", "median, ms", "95 %, ms", "people found", "weights"], lines)


def by_keypoint(rows: Sequence[Row], figure: str) -> Table:
    """A heat map: ``oks`` or ``pck`` of every joint, mean over runs."""
    analysed = [row for row in rows if row.analyses]
    joints = dict.fromkeys(joint for row in analysed for one in row.analyses for joint in one["keypoints"])
    unknown = {figure: None}
    lines = [
        [_mean_of([one["keypoints"].get(joint, unknown) for one in row.analyses], figure, "{:.3f}") for row in analysed]
        for joint in joints
    ]
    values = _known(cell.value for line in lines for cell in line)
    low, high = min(values, default=0.0), max(values, default=0.0)

    def shaded(cell: Cell) -> Cell:
        return cell if cell.value is None else replace(cell, shade=(cell.value - low) / ((high - low) or 1.0))

    return Table(
        ["joint", *(row.label for row in analysed)],
        [[Cell(joint), *map(shaded, line)] for joint, line in zip(joints, lines, strict=True)],
    )


def errors(rows: Sequence[Row]) -> Table:
    """Kinds of errors as shares of labeled joints of the people found; people; calibration errors. Means over runs."""
    lines = []
    for row in rows:
        if not row.analyses:
            continue
        joints = [_shares(one["errors"]["keypoints"]) for one in row.analyses]
        people = [one["errors"]["people"] for one in row.analyses]
        calibration = [one["calibration"] for one in row.analyses]
        line = [label_cell(rows, row), *(_mean_of(joints, kind, "{:.1%}") for kind in KINDS)]
        line += [_mean_of(people, kind, "{:.1f}") for kind in ("found", "missed", "false_positives")]
        line += [_mean_of(calibration, kind, "{:.3f}") for kind in ("instance_error", "keypoint_error")]
        lines.append(line)
    return Table(["row", *KINDS, "found", "missed", "false", "score error", "joint score error"], lines)


def config_differences(rows: Sequence[Row]) -> Table:
    """A line for each key in which the configs of rows differ."""
    configured = [row for row in rows if row.config]
    changed = differences([row.config for row in configured])
    lines = [[Cell(key), *(Cell(plain(value)) for value in values)] for key, values in changed.items()]
    return Table(["key", *(row.label for row in configured)], lines)


def plain(value: Any) -> str:
    """A config's value as YAML writes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return f"[{', '.join(plain(item) for item in value)}]" if isinstance(value, list) else str(value)


def mean_cell(values: Sequence[float]) -> Cell:
    """Mean and deviation of scores between 0 and 1."""
    found = spread(values)
    if found is None:
        return NOTHING
    deviation = "" if found.deviation is None else f" ± {found.deviation:.3f}"
    return Cell(f"{found.mean:.3f}{deviation}", found.mean)


def _difference_cells(row: Row, baseline: Row) -> list[Cell]:
    if row is baseline:
        return [Cell("baseline", 0.0), NOTHING]
    found = difference(row.values(MAIN), baseline.values(MAIN))
    if found is None:
        return [NOTHING, NOTHING]
    margin = "" if found.margin is None else f" ± {found.margin:.3f}"
    return [Cell(f"{found.mean:+.3f}{margin}", found.mean), Cell(BEYOND[found.beyond_noise])]


def _cost_cell(values: Sequence[float]) -> Cell:
    """The mean of what a run needs, in three digits or whole."""
    found = spread(values)
    if found is None:
        return NOTHING
    return Cell(f"{found.mean:,.0f}".replace(",", " ") if found.mean >= 100 else f"{found.mean:.3g}", found.mean)


def _shares(counts: Mapping[str, int]) -> dict[str, float]:
    total = max(1, sum(counts.values()))
    return {name: count / total for name, count in counts.items()}


def _mean_of(records: Sequence[Mapping[str, Any]], name: str, form: str) -> Cell:
    found = spread(_known(record[name] for record in records))
    return _number_cell(None if found is None else found.mean, form)


def _number_cell(number: float | None, form: str) -> Cell:
    return NOTHING if number is None else Cell(form.format(number), number)


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
