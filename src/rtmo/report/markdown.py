"""A report as Markdown, with its figures as files beside it; pictures stay on the page."""

import re
from collections.abc import Sequence

from rtmo.report.document import Figure, Folded, Gallery, Section, Table, Text

FIGURES = "figures"  # folder of the files


def as_markdown(title: str, facts: Sequence[tuple[str, str]], sections: Sequence[Section]) -> str:
    """Headings, tables, links to figures."""
    lines = [f"# {title}", "", *(f"- {name}: {_escape(value)}" for name, value in facts)]
    for section in sections:
        if any(isinstance(block, Gallery) for block in section.blocks):
            continue
        lines += ["", f"## {section.title}"]
        for block in section.blocks:
            if isinstance(block, Folded):
                continue
            lines.append("")
            match block:
                case Text(text):
                    lines.append(_escape(text))
                case Table():
                    lines += _table(block)
                case Figure(name, _, caption):
                    lines += [f"![{name}]({FIGURES}/{name}.svg)", "", f"*{caption}*"]
    return "\n".join(lines) + "\n"


def _table(table: Table) -> list[str]:
    rule = ["---:" if numeric else "---" for numeric in table.numeric]
    texts = [[cell.text for cell in line] for line in table.lines]
    return [f"| {' | '.join(map(_escape, line))} |" for line in (table.columns, rule, *texts)]


def _escape(text: str) -> str:
    return re.sub(r"([\\|<>*_`])", r"\\\1", text.replace("\n", " "))
