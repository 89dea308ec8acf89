"""A report as one HTML file: nothing outside of it is read, which its own content security policy enforces."""

import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template

from rtmo.report.document import Block, Cell, Figure, Folded, Gallery, Section, Table, Text


def as_html(title: str, facts: Sequence[tuple[str, str]], sections: Sequence[Section]) -> str:
    """The whole page.

    Args:
        facts: What the report is of, as names and values.
    """
    parts = files("rtmo.report") / "page"
    return Template((parts / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(title),
        style=(parts / "page.css").read_text(encoding="utf-8"),
        script=(parts / "page.js").read_text(encoding="utf-8"),
        links="\n".join(f'<a href="#{section.anchor}">{escape(section.title)}</a>' for section in sections),
        facts="\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts),
        sections="\n".join(_section(section) for section in sections),
    )


def _section(section: Section) -> str:
    blocks = "\n".join(_block(block) for block in section.blocks)
    return f'<section id="{section.anchor}">\n<h2>{escape(section.title)}</h2>\n{blocks}\n</section>'


def _block(block: Block) -> str:
    match block:
        case Text(text, warning):
            return f'<p class="{"warning" if warning else "note"}">{escape(text)}</p>'
        case Table():
            return _table(block)
        case Figure(_, svg, caption):
            return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"
        case Gallery():
            return _gallery(block)
        case Folded(title, lines):
            return f"<details><summary>{escape(title)}</summary><pre>{escape(chr(10).join(lines))}</pre></details>"


def _table(table: Table) -> str:
    kinds = ["number" if numeric else "text" for numeric in table.numeric]
    head = "".join(
        f'<th scope="col" class="{kind}"><button>{_breakable(column)}</button></th>'
        for column, kind in zip(table.columns, kinds, strict=True)
    )
    body = "\n".join(f"<tr>{''.join(map(_cell, line, kinds, range(len(line))))}</tr>" for line in table.lines)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _cell(cell: Cell, kind: str, place: int) -> str:
    value = "" if cell.value is None else f' data-value="{cell.value!r}"'
    shade = "" if cell.shade is None else f' style="--shade: {cell.shade:.3f}"'
    text = escape(cell.text)
    if cell.colour is not None:
        text = f'<span><i style="background: {cell.colour}"></i>{text}</span>'
    tag = "td" if place else "th"
    scope = "" if place else ' scope="row"'
    return f'<{tag}{scope} class="{kind}"{value}{shade}>{text}</{tag}>'


def _breakable(title: str) -> str:
    """May wrap within an override."""
    return re.sub(r"(?<=[.=_,/])(?=\w)", "<wbr>", escape(title))


def _gallery(gallery: Gallery) -> str:
    pictures = "\n".join(
        f'<figure><img src="{picture.uri}" alt="{escape(picture.caption)}"><figcaption>{escape(picture.caption)}'
        "</figcaption></figure>"
        for picture in gallery.pictures
    )
    alone = " sheet" if len(gallery.pictures) == 1 else ""
    return f'<h3>{escape(gallery.title)}</h3>\n<div class="gallery{alone}">\n{pictures}\n</div>'
