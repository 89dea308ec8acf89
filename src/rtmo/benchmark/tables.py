"""What the tables of all benchmarks have in common."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from rtmo.benchmark.series import Row


def measured(rows: Sequence[Row]) -> list[Row]:
    """Those with numbers."""
    return [row for row in rows if row.error is None]


def label(row: Row) -> str:
    """Name of a row, and its batch if it is more than an image."""
    return row.name if row.batch == 1 else f"{row.name}, batch {row.batch}"


def known(value: float | None, form: str) -> str:
    """The value in a format; nothing for None."""
    return "" if value is None else f"{value:{form}}"


def empty_table(title: str, columns: Sequence[str]) -> Table:
    """One of milliseconds, with a column for the names of rows before the others."""
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("ms", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def print_table(console: Console, table: Table, rows: Sequence[Row]) -> None:
    """The table, and why rows are missing in it."""
    console.print(table)
    for line in reasons(rows):
        console.print(line, markup=False)


def markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table for a page, numbers to the right of names."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rule, *lines))


def reasons(rows: Sequence[Row]) -> list[str]:
    """Why rows have no numbers."""
    return [f"{label(row)}: not measured: {row.error}" for row in rows if row.error is not None]
