"""The field side by side: every engine in every experiment, and other trackers, as one table with pictures.

``parts`` says what is measured, ``measure`` does it and goes on where it was stopped, ``table`` and ``plots`` show the
rows; a notebook and ``tests/field.py``, which writes docs/field.md, both use them.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from draggan_widget.analysis.experiments.evaluation import Evaluation, evaluate
from draggan_widget.analysis.experiments.experiments import (
    Detector,
    Experiment,
    Landmarks,
    Reconstruction,
    RoundTrip,
)
from draggan_widget.analysis.experiments.ways import NO_EDIT, Way, block_ways, engine_ways, tracker_ways
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
    *("other blocks, one point", "other trackers, one point"),
)
"""Of the parts, in their order."""
PLOTTED = {
    "ms_dssim_before": "change of the picture, MS-DSSIM",
    "seconds": "seconds of a thread",
}
"""What the distance is plotted against, and how the axis is called."""


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
    other blocks; and other trackers, in ``draggan`` and ``natural``. All with no edit beside it.

    :param share: of the samples, for a first look; at least two of each.
    """
    engines = _capped(engine_ways(generator))
    one = Landmarks(1, CAP, FIRST_SEED)
    measured: list[tuple[Experiment, Sequence[Way], int]] = [
        (one, engines, 100),
        (Landmarks(5, CAP, FIRST_SEED), engines, 50),
        (Landmarks(68, CAP, FIRST_SEED), engines, 10),
        (Reconstruction(most=CAP, first_seed=FIRST_PAIR), engines, 30),
        (RoundTrip(CAP, first_seed=FIRST_ROUND), engines, 30),
        (one, _capped(block_ways(generator)), 30),
        (one, _capped(tracker_ways(generator, trackers)), 30),
    ]
    return [
        Part(title, experiment, tuple(ways), max(2, round(share * samples)))
        for title, (experiment, ways, samples) in zip(TITLES, measured, strict=True)
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
    :returns: rows whose ``experiment`` is the title of their part. :raises Interrupted: as ``evaluate``.
    """
    rows: list[dict[str, Any]] = []
    for part in measured:

        def tell(done: int, total: int, text: str, title: str = part.title) -> None:
            progress(title, done, total, text)

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
        rows += [{**row, "experiment": part.title} for row in done.rows]
    return Evaluation(tuple(rows), {})


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


def plots(evaluation: Evaluation, title: str = "one point") -> Any:
    """Return a figure of matplotlib: the distance that is left against the change and against the time, a dot a way.

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

    figure = Shown(figsize=(9, 3.2), layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    for axes, (against, label) in zip(both, PLOTTED.items(), strict=True):
        for number, (way, (x, y)) in enumerate(points_of(evaluation, title, against).items()):
            if way != NO_EDIT:  # whose distance would leave the others in a corner
                axes.plot(x, y, "os^Dv*P"[number % 7], color=f"C{number}", label=way)
        axes.set(xlabel=label)
        axes.set_ylim(bottom=0)
        axes.margins(0.15)
        axes.grid(alpha=0.3)
    both[0].set(ylabel="distance left, px of 256")
    unedited = evaluation.summary()[title].get(NO_EDIT, {}).get("distance")
    figure.suptitle(title if unedited is None else f"{title}; without an edit {unedited:.1f} px", fontsize=10)
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    return figure
