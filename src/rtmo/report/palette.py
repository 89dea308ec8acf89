"""One colour and line style for each row of a report, in all its figures and tables."""

# Six colours of Okabe and Ito that people tell apart whatever their colour vision, on white and on black.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")


def colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def line_style(index: int) -> str:
    """Another one when colours begin again."""
    return LINES[index // len(COLOURS) % len(LINES)]


def marker(index: int) -> str:
    """Likewise."""
    return MARKERS[index // len(COLOURS) % len(MARKERS)]
