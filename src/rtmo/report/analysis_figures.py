"""Figures from the runs' analysis.json: AP by people and crowding, calibration of scores."""

import re
from collections.abc import Sequence

import matplotlib as mpl

from rtmo.report.document import Figure
from rtmo.report.figures import GREY, STYLE, draw_line, new_canvas, place_legend, to_svg
from rtmo.report.rows import Row
from rtmo.report.runs import is_score
from rtmo.report.scores import spread


def by_group(rows: Sequence[Row]) -> Figure | None:
    """AP of images with so many people, and of images so crowded; mean over runs."""
    groups = {"people": "by_people", "crowding": "by_crowding"}
    with mpl.rc_context(STYLE):
        canvas = new_canvas(rows, height=3.2)
        for axes, (field, part) in zip(canvas.subplots(1, 2), groups.items(), strict=True):
            names = sorted({one[field] for row in rows for a in row.analyses for one in a[part]}, key=_least)
            for index, row in enumerate(rows):
                means = [spread(_ap_of(row, part, field, name)) for name in names]
                known = [(place, mean.mean) for place, mean in enumerate(means) if mean is not None]
                if known:
                    draw_line(axes, index, row, [place for place, _ in known], [ap for _, ap in known])
            axes.set_xticks(range(len(names)), names)
            axes.set(xlabel={"people": "people in the image", "crowding": "crowding of the image"}[field], ylabel="AP")
        place_legend(canvas, canvas.axes[0], rows)
        caption = "AP over images with so many labeled people, and over images so crowded; mean over seeds."
        return Figure("groups", to_svg(canvas), caption)


def calibration(rows: Sequence[Row]) -> Figure | None:
    """What scores of people and joints should have been against what they are; a line for each run."""
    with mpl.rc_context(STYLE):
        canvas = new_canvas(rows, height=3.6)
        outcomes = {"instance": "oks", "keypoint": "labeled"}
        for axes, (what, outcome) in zip(canvas.subplots(1, 2), outcomes.items(), strict=True):
            axes.plot((0, 1), (0, 1), color=GREY, linewidth=0.8, linestyle="--")
            for index, row in enumerate(rows):
                for number, analysis in enumerate(row.analyses):
                    bins = analysis["calibration"][what]
                    x, y = [one["score"] for one in bins], [one[outcome] for one in bins]
                    draw_line(axes, index, row, x, y, label=number == 0)
            axes.set(xlabel=f"{what} score", xlim=(0, 1), ylim=(0, 1))
            axes.set_ylabel({"oks": "OKS", "labeled": "share labeled"}[outcome])
        place_legend(canvas, canvas.axes[0], rows)
        caption = (
            "OKS of people, and share of joints that are labeled, against their scores; a line for each run. On the "
            "dashed line scores mean what they say, below it they promise too much."
        )
        return Figure("calibration", to_svg(canvas), caption)


def _least(group: str) -> float:
    """The number that a group begins with: 3 of ``3-4``."""
    return float(re.findall(r"[\d.]+", group)[0])


def _ap_of(row: Row, part: str, field: str, name: str) -> list[float]:
    found = (one for analysis in row.analyses for one in analysis[part] if one[field] == name)
    return [one["AP"] for one in found if is_score(one["AP"])]
