"""The field side by side: every engine in every experiment, and other trackers, as one table with pictures.

``parts`` says what is measured, ``measure`` does it and goes on where it was stopped, ``table`` and ``plots`` show the
rows; a notebook and ``tests/field.py``, which writes docs/field.md, both use them.
"""

from __future__ import annotations

import dataclasses
import io
import math
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from draggan_widget.analysis.experiments.evaluation import Evaluation, Interrupted, Style, evaluate
from draggan_widget.analysis.experiments.experiments import (
    Detector,
    Experiment,
    Landmarks,
    Reconstruction,
    RoundTrip,
)
from draggan_widget.analysis.experiments.ways import NO_EDIT, Way, block_ways, engine_ways, setting_ways, tracker_ways
from draggan_widget.analysis.tables import MISSING
from draggan_widget.models import Generator

CAP = 300
"""Steps, of every engine in every experiment."""
FIRST_SEED = 25_000
"""Of landmarks. The engines' settings were chosen on others, those from 5000 on."""
FIRST_PAIR, FIRST_ROUND = 29_000, 27_000
"""First seeds of paired reconstruction and of the round trip, likewise."""
TRACKERS = ("features:4+5", "features:5", "metric", "flow")
"""Beside the engines' own; RAFT and PIPs too, where somebody brought their weights."""
TITLES = (
    *("one point", "five points", "68 points", "a picture into another", "there and back"),
    *("other blocks, one point", "other trackers, one point", "other settings, one point"),
)
"""Of the parts, in their order."""
PLOTTED = {
    "ms_dssim_before": "change of the picture, MS-DSSIM",
    "seconds": "seconds of a thread",
}
"""What the distance is plotted against, and how the axis is called."""
KEPT_FROM = 0.25
"""Shares of the samples from which on the parts that answer most keep as many as ``parts`` says, whatever the share."""
FIRST = ("distance", "lost", "arrived", "steps", "seconds", "to_go", "ms_dssim_before", "identity", "mahalanobis2")
"""Figures that stand first in a table, in this order."""
HEADS = {
    "distance": "px left",
    "seconds": "seconds",
    "to_go": "px left, by its own word",
    "ms_dssim_before": "change, MS-DSSIM",
    "identity": "faces apart",
    "mahalanobis2": "distance² of latents",
}
"""What figures are called in the tables of the page, where that is not as elsewhere."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f3c8d", "#666666")
"""Of the ways, in the order in which they first appear: told apart by eyes of all kinds (Okabe and Ito)."""


@dataclasses.dataclass(frozen=True)
class Part:
    """An experiment in several ways."""

    title: str
    """By which its rows are known."""
    experiment: Experiment
    ways: tuple[Way, ...]
    samples: int


def parts(generator: Generator, share: float = 1.0, trackers: Sequence[str] = TRACKERS) -> list[Part]:
    """Return what is measured: engines by landmarks of 1, 5 and 68 points, reconstruction and a round trip; features of
    other blocks; other trackers, in ``draggan`` and ``natural``; and settings that engines share. All with no edit
    beside it, and all ways of a part on the same samples: a mean over other samples would be no comparison.

    :param share: of the samples, for a first look; at least two of each. From a quarter on the parts of few points, by
        which engines are told apart, keep 50 pairs, and other trackers 30; what is left out is of slow parts.
    """
    engines = _capped(engine_ways(generator))
    one = Landmarks(1, CAP, FIRST_SEED)
    measured: list[tuple[Experiment, Sequence[Way], int, int]] = [
        (one, engines, 100, 50),
        (Landmarks(5, CAP, FIRST_SEED), engines, 50, 50),
        (Landmarks(68, CAP, FIRST_SEED), engines, 10, 3),
        (Reconstruction(most=CAP, first_seed=FIRST_PAIR), engines, 30, 8),
        (RoundTrip(CAP, first_seed=FIRST_ROUND), engines, 30, 8),
        (one, _capped(block_ways(generator)), 30, 10),
        (one, _capped(tracker_ways(generator, trackers)), 30, 30),
        (one, _capped(setting_ways(generator)), 30, 15),
    ]
    return [
        Part(title, experiment, tuple(ways), max(2, round(share * samples), kept if share >= KEPT_FROM else 0))
        for title, (experiment, ways, samples, kept) in zip(TITLES, measured, strict=True)
    ]


def _capped(ways: Sequence[Way]) -> tuple[Way, ...]:
    """Return ways whose engines may take ``CAP`` steps, whatever cap their settings have."""
    return tuple(
        dataclasses.replace(way, config=way.config.replace(max_steps=CAP)) if hasattr(way.config, "max_steps") else way
        for way in ways
    )


def measure(
    generator: str | os.PathLike[str] | Generator,
    measured: Sequence[Part],
    keep: str | os.PathLike[str],
    *,
    detector: Detector | None = None,
    workers: int = 0,
    progress: Callable[[str, int, int, str], None] = lambda title, done, total, text: None,
) -> Evaluation:
    """Measure all parts; what stands in ``keep`` is not done again.

    :param keep: a file of lines of JSON, for all of them. :param progress: called with the title of the part, how many
        rows it has, how many it will have, and which was done last.
    :returns: rows whose ``experiment`` is the title of their part. :raises Interrupted: as ``evaluate``, with the rows
        of those samples that were measured in all ways of their part.
    """
    rows: list[dict[str, Any]] = []
    for part in measured:

        def tell(done: int, total: int, text: str, title: str = part.title) -> None:
            progress(title, done, total, text)

        try:
            done = evaluate(
                generator,
                [part.experiment],
                part.ways,
                samples=part.samples,
                detector=detector,
                faces=detector is None,
                keep=keep,
                workers=workers,
                progress=tell,
            )
        except Interrupted as stop:
            whole = _whole_samples(stop.evaluation.rows, len(part.ways))
            rows += [{**row, "experiment": part.title} for row in whole]
            raise Interrupted(Evaluation(tuple(rows), {})) from stop
        rows += [{**row, "experiment": part.title} for row in done.rows]
    return Evaluation(tuple(rows), {})


def _whole_samples(rows: Sequence[dict[str, Any]], ways: int) -> list[dict[str, Any]]:
    """Return the rows of samples that were measured in so many ways."""
    counts: dict[int, int] = {}
    for row in rows:
        counts[row["sample"]] = counts.get(row["sample"], 0) + 1
    return [row for row in rows if counts[row["sample"]] == ways]


def committed() -> Evaluation:
    """Return the rows that docs/field.md shows, which come with the package.

    :raises FileNotFoundError: in a checkout without them.
    """
    here = Path(__file__).parent
    checkout = here.parents[2] / "docs" / "data" / "field.csv"
    path = here / "field.csv" if (here / "field.csv").is_file() else checkout
    return Evaluation.from_csv(path.read_text(encoding="utf-8"))


def points_of(evaluation: Evaluation, title: str, against: str) -> dict[str, tuple[float, float]]:
    """Return way → what it is plotted by: the mean of ``against`` and the mean distance in px of 256.

    Ways without one of the two are left out. :raises KeyError: if there is no part of that title.
    """
    summary = evaluation.summary()[title]
    return {
        way: (figures[against], figures["distance"])
        for way, figures in summary.items()
        if against in figures and "distance" in figures
    }


def table(evaluation: Evaluation, title: str) -> str:
    """Return a part as a table of Markdown: means, the distance with twice its standard error, the least of a column in
    bold, and ▲ behind what is surely larger than that (see ``Evaluation.to_markdown``).

    :raises KeyError: if there is no part of that title.
    """
    return evaluation.table(
        title, _OfThePage(FIRST, HEADS, bold=True, padded=False, evaluation=evaluation, title=title)
    )


@dataclasses.dataclass(frozen=True)
class _OfThePage(Style):
    """Tables as the page has them: the distance with twice its standard error."""

    evaluation: Evaluation = dataclasses.field(kw_only=True)
    title: str = dataclasses.field(kw_only=True)

    def way(self, name: str) -> str:
        return name if name == NO_EDIT else f"`{name}`"

    def cell(self, way: str, figures: Mapping[str, float], name: str) -> str:
        value = figures.get(name)
        if name == "mahalanobis2" and value is not None:  # from a few to hundreds of thousands
            return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
        text = super().cell(way, figures, name)
        if name != "distance" or text == MISSING:
            return text
        return f"{text} ± {spread(self.evaluation, self.title, way, name):.2f}"


def spread(evaluation: Evaluation, title: str, way: str, name: str) -> float:
    """Return twice the standard error of the mean of a figure; 0 of less than two samples."""
    found = [row[name] for row in evaluation.rows if row["experiment"] == title and row["way"] == way and name in row]
    return 2 * statistics.stdev(found) / math.sqrt(len(found)) if len(found) > 1 else 0.0


def plots(evaluation: Evaluation, title: str = "one point") -> Any:
    """Return a figure of matplotlib: the distance that is left against the change and against the time, a dot a way.

    Bars are twice the standard error each way. Down and to the left is better.

    :raises ModuleNotFoundError: without matplotlib. :raises KeyError: if there is no part of that title.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('plots need matplotlib: pip install "draggan_widget[demo]"') from error

    class Shown(Figure):
        """A figure that a notebook shows though nobody has loaded matplotlib's own way of that."""

        def _repr_png_(self) -> bytes:
            held = io.BytesIO()
            self.savefig(held, format="png")
            return held.getvalue()

    unedited = evaluation.summary()[title].get(NO_EDIT, {}).get("distance")
    figure = Shown(figsize=(9.6, 4.0), layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    for axes, (against, label) in zip(both, PLOTTED.items(), strict=True):
        seen = {way: place for way, place in points_of(evaluation, title, against).items() if way != NO_EDIT}
        # Without an edit the distance would leave the others in a corner, so it is told above.
        for number, (way, (x, y)) in enumerate(seen.items()):
            colour = COLOURS[number % len(COLOURS)]
            across, up = (spread(evaluation, title, way, name) for name in (against, "distance"))
            axes.errorbar(x, y, xerr=across, yerr=up, fmt="none", ecolor=colour, alpha=0.35, linewidth=1.6)
            axes.plot(x, y, "os^Dv*P"[number % 7], color=colour, label=way, markersize=8, zorder=3)
        axes.set_xlabel(label)
        axes.grid(color="0.5", alpha=0.25, linewidth=0.8)  # seen on light pages, and no glare on dark ones
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(0.12)
        axes.set_xlim(left=0)
    both[0].set_ylim(bottom=0)
    both[0].set_ylabel("distance left, px of 256")
    told = "" if unedited is None else f"; {unedited:.1f} px without an edit"
    figure.suptitle(f"{title.capitalize()}: what is left, and what it takes{told}", fontsize=11, x=0.01, ha="left")
    handles, labels = both[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, max(1, len(labels))), frameon=False)
    return figure
