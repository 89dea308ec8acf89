"""docs/numerics.md, which `make parity` writes, is whole, within its limits, and of the versions that are pinned."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "numerics.md").read_text()


def rows(after: str) -> list[list[str]]:
    """Cells of the first table below a line of the page, without its header."""
    table = re.search(r"(?:^\|.*\n)+", PAGE[PAGE.index(after) :], flags=re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


def test_every_difference_is_within_its_limit() -> None:
    held = rows("# Side by side")
    assert len(held) == 6
    for what, limit, largest in held:
        assert float(largest) <= float(limit), what


def test_every_network_is_compared() -> None:
    compared = [(name.strip("`"), int(side)) for name, side, *_ in rows("## What the networks say")]
    assert compared == [
        *(("rtmo_t", 416), ("rtmo_t", 640), ("rtmo_s", 640), ("rtmo_m", 640), ("rtmo_l", 640)),
        ("rtmo_s_k14", 640),
    ]
    assert all(5 <= int(people) <= 50 for _, _, people, *_ in rows("## What the networks say"))
    assert len(rows("## One training step")) == 4 * 3
    assert len(rows("## Ten training steps")) == 10


def test_versions_are_the_pinned_ones() -> None:
    installed = (ROOT / "scripts" / "parity" / "requirements.txt").read_text() + (ROOT / "Makefile").read_text()
    for package in ("mmpose", "mmengine", "mmcv", "torch", "numpy"):
        version = re.search(rf"\b{package}(?:-lite)?==([\d.]+)", installed)
        assert version, package
        assert f"{package} {version[1]}" in PAGE
    ours = re.search(r"^torch==([\d.]+)$", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    assert ours
    assert f"Ours: torch {ours[1]}" in PAGE
