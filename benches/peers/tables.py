"""Text tables for people: on the terminal and in Markdown, the same."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up in plain text too; all but the first are right-aligned."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in (head, rule, *rows))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return f"| {' | '.join(padded)} |"


def ratio(value: float | None) -> str:
    """A ratio with two significant figures below ten."""
    if value is None:
        return "-"
    if value < 0.0995:
        return f"{value:.3f}"
    return f"{value:.2f}" if value < 9.95 else f"{value:.0f}"


def verdicts(judged: Sequence[tuple[str, float, float]]) -> str:
    """A table of bars: what is compared, the ratio that it may have at most, the one that was found."""
    rows = [
        [what, ratio(most), ratio(found), "met" if found <= most else "MISSED"]
        for what, most, found in judged
    ]
    return table(["bar", "at most", "here", ""], rows)
