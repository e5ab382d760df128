"""Experiments with several ways of dragging, on this machine, in as many processes as are wanted; resumable."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import math
import os
import statistics
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from draggan_widget.analysis.experiments.distances import frechet
from draggan_widget.analysis.experiments.experiments import (
    Bench,
    Detector,
    Experiment,
    Landmarks,
    Reconstruction,
    UnmeasuredError,
)
from draggan_widget.analysis.experiments.inversions import InversionWay, Inverted
from draggan_widget.analysis.experiments.ways import NO_EDIT, Way, standard_ways
from draggan_widget.analysis.ledger import Ledger
from draggan_widget.analysis.tables import MISSING, lay_out
from draggan_widget.engines import DivergedError
from draggan_widget.engines.trackers import opencv
from draggan_widget.models import Generator, load_generator
from draggan_widget.models import fingerprint as whole_fingerprint

COLUMNS: dict[str, tuple[str, int]] = {
    "psnr": ("PSNR, dB", 1),
    "ms_ssim": ("MS-SSIM", 3),
    "identity": ("distance of the faces", 2),
    "drag": ("landmark after a drag, px", 2),
    "distance": ("distance, px", 2),
    "lost": ("lost, %", 0),
    "to_go": ("to go, px", 2),
    "mse": ("MSE", 4),
    "lpips": ("LPIPS", 4),
    "lpips_away": ("LPIPS away", 4),
    "ms_dssim": ("MS-DSSIM", 4),
    "ms_dssim_away": ("MS-DSSIM away", 4),
    "lpips_before": ("LPIPS to before", 3),
    "ms_dssim_before": ("MS-DSSIM to before", 3),
    "frechet_inception": ("Fréchet of torchvision's Inception-v3", 2),
    "frechet_bands": ("Fréchet of bands", 3),
    "mahalanobis2": ("distance² of latents", 1),
    "farthest": ("farthest row", 2),
    "arrived": ("arrived, %", 0),
    "steps": ("steps", 0),
    "seconds": ("s", 2),
    "samples": ("samples", 0),
    "failed": ("failed", 0),
}
"""Figure → its heading and digits, in the order of the table's columns."""
MARK = " ▲"
"""Behind a figure that is surely larger than the least of its table."""
MARKED = (
    *("distance", "mse", "lpips", "ms_dssim", "lpips_away", "ms_dssim_away", "lpips_before", "ms_dssim_before"),
    *("identity", "mahalanobis2", "farthest", "steps", "seconds"),
)
"""Figures of which less is better."""
ARRIVED = ("arrived", "near")
"""Ends of runs that count as arrived, by the engine's own word."""
LOOKS = ("inception", "bands")
"""What a row holds of how its picture looks, for the Fréchet distances."""
AnyExperiment = Experiment | Inverted
AnyWay = Way | InversionWay
Task = tuple[dict[str, Any], AnyExperiment, AnyWay, int]
"""What is asked, as the ledger has it; the experiment, the way and the number of the sample."""
Add = Callable[[int, dict[str, Any]], None]
"""Takes the number of a task, and what came of it."""
SETTLED = ("samples", "failed", "lost", "arrived", *(f"frechet_{name}" for name in LOOKS))


@dataclasses.dataclass(frozen=True)
class Style:
    """How a table of an evaluation is written. A subclass writes cells in another way."""

    first: tuple[str, ...] = ()
    """Figures that stand before the others."""
    heads: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What figures are called, where not as in ``COLUMNS``."""
    bold: bool = False
    """Whether the least figure of the ways that edit is bold, where less is better."""
    padded: bool = True
    """See ``lay_out``."""

    def way(self, name: str) -> str:
        """Return a way as the first cell of its line has it."""
        return name

    def cell(self, way: str, figures: Mapping[str, float], name: str) -> str:  # noqa: ARG002 - a subclass may ask
        """Return a figure of a way, one of its means ``figures``: of pictures in which no face was found, the share."""
        value = figures.get(name)
        if name == "lost" and value is not None:
            value = 100 * value / figures["samples"] if figures["samples"] else None
        return MISSING if value is None or math.isnan(value) else f"{value:.{COLUMNS[name][1]}f}"


@dataclasses.dataclass(frozen=True, repr=False)
class Evaluation:
    """What came of it."""

    rows: tuple[dict[str, Any], ...]
    """One for each sample and way: ``experiment``, ``way``, ``sample``, and figures or ``error`` (see ``evaluate``)."""
    facts: dict[str, Any]
    """Which generator, which ways."""

    def __repr__(self) -> str:
        experiments = ", ".join(dict.fromkeys(row["experiment"] for row in self.rows))
        return f"<Evaluation of {experiments or 'nothing'}: {len(self.rows)} rows>"

    def summary(self) -> dict[str, dict[str, dict[str, float]]]:
        """Experiment → way → means over its samples.

        ``samples`` counts those measured, ``failed`` those that were not, ``lost`` those after which no face was found,
        which ``distance`` leaves out. ``frechet_inception`` or ``frechet_bands`` is the Fréchet distance of what
        ``distances.picture_features`` finds to the pictures before the edit, where these were measured too (the way
        "no edit") and there are two or more.
        """
        parts: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for row in self.rows:
            parts.setdefault(row["experiment"], {}).setdefault(row["way"], []).append(row)
        return {
            experiment: {way: _means(rows, ways.get(NO_EDIT, [])) for way, rows in ways.items()}
            for experiment, ways in parts.items()
        }

    def to_markdown(self) -> str:
        """A table for each experiment; columns without a figure are left out.

        ▲ marks a figure that exceeds the least one by more than twice the standard error of the paired differences.
        What no edit has nothing of, such as change, is compared among the others.
        """
        parts = [f"{experiment}\n\n{self.table(experiment)}" for experiment in self.summary()]
        reasons = sorted({row["error"].partition("\n")[0] for row in self.rows if "error" in row})
        parts += [f"not measured: {reason}" for reason in reasons]
        return "\n\n".join(parts)

    def table(self, experiment: str, style: Style | None = None) -> str:
        """Return the table of an experiment, ▲ behind figures as ``to_markdown`` has it.

        :param style: how it is written; None: as on a terminal. :raises KeyError: if there is no such experiment.
        """
        style = Style() if style is None else style
        ways, farther = self.summary()[experiment], self.farther(experiment)
        known = {name for figures in ways.values() for name in figures}
        known -= {name for name in ("failed", "lost") if not any(figures[name] for figures in ways.values())}
        names = [name for name in dict.fromkeys([*style.first, *COLUMNS]) if name in known]
        least = {name: _least(ways, name) for name in MARKED} if style.bold else {}

        def cell(way: str, figures: Mapping[str, float], name: str) -> str:
            text = style.cell(way, figures, name)
            bold = way != NO_EDIT and name in least and figures.get(name) == least[name]
            return f"**{text}**" if bold else text + (MARK if (way, name) in farther else "")

        head = ["", *(style.heads.get(name, COLUMNS[name][0]) for name in names)]
        rows = [[style.way(way), *(cell(way, figures, name) for name in names)] for way, figures in ways.items()]
        return lay_out(head, rows, padded=style.padded)

    def farther(self, experiment: str) -> set[tuple[str, str]]:
        """Return ways with a figure that is surely larger than the least, and the name of that figure.

        It is if the mean of the differences sample by sample is more than twice its standard error.
        """
        rows = [row for row in self.rows if row["experiment"] == experiment and "error" not in row]
        return {(way, name) for name in MARKED for way in _larger(rows, name)}

    def to_csv(self) -> str:
        """The rows without what pictures look like, a line each; ``from_csv`` is the way back."""
        rows = [{name: value for name, value in row.items() if name not in LOOKS} for row in self.rows]
        written = io.StringIO()
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(written, names, lineterminator="\n")
        writer.writeheader()
        rounded = [
            {name: round(value, 5) if isinstance(value, float) else value for name, value in row.items()}
            for row in rows
        ]
        writer.writerows(rounded)
        return written.getvalue()

    @classmethod
    def from_csv(cls, text: str) -> Evaluation:
        """Return the evaluation of rows that ``to_csv`` wrote."""
        texts = {"experiment", "way", "reason", "lost", "error"}
        rows = [
            {
                name: value if name in texts else int(value) if name == "sample" else float(value)
                for name, value in row.items()
                if value != "" or name == "reason"
            }
            for row in csv.DictReader(io.StringIO(text))
        ]
        return cls(tuple(rows), {})

    def to_dict(self) -> dict[str, Any]:
        """Facts, summary and rows, as JSON holds them; rows without what pictures look like."""
        rows = [{name: value for name, value in row.items() if name not in LOOKS} for row in self.rows]
        return {**self.facts, "summary": self.summary(), "rows": rows}

    def to_dataframe(self) -> Any:
        """The summary as a pandas table, one row an experiment and way."""
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("to_dataframe() needs pandas: pip install pandas") from error
        return pd.DataFrame(
            [
                {"experiment": experiment, "way": way, **figures}
                for experiment, ways in self.summary().items()
                for way, figures in ways.items()
            ]
        )

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


class Interrupted(KeyboardInterrupt):
    """An evaluation was interrupted; ``evaluation`` holds what was measured until then."""

    def __init__(self, evaluation: Evaluation) -> None:
        super().__init__(f"{evaluation!r} until then, as the evaluation of this exception")
        self.evaluation = evaluation


def evaluate(
    generator: str | os.PathLike[str] | Generator,
    experiments: Iterable[AnyExperiment],
    ways: Sequence[AnyWay] | None = None,
    *,
    samples: int | Callable[[AnyExperiment], int] = 20,
    detector: Detector | None = None,
    faces: bool = False,
    keep: str | os.PathLike[str] | None = None,
    workers: int = 0,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> Evaluation:
    """Do experiments with a generator in several ways, sample by sample.

    :param generator: a name, a path or a ``Generator``. :param ways: None for ``standard_ways``.
    :param samples: of each experiment and way, or a function that says how many of an experiment.
    :param detector: of landmarks; None: dlib's of faces, where an experiment needs one. It must be picklable with
        ``workers``.
    :param faces: whether dlib's tells how alike faces are in experiments that could do without it.
    :param keep: a file of lines of JSON for the rows; what stands in it is not done again, but for rows with ``again``.
    :param workers: processes of one thread each; 0: this one, as it is. When one dies, what it did is tried once more
        on its own, and the others go on; where none can be started, this process does it all, with a warning.
    :param progress: called with how many rows there are, how many there will be, and which was done last.
    :returns: rows in the order of experiments, samples and ways. What went wrong is a row with an ``error``; and with
        ``again``, if that was nothing that the experiment knows of, so that another time it may go well.
    :raises Interrupted: a ``KeyboardInterrupt`` with the ``evaluation`` so far; in a notebook it is
        ``sys.last_value.evaluation`` afterwards.
    :raises ModuleNotFoundError: where what it needs is not installed. :raises FileNotFoundError: for a generator or a
        tracker whose files are not there. :raises ValueError: for a tracker there is none of, or another file to keep.
    """
    loaded = generator if isinstance(generator, Generator) else load_generator(generator)
    source: Any = generator if isinstance(generator, (str, os.PathLike)) and workers else loaded
    ways = standard_ways(loaded) if ways is None else list(ways)
    ledger = Ledger(keep)
    mark = fingerprint(loaded)
    tasks: list[Task] = []
    for experiment in experiments:
        for number in range(samples(experiment) if callable(samples) else samples):
            for way in ways:
                settings = {"experiment": experiment.name, **dataclasses.asdict(experiment)}
                asked = {"generator": mark, **settings, "way": way.to_dict(), "sample": number}
                tasks.append((json.loads(json.dumps(asked)), experiment, way, number))
    left = {k: task for k, task in enumerate(tasks) if "again" in (ledger.find(task[0]) or {"again": True})}
    needs_faces = detector is None and (faces or any(_of_faces(experiment) for _, experiment, *_ in left.values()))
    name = type(loaded).__name__ if isinstance(generator, Generator) else os.fspath(generator)
    facts = {"generator": name, "fingerprint": mark, "ways": [way.to_dict() for way in ways]}

    def add(number: int, found: dict[str, Any]) -> None:
        task = left[number]
        ledger.add(task[0], found)
        del left[number]
        progress(len(tasks) - len(left), len(tasks), f"{task[1].name}, {task[2].name}, sample {task[3]}")

    def evaluation() -> Evaluation:
        rows = [
            {"experiment": experiment.name, "way": way.name, "sample": number, **found}
            for asked, experiment, way, number in tasks
            if (found := ledger.find(asked)) is not None
        ]
        return Evaluation(tuple(rows), facts)

    try:
        if left:
            bench = _bench(loaded, detector, needs_faces)
            _prepare(bench, left.values())  # what is missing is better said now than of every sample
        if workers:
            _in_processes(workers, (source, detector, needs_faces), left, add)
        for number, task in list(left.items()):
            add(number, _measure(bench, *task[1:]))
    except KeyboardInterrupt as error:
        raise Interrupted(evaluation()) from error
    return evaluation()


def _of_faces(experiment: AnyExperiment) -> bool:
    """Whether an experiment needs dlib, or, being of inversion, makes use of it where it is."""
    if not isinstance(experiment, Inverted):
        return isinstance(experiment, Landmarks)
    return find_spec("dlib") is not None


def fingerprint(generator: Generator) -> str:
    """Short for a generator's weights and size."""
    return whole_fingerprint(generator)[:16]


def _prepare(bench: Bench, tasks: Iterable[Task]) -> None:
    """Make what tasks need, for the errors of that."""
    for _, experiment, way, _ in tasks:
        if isinstance(experiment, Reconstruction):
            opencv()
        if way.tracker is not None:
            way.tracker_in(bench.trackers, bench.generator)


def _in_processes(workers: int, arguments: tuple[Any, ...], left: Mapping[int, Task], add: Add) -> None:
    """Do what is left; all of it, unless no process can be started."""
    try:
        while left:
            for number in _in_pool(workers, arguments, left, add):
                if _in_pool(1, arguments, {number: left[number]}, add):
                    add(number, {"error": "the process that measured it died", "again": True})
    except BrokenProcessPool:
        warnings.warn("processes die as they begin; this one goes on alone", stacklevel=3)


def _in_pool(workers: int, arguments: tuple[Any, ...], tasks: Mapping[int, Task], add: Add) -> list[int]:
    """Do tasks until they are done or a process dies; then those that were being done.

    :raises BrokenProcessPool: if the first process does not begin.
    """
    waiting = deque(tasks.items())
    flying: dict[Future[dict[str, Any]], int] = {}
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, arguments) as pool:
        try:
            pool.submit(_begun).result()
            with contextlib.suppress(BrokenProcessPool):
                while waiting or flying:
                    while waiting and len(flying) < workers:
                        number, task = waiting[0]
                        flying[pool.submit(_measure_here, *task[1:])] = number
                        waiting.popleft()
                    for future in wait(flying, return_when=FIRST_COMPLETED).done:
                        try:
                            found = future.result()
                        except BrokenProcessPool:
                            raise
                        except Exception as error:  # it, or what came of it, could not be sent
                            found = _failure(error)
                        add(flying.pop(future), found)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return list(flying.values())


_mine: Bench


def _begin(source: Any, detector: Detector | None, needs_faces: bool) -> None:
    global _mine
    torch.set_num_threads(1)
    _mine = _bench(source, detector, needs_faces)


def _begun() -> None:
    """Done by a process that has begun."""


def _measure_here(experiment: AnyExperiment, way: AnyWay, number: int) -> dict[str, Any]:
    return _measure(_mine, experiment, way, number)


def _bench(source: Any, detector: Detector | None, needs_faces: bool) -> Bench:
    generator = source if isinstance(source, Generator) else load_generator(source)
    if needs_faces:
        from draggan_widget.inversion import Landmarks as Faces

        detector = Faces()
    return Bench(generator, detector)


def _measure(bench: Bench, experiment: AnyExperiment, way: AnyWay, number: int) -> dict[str, Any]:
    try:
        return experiment.measure(bench, way, number)  # type: ignore[arg-type]  # each has ways of its kind
    except (UnmeasuredError, DivergedError) as error:
        return {"error": str(error)}
    except Exception as error:
        return _failure(error)


def _failure(error: Exception) -> dict[str, Any]:
    """The row of a sample that failed in a way that nobody foresaw."""
    return {"error": f"{type(error).__name__}: {error}", "again": True}


def _means(rows: Sequence[dict[str, Any]], unedited: Sequence[dict[str, Any]]) -> dict[str, float]:
    good = [row for row in rows if "error" not in row]
    means: dict[str, float] = {"samples": len(good), "failed": len(rows) - len(good)}
    means["lost"] = sum("lost" in row for row in good)
    runs = [row["reason"] in ARRIVED for row in good if row.get("reason")]
    if runs:
        means["arrived"] = 100 * statistics.fmean(runs)
    for name in COLUMNS:
        values = [row[name] for row in good if name in row and name not in SETTLED]
        if values:
            means[name] = statistics.fmean(values)
    for name in LOOKS:
        before = {row["sample"]: row[name] for row in unedited if name in row}
        pairs = [(row[name], before[row["sample"]]) for row in good if name in row and row["sample"] in before]
        if len(pairs) >= 2:
            after, first = (np.array(side) for side in zip(*pairs, strict=True))
            means[f"frechet_{name}"] = frechet(after, first)
    return means


def _larger(rows: Sequence[dict[str, Any]], name: str) -> set[str]:
    """Return the ways whose figure of that name is surely larger than the least one."""
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        if name in row:
            found.setdefault(row["way"], {})[row["sample"]] = row[name]
    means = {way: statistics.fmean(values.values()) for way, values in found.items()}
    if not means.get(NO_EDIT, 1.0):
        del means[NO_EDIT]
    if len(means) < 2:
        return set()
    best = min(means, key=lambda way: means[way])
    surely = set()
    for way in means:
        apart = [found[way][sample] - found[best][sample] for sample in found[way] if sample in found[best]]
        if way != best and len(apart) > 1:
            error = statistics.stdev(apart) / math.sqrt(len(apart))
            if statistics.fmean(apart) > 2 * error:
                surely.add(way)
    return surely


def _least(ways: Mapping[str, Mapping[str, float]], name: str) -> float | None:
    """Return the least mean of the ways that edit."""
    return min((figures[name] for way, figures in ways.items() if way != NO_EDIT and name in figures), default=None)
