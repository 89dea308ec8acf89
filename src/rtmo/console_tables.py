"""What a validation found, as tables on the console."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

SCORES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AP_easy", "AP_medium", "AP_hard")  # shown, if there


def print_scores(console: Console, scores: Mapping[str, float], title: str, folder: str | Path) -> None:
    """The figures of a validation, a row for each data set, and where everything lies."""
    if scores:
        table = Table(title=title)
        shown = [name for name in SCORES if name in scores]
        sets = {name.rpartition("/")[0]: None for name in scores}  # "" is data.val, others are of data.more_val
        for name in [*([""] if len(sets) > 1 else []), *shown]:
            table.add_column(name, justify="right")
        for prefix in sets:
            # COCO's -1 says that there is nobody of that size to find
            of_set = (scores.get(f"{prefix}/{name}".lstrip("/"), -1) for name in shown)
            row = [f"{score:.3f}" if score >= 0 else "-" for score in of_set]
            table.add_row(*([prefix or "val"] if len(sets) > 1 else []), *row)
        console.print(table)
    console.print(f"everything of this run is in {folder}", markup=False)


def print_errors(console: Console, analysis: Mapping[str, Any]) -> None:
    """How many people were found, and what their joints are like, of an ``analyse``."""
    people, joints = analysis["errors"]["people"], analysis["errors"]["keypoints"]
    total = max(sum(joints.values()), 1)
    table = Table(title="people, and joints of those found")
    cells = {name.replace("_", " "): str(count) for name, count in people.items()}
    cells |= {kind: f"{count / total:.1%}" for kind, count in joints.items()}
    for name in cells:
        table.add_column(name, justify="right")
    table.add_row(*cells.values())
    console.print(table)
