"""What a report consists of, apart from how it is written: sections of text, tables, figures and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Attributes:
        value: What the page sorts by; None sorts as text, and a dash last.
        shade: Strength of the background in a heat map, 0 to 1.
        colour: Of the row in figures, shown beside the text.
    """

    text: str
    value: float | None = None
    shade: float | None = None
    colour: str | None = None


@dataclass(frozen=True)
class Table:
    """The first column names what a line is about."""

    columns: Sequence[str]
    lines: Sequence[Sequence[Cell]]

    @property
    def numeric(self) -> list[bool]:
        """Which columns are numbers: those with a value anywhere."""
        return [any(line[column].value is not None for line in self.lines) for column in range(len(self.columns))]


@dataclass(frozen=True)
class Figure:
    """A drawing as an SVG element; ``name`` is that of its file."""

    name: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Picture:
    """An image inside the page, as a data URI."""

    uri: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Pictures under a title."""

    title: str
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Text:
    """A paragraph; ``warning`` if it tells of something that lacks."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Folded:
    """Lines that are shown when asked for."""

    title: str
    lines: Sequence[str]


Block = Table | Figure | Gallery | Text | Folded


@dataclass(frozen=True)
class Section:
    """A part of the report with a heading."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        return self.title.lower().replace(" ", "-")
