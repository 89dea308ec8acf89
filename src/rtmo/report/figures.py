"""The figures of a report, as SVG that a page can hold: text stays text, the background is the page's."""

import io
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from rtmo.report.curves import band, images_per_epoch, phase_starts
from rtmo.report.document import Figure
from rtmo.report.networks import Timings
from rtmo.report.palette import colour, line_style, marker
from rtmo.report.rows import Row
from rtmo.report.scores import spread

GREY = "#808080"  # of axes and grids: shows on white and on black
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rtmo",  # the same picture is the same file
    "font.size": 9,
    "text.parse_math": False,  # a label may have dollars
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.titlesize": 9,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "legend.frameon": False,
    "savefig.transparent": True,
}
WIDTH = 10.0  # inches
LEGEND_ROW = 0.22  # inches
LEGEND_WIDTH = 125  # characters
TICK_WIDTH = 36  # characters of a row's label beside an axis


def scores(rows: Sequence[Row], baseline: Row, name: str) -> Figure | None:
    """Every run's score, and mean and deviation of every row; None if no run has one."""
    if not any(row.values(name) for row in rows):
        return None
    with mpl.rc_context(STYLE):
        labels = [_wrapped(row.label) for row in rows]
        lines = max(1 + label.count("\n") for label in labels)
        canvas = Canvas(figsize=(WIDTH, 0.9 + (0.14 + 0.18 * lines) * len(rows)), layout="constrained")
        axes = canvas.subplots()
        for index, row in enumerate(rows):
            values, found = row.values(name), spread(row.values(name))
            if found is None:
                continue
            axes.plot(values, [index] * len(values), "|", color=colour(index), markersize=12, alpha=0.8)
            style: dict[str, Any] = {"fmt": marker(index), "color": colour(index), "capsize": 3}
            axes.errorbar(found.mean, index, xerr=found.deviation, **style)
            if row is baseline:
                axes.axvline(found.mean, color=GREY, linewidth=0.8, linestyle="--")
        axes.set_yticks(range(len(rows)), labels)
        axes.set(xlabel=name, ylim=(len(rows) - 0.5, -0.5))
        caption = (
            f"{name} of the last validation: a stroke for each run, mean and sample deviation over seeds; "
            "the dashed line is the baseline's mean."
        )
        return Figure(f"scores-{name}", to_svg(canvas), caption)


def learning_curves(rows: Sequence[Row], column: str) -> Figure | None:
    """A validated score against images seen, and epochs if they are the same for all rows."""
    if not any(band(row, column) for row in rows):
        return None
    with mpl.rc_context(STYLE):
        canvas = new_canvas(rows, height=4.0)
        axes = canvas.subplots()
        _draw_bands(axes, rows, column)
        _mark_phases(axes, rows)
        axes.set(xlabel="images seen", ylabel=column)
        lengths = {images_per_epoch(run) for row in rows for run in row.finished if run.curves.get(column)}
        if len(lengths) == 1 and (length := lengths.pop()):
            epochs = axes.secondary_xaxis(
                -0.2, functions=(partial(np.multiply, 1 / length), partial(np.multiply, length))
            )
            epochs.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
            epochs.set_xlabel("epochs")
        place_legend(canvas, axes, rows)
        caption = (
            f"{column} of every validation, mean and sample deviation over seeds; "
            "dotted lines where phases A, B and C begin."
        )
        return Figure(column.replace("/", "-"), to_svg(canvas), caption)


def panels(rows: Sequence[Row], columns: Sequence[str], name: str, what: str) -> Figure | None:
    """A small panel for each logged column; None without columns."""
    if not columns:
        return None
    across = 3
    down = -(-len(columns) // across)
    with mpl.rc_context(STYLE):
        canvas = new_canvas(rows, height=2.1 * down)
        grid = canvas.subplots(down, across, squeeze=False).ravel()
        for axes, column in zip(grid, columns, strict=False):
            _draw_bands(axes, rows, column)
            _mark_phases(axes, rows)
            axes.set_title(column, loc="left", pad=14)
            axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
        for axes in grid[len(columns) :]:
            axes.set_axis_off()
        canvas.supxlabel("images seen", fontsize=9)
        place_legend(canvas, grid[0], rows)
        caption = f"{what}, mean and sample deviation over seeds; a point is the mean of a hundredth of the run."
        return Figure(name, to_svg(canvas), caption)


def latency_against_score(rows: Sequence[Row], timings: Timings, name: str) -> Figure | None:
    """Faster is further left, better is further up."""
    points = [
        (index, row, timings.by_label[row.label].latency, found)
        for index, row in enumerate(rows)
        if row.label in timings.by_label and (found := spread(row.values(name)))
    ]
    if not points:
        return None
    with mpl.rc_context(STYLE):
        canvas = new_canvas(rows, height=3.6)
        axes = canvas.subplots()
        for index, row, latency, found in points:
            late = [[0.0], [latency.p95_ms - latency.median_ms]]
            style: dict[str, Any] = {"fmt": marker(index), "color": colour(index), "capsize": 3, "label": row.label}
            axes.errorbar(latency.median_ms, found.mean, xerr=late, yerr=found.deviation, **style)
        axes.set(xlabel="latency, ms", ylabel=name)
        axes.margins(0.15)
        place_legend(canvas, axes, rows)
        caption = f"{name} (deviation over seeds) against median latency (to the 95th percentile)."
        return Figure("latency", to_svg(canvas), caption)


def draw_line(
    axes: Axes, index: int, row: Row, x: Sequence[float], y: Sequence[float], marks: bool = True, label: bool = True
) -> None:
    """A line in the style of a row."""
    style: dict[str, Any] = {
        "color": colour(index),
        "linestyle": line_style(index),
        "label": row.label if label else None,
    }
    axes.plot(x, y, marker=marker(index) if marks else "", markersize=4, linewidth=1.4, **style)


def _wrapped(label: str) -> str:
    """In lines of at most ``TICK_WIDTH``, where an override may be broken."""
    lines = [""]
    for piece in re.findall(r"[^.=_, ]*[.=_, ]?", label):
        if len(lines[-1] + piece) > TICK_WIDTH:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def new_canvas(rows: Sequence[Row], height: float) -> Canvas:
    return Canvas(figsize=(WIDTH, height + LEGEND_ROW * -(-len(rows) // _legend_columns(rows))), layout="constrained")


def _legend_columns(rows: Sequence[Row]) -> int:
    longest = max(len(row.label) for row in rows)
    return max(1, min(4, LEGEND_WIDTH // (longest + 8)))


def _draw_bands(axes: Axes, rows: Sequence[Row], column: str) -> None:
    for index, row in enumerate(rows):
        if (found := band(row, column)) is None:
            continue
        draw_line(axes, index, row, found.images.tolist(), found.mean.tolist(), marks=len(found.images) < 40)
        low, high = found.mean - found.deviation, found.mean + found.deviation
        axes.fill_between(found.images, low, high, color=colour(index), alpha=0.18, linewidth=0)
    axes.set_xlim(left=0)


def _mark_phases(axes: Axes, rows: Sequence[Row]) -> None:
    """Where phases begin, once where rows agree."""
    trained = [run for row in rows for run in row.finished if run.config]
    for name, images in sorted({start for run in trained for start in phase_starts(run)}):
        axes.axvline(images, color=GREY, linewidth=0.8, linestyle=":")
        axes.annotate(name, (images, 1), (2, 2), xycoords=("data", "axes fraction"), textcoords="offset points")


def place_legend(canvas: Canvas, axes: Axes, rows: Sequence[Row]) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        canvas.legend(handles, labels, loc="outside upper left", ncols=_legend_columns(rows))


def to_svg(canvas: Canvas) -> str:
    """The element alone, without ids that would be there twice on a page; black text takes the page's colour."""
    buffer = io.StringIO()
    canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r'<g id="[a-z]+[A-Za-z0-9.]*_\d+"', "<g", text)
