"""Where commands print their tables."""

from rich.console import Console

PLAIN_WIDTH = 160  # characters, of tables in files and pipes


def report_console() -> Console:
    """The terminal, or wide enough for a table where there is none."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console
