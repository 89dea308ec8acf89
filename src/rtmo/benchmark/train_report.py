"""Tables and the picture of a benchmark of training."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console

from rtmo.benchmark.charts import draw_bars, draw_curve
from rtmo.benchmark.series import Row
from rtmo.benchmark.tables import empty_table, known, measured, print_table
from rtmo.benchmark.training import ASSIGNMENT, LOSSES, PARTS, STEP, WORK

# Okabe and Ito's, told apart by people of any colour vision
COLOURS = dict(
    zip(
        PARTS,
        ("#999999", "#0072b2", "#d55e00", "#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#dddddd"),
        strict=True,
    )
)


def print_steps(console: Console, title: str, rows: Sequence[Row]) -> None:
    """A row for each case: medians in ms, then what else is known."""
    table = empty_table(title, (*PARTS, WORK, STEP, "95th", "images/s", "of peak", "MiB"))
    for row in measured(rows):
        step = row.milliseconds[STEP]
        numbers = [f"{row.milliseconds[part].median_ms:.1f}" for part in (*PARTS, WORK, STEP)]
        numbers += [f"{step.p95_ms:.1f}", f"{1000 * row.batch / step.median_ms:.2f}"]
        table.add_row(row.name, *numbers, known(row.share_of_peak, ".0%"), known(row.memory_mib, ".0f"))
    print_table(console, table, rows)


def print_losses(console: Console, title: str, rows: Sequence[Row]) -> None:
    """A row for each number of people: medians in ms."""
    if rows:
        table = empty_table(title, (ASSIGNMENT, LOSSES, "both"))
        for row in measured(rows):
            table.add_row(row.name, *(f"{row.milliseconds[part].median_ms:.1f}" for part in (ASSIGNMENT, LOSSES, STEP)))
        print_table(console, table, rows)


def draw(titles: Mapping[str, str], steps: Sequence[Row], losses: Sequence[Row]) -> Figure:
    """Bars of parts by case, and curves of assignment and losses over people."""
    panels = {"steps": (_draw_bars, measured(steps)), "losses": (_draw_curves, measured(losses))}
    shown = {name: panel for name, panel in panels.items() if panel[1]}
    figure = Figure(figsize=(7.5 * max(1, len(shown)), 4.2), layout="constrained")
    for place, (name, (draw_panel, rows)) in enumerate(shown.items(), start=1):
        axes = figure.add_subplot(1, len(shown), place)
        draw_panel(axes, rows)
        axes.set_title(titles[name], fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_bars(axes: Axes, rows: Sequence[Row]) -> None:
    """Medians of the parts of a step."""
    widths = {part: [row.milliseconds[part].median_ms for row in rows] for part in PARTS}
    draw_bars(axes, [row.name for row in rows], widths, COLOURS)
    axes.set(xlabel="ms a step, median of each part")


def _draw_curves(axes: Axes, rows: Sequence[Row]) -> None:
    """Medians, and bands up to the 95th percentile."""
    places = [int(row.name) for row in rows]
    for part in (ASSIGNMENT, LOSSES):
        draw_curve(axes, places, [row.milliseconds[part] for row in rows], COLOURS[part], part)
    axes.set(xlabel="people in every image", ylabel="ms", ylim=(0, None), xticks=places)
    axes.legend(loc="upper left", fontsize=8)
