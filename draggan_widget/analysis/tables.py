"""Tables as text."""

from __future__ import annotations

from collections.abc import Sequence

MISSING = "–"


def lay_out(head: Sequence[str], rows: Sequence[Sequence[str]], *, padded: bool = True) -> str:
    """Return a table that reads well on a terminal and is one in Markdown.

    :param padded: False: for a page of Markdown alone, where blanks would only make lines long.
    """
    if not padded:
        first, *others = (f"| {' | '.join(cells).strip()} |" for cells in (head, *rows))
        return "\n".join([first, f"|---|{'---:|' * (len(head) - 1)}", *others])
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * (width - 1) + ":" for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )
