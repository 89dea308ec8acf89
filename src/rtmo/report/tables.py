"""The tables of a report."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rtmo.report.document import Cell, Table
from rtmo.report.networks import Timings
from rtmo.report.palette import colour
from rtmo.report.rows import ABSENT, Row, differences
from rtmo.report.runs import Run
from rtmo.report.scores import difference, spread
from rtmo.train import SCORES

MAIN = "AP"  # the score that rows are compared by
BEYOND = {True: "yes", False: "no", None: "one seed"}
NOTHING = Cell(ABSENT)
COSTS: Mapping[str, Callable[[Run], float | None]] = {
    "images": lambda run: run.images,
    "seconds": lambda run: run.summary.get("total_seconds", run.summary.get("seconds")),
    "images/s": lambda run: run.summary.get("images_per_second"),
    "memory, MiB": lambda run: run.summary.get("peak_memory_mib"),
}


def best_score(run: Run) -> float | None:
    """The best of all validations."""
    return run.summary.get("best_val_AP")


def label_cell(rows: Sequence[Row], row: Row) -> Cell:
    """A row's label with its colour in figures."""
    return Cell(row.label, colour=colour(rows.index(row)))


def score_names(rows: Sequence[Row]) -> list[str]:
    """Scores that a run has: those of the table of rtmo.train, then AP of further data sets."""
    there = {name for row in rows for run in row.finished for name in run.scores}
    return [name for name in SCORES if name in there] + sorted(name for name in there if name.endswith(f"/{MAIN}"))


def scores(rows: Sequence[Row], baseline: Row) -> Table:
    """A line for each row: scores and the difference to the baseline."""
    names = score_names(rows)
    lines = []
    for row in rows:
        done, planned = len(row.finished), len(row.runs)
        line = [label_cell(rows, row), Cell(f"{done}" if done == planned else f"{done} of {planned}", done)]
        line += [mean_cell(row.values(name)) for name in names]
        line += [*_difference_cells(row, baseline), mean_cell(_known(map(best_score, row.finished)))]
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
            numbers = (run.scores.get(MAIN), best_score(run), run.summary.get("epochs"), COSTS["seconds"](run))
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
    per_row = {row.label: row.analyses for row in rows}
    joints = list(dict.fromkeys(j for analyses in per_row.values() for one in analyses for j in one["keypoints"]))
    values = {
        (label, joint): spread(_known(one["keypoints"].get(joint, {}).get(figure) for one in analyses))
        for label, analyses in per_row.items()
        for joint in joints
    }
    means = [value.mean for value in values.values() if value]
    low, span = min(means, default=0.0), (max(means, default=0.0) - min(means, default=0.0)) or 1.0
    lines = []
    for joint in joints:
        spreads = [values[row.label, joint] for row in rows if per_row[row.label]]
        cells = [
            NOTHING if value is None else Cell(f"{value.mean:.3f}", value.mean, shade=(value.mean - low) / span)
            for value in spreads
        ]
        lines.append([Cell(joint), *cells])
    return Table(["joint", *(row.label for row in rows if per_row[row.label])], lines)


def errors(rows: Sequence[Row]) -> Table:
    """Kinds of errors as shares of the joints that were matched, and people; calibration errors."""
    kinds = ("good", "jitter", "inversion", "swap", "miss")
    people = ("found", "missed", "false_positives")
    lines = []
    for row in rows:
        if not (analyses := row.analyses):
            continue
        line = [label_cell(rows, row)]
        for kind in kinds:
            shares = [
                one["errors"]["keypoints"][kind] / max(1, sum(one["errors"]["keypoints"].values())) for one in analyses
            ]
            line.append(_share_cell(shares))
        line += [_cost_cell([one["errors"]["people"][kind] for one in analyses]) for kind in people]
        line += [
            mean_cell(_known(one["calibration"].get(f"{what}_error") for one in analyses))
            for what in ("instance", "keypoint")
        ]
        lines.append(line)
    return Table(["row", *kinds, "found", "missed", "false", "score error", "joint score error"], lines)


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


def _share_cell(shares: Sequence[float]) -> Cell:
    found = spread(shares)
    return NOTHING if found is None else Cell(f"{found.mean:.1%}", found.mean)


def _number_cell(number: float | None, form: str) -> Cell:
    return NOTHING if number is None else Cell(form.format(number), number)


def _known(values: Any) -> list[float]:
    return [value for value in values if value is not None]
