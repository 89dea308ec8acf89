"""What data sets hold, as table, figure and JSON: ``python -m rtmo.data stats``; ``--help`` lists what can be set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from rtmo import config
from rtmo.config_data import data_sets
from rtmo.data.coco_json import RawAnnotations, write_json
from rtmo.data.described import Node, joint_names, read
from rtmo.data.statistics import Statistics, read_statistics
from rtmo.data.statistics_figure import write_figure
from rtmo.data_commands.console import report_console
from rtmo.skeletons import KeypointSet, keypoint_set
from rtmo.targets import build
from rtmo.train import KEYS as TRAIN_KEYS

KEYS = TRAIN_KEYS | {"output"}


@config.main("data_stats", KEYS)
def main(cfg: dict[str, Any]) -> None:
    """Counts, prints a table and writes the figure."""
    skeleton, folder = keypoint_set(cfg["skeleton"]), Path(cfg["output"])
    statistics = {key: of_node(node, key, skeleton) for key, node in data_sets(cfg["data"])}
    console = report_console()
    console.print(as_table(statistics))
    write_figure(folder / "stats.png", statistics)
    report = {key: one.summary() for key, one in statistics.items()}
    write_json(folder / "stats.json", report, label=f"output={folder}", indent=2)
    for name in ("stats.png", "stats.json"):
        console.print(str(folder / name), soft_wrap=True)


def of_node(node: Node, key: str, skeleton: KeypointSet) -> Statistics:
    """The statistics of the data set that a node describes.

    Raises:
        InputError: If it cannot be used.
    """
    raw, names = read(node, key, skeleton), joint_names(node)
    if raw is None:  # drawn people
        source = build(node, key, skeleton)
        raw = RawAnnotations(Path(source.name), Path(), source.ground_truth())
    return read_statistics(raw, skeleton, None if names is None else tuple(names))


def as_table(statistics: Mapping[str, Statistics]) -> Table:
    """A line per data set."""
    table = Table("data set", *_COLUMNS)
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.justify = "right"
    for key, one in statistics.items():
        table.add_row(key, *_cells(one))
    return table


_COLUMNS = (
    *("images", "without people", "people", "ignored", "per image", "S / M / L", "median size"),
    *("labeled joints", "of them hidden", "IoU >= 0.3"),
)


def _cells(one: Statistics) -> list[str]:
    found, people = one.summary(), max(1, len(one.area))
    by_size = " / ".join(f"{count / people:.0%}" for count in found["people_by_size"].values())
    visible, hidden = one.joint_states[:, 0].sum(), one.joint_states[:, 1].sum()
    return [
        *(str(found[name]) for name in ("images", "images_without_people", "people", "ignored_people")),
        f"{len(one.area) / max(1, found['images']):.2f}",
        by_size,
        "-" if found["scale"] is None else f"{found['scale']['50%']:.2f}",
        f"{(visible + hidden) / people:.1f}",
        f"{hidden / max(1, visible + hidden):.0%}",
        f"{found['people_by_overlap']['0.3'] / people:.0%}",
    ]


if __name__ == "__main__":
    main()
