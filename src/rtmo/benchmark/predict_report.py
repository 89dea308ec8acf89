"""Tables and the picture of a benchmark of prediction."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console

from rtmo.benchmark.charts import draw_bars, draw_curve
from rtmo.benchmark.prediction import DECODE, NETWORK, PARTS
from rtmo.benchmark.series import NETWORK_DECODE, PREDICTION, TOTAL, Row
from rtmo.benchmark.tables import empty_table, known, label, measured, print_table

# Okabe and Ito's, told apart by people of any colour vision
COLOURS = dict(zip(PARTS, ("#999999", "#e69f00", "#0072b2", "#d55e00", "#56b4e9"), strict=True))

SIZE = ("params, M", "GFLOP")


def growth(rows: Sequence[Row]) -> float | None:
    """By what share network and decoding take longer for the most people than for the fewest; None for fewer rows."""
    medians = [row.milliseconds[NETWORK_DECODE].median_ms for row in measured(rows)]
    return medians[-1] / medians[0] - 1 if len(medians) > 1 else None


def print_rows(console: Console, title: str, rows: Sequence[Row]) -> None:
    """A row for each case: medians in ms, then what else is known; the network's size only where rows differ in it."""
    columns: dict[str, Callable[[Row], str]] = {part: _median(part) for part in (*PARTS, PREDICTION)}
    columns |= {
        "95th": lambda row: f"{row.milliseconds[PREDICTION].p95_ms:.1f}",
        TOTAL: _median(TOTAL),
        "people": lambda row: known(row.people, "d"),
        "MiB": lambda row: known(row.memory_mib, ".0f"),
        SIZE[0]: lambda row: known(None if row.parameters is None else row.parameters / 1e6, ".1f"),
        SIZE[1]: lambda row: known(row.gflop, ".1f"),
        "of peak": lambda row: known(row.share_of_peak, ".0%"),
        "AP": lambda row: known(row.ap, ".3f"),
    }
    shown = {name: [cell(row) for row in measured(rows)] for name, cell in columns.items()}
    shown = {name: cells for name, cells in shown.items() if any(cells) and (name not in SIZE or len(set(cells)) > 1)}
    table = empty_table(title, list(shown))
    for row, *cells in zip(measured(rows), *shown.values(), strict=True):
        table.add_row(label(row), *cells)
    print_table(console, table, rows)


def draw(series: Mapping[str, Sequence[Row]], titles: Mapping[str, str]) -> Figure:
    """A panel for each series: bars of parts for cases and models, curves over image size and people."""
    shown = {name: measured(rows) for name, rows in series.items()}
    shown = {name: rows for name, rows in shown.items() if rows}
    panels = {"cases": _draw_bars, "models": _draw_bars, "sides": _draw_curve, "people": _draw_curve}
    columns = min(2, max(1, len(shown)))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(6.5 * columns, 4.2 * max(1, lines)), layout="constrained")
    grid = figure.subplots(max(1, lines), columns, squeeze=False).ravel()
    for axes, (name, rows) in zip(grid, shown.items(), strict=False):
        panels[name](axes, rows)
        axes.set_title(titles[name], fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(shown) :]:
        axes.remove()
    return figure


def _draw_bars(axes: Axes, rows: Sequence[Row]) -> None:
    """Medians of the parts for an image."""
    widths = {
        part: [row.milliseconds[part].median_ms / row.batch if part in row.milliseconds else 0.0 for row in rows]
        for part in PARTS
    }
    draw_bars(axes, [label(row) for row in rows], widths, COLOURS)
    axes.set(xlabel="ms an image, median of each part")


def _draw_curve(axes: Axes, rows: Sequence[Row]) -> None:
    """Medians, and bands up to the 95th percentile, over the number that rows are named by."""
    places = [int(row.name) for row in rows]
    for part, colour in ((NETWORK_DECODE, COLOURS[NETWORK]), (DECODE, COLOURS[DECODE])):
        draw_curve(axes, places, [row.milliseconds[part] for row in rows], colour, part)
    axes.set(ylabel="ms", ylim=(0, None), xticks=places)
    axes.legend(loc="center right", fontsize=8)


def _median(part: str) -> Callable[[Row], str]:
    return lambda row: f"{row.milliseconds[part].median_ms:.1f}" if part in row.milliseconds else ""
