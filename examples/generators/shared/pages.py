"""Figures in cards and pages: each stands between two marks, and is put there by what measures it."""

from __future__ import annotations

from pathlib import Path

from whole import write_atomically


def put_in(card: Path, name: str, text: str) -> None:
    """Replace what stands in a card between ``<!-- name -->`` and ``<!-- /name -->``.

    :raises ValueError: if the card has no such place.
    """
    begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    before, there, rest = card.read_text(encoding="utf-8").partition(begin)
    _, ends, after = rest.partition(end)
    if not (there and ends):
        raise ValueError(f"{card} has no place for figures between {begin.strip()} and {end.strip()}")
    write_atomically(card, lambda stream: stream.write(f"{before}{begin}{text}{end}{after}".encode()))
