"""The results as one table, ratios first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from draggan_widget.analysis.tables import MISSING, lay_out


def table(results: dict[str, Any]) -> str:
    """Return the table of what there is in ``results`` (see ``bench.run``), finished or not."""
    parts = [_machine(results)]
    cases = results.get("cases", [])
    if cases:
        parts.append(_cases(cases))
    if edit := results.get("edit"):
        parts.append(
            f"a run of {edit['steps']} steps at {edit['size']} px with {edit['frames']} pictures on its way: "
            f"{edit['with_frames_s']:.2f} s (the very first {edit['cold_s']:.2f} s); "
            f"steps alone {edit['steps_a_second']:.0f} a second"
        )
    ways = {"in process": results.get("frames"), "in a browser": results.get("browser")}
    if there := {name: figures for name, figures in ways.items() if figures}:
        parts.append(lay_out([f"pulling {results['model']}", *there], _waits(list(there.values()))))
    parts += [f"left out: {each}" for each in results.get("left_out", [])]
    return "\n\n".join(parts)


def _machine(results: dict[str, Any]) -> str:
    device = results.get("device_name") or results["cpu"]
    return (
        f"draggan_widget {results['draggan_widget']}, torch {results['torch']}, Python {results['python']}; {device}, "
        f"{results['threads']} threads, {results['dtype']}; config F with random weights"
    )


def _cases(cases: Sequence[dict[str, Any]]) -> str:
    """Return a row for each case, without columns that have no figure.

    Ratios come first: they hold on other machines too.
    """
    columns: list[tuple[str, list[str]]] = [
        ("picture", [f"{each['case']['size']} px" for each in cases]),
        ("handles", [str(each["case"]["handles"]) for each in cases]),
        ("mask", ["yes" if each["case"]["mask"] else "no" for each in cases]),
    ]
    ours = ("default", "official")
    columns += [(f"{side} faster", [_times(each.get("ratios", {}).get(side)) for each in cases]) for side in ours]
    columns += [(f"{side} leaner", [_times(_leaner(each.get("bytes", {}), side)) for each in cases]) for side in ours]
    for name, key, unit in (("ms", "seconds", 1000), ("MB", "bytes", 1e-6)):
        for side in (*ours, "original"):
            figures = [_figure(each.get(key, {}).get(side), unit) for each in cases]
            columns.append((f"{side}, {name}", figures))
    told = [(head, cells) for head, cells in columns if any(cell != MISSING for cell in cells)]
    return lay_out([head for head, _ in told], list(zip(*[cells for _, cells in told], strict=True)))


def _leaner(held: dict[str, int], side: str) -> float | None:
    return held["original"] / max(held[side], 1) if side in held and "original" in held else None


def _waits(ways: Sequence[dict[str, Any]]) -> list[list[str]]:
    rows = (
        ("first changed sharp frame, ms", "first_frame_s", 1000),
        ("sharp frames a second", "frames_a_second", 1),
        ("steps a second", "steps_a_second", 1),
        ("a pull of 5 % ends after, s", "arrival_s", 1),
    )
    return [[name, *(_figure(way.get(key), unit) for way in ways)] for name, key, unit in rows]


def _times(ratio: float | None) -> str:
    return MISSING if ratio is None else f"{ratio:.1f}×"


def _figure(value: float | None, unit: float) -> str:
    if value is None:
        return MISSING
    value = value * unit
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}"
