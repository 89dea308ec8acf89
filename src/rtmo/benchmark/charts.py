"""What the pictures of all benchmarks have in common."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from rtmo.benchmark.latency import Latency


def draw_bars(
    axes: Axes, names: Sequence[str], widths: Mapping[str, Sequence[float]], colours: Mapping[str, str]
) -> None:
    """A bar for each name, the first at the top, of parts side by side with their sum behind them.

    Args:
        widths: By part, a number for each name.
        colours: By part.
    """
    starts = [0.0] * len(names)
    for part, numbers in widths.items():
        axes.barh(names, numbers, left=starts, color=colours[part], label=part)
        starts = [start + number for start, number in zip(starts, numbers, strict=True)]
    for place, end in enumerate(starts):
        axes.text(end, place, f" {end:.0f}", va="center")
    axes.invert_yaxis()
    axes.set_xlim(0, 1.45 * max(starts))  # the legend is beside the bars
    axes.legend(loc="lower right", fontsize=8)


def draw_curve(axes: Axes, places: Sequence[int], times: Sequence[Latency], colour: str, label: str) -> None:
    """A line of medians, and a band from it up to the 95th percentile."""
    medians = [time.median_ms for time in times]
    axes.plot(places, medians, "o-", color=colour, label=f"{label}, median")
    highest = [time.p95_ms for time in times]
    axes.fill_between(places, medians, highest, color=colour, alpha=0.2, linewidth=0, label="to 95th percentile")
