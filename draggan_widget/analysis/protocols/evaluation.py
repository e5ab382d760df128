"""Experiments with several ways of dragging, on this machine, in as many processes as are wanted; resumable."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from draggan_widget.analysis.ledger import Ledger
from draggan_widget.analysis.protocols.distances import frechet
from draggan_widget.analysis.protocols.experiments import Bench, Detector, Experiment, Landmarks, UnmeasuredError
from draggan_widget.analysis.protocols.ways import NO_EDIT, Way, standard_ways
from draggan_widget.analysis.tables import MISSING, lay_out
from draggan_widget.dragging import DivergedError
from draggan_widget.generators import Generator, load_generator

COLUMNS: dict[str, tuple[str, int]] = {
    "distance": ("distance, px", 2),
    "lost": ("lost", 0),
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
    "steps": ("steps", 0),
    "seconds": ("s", 2),
    "samples": ("samples", 0),
    "failed": ("failed", 0),
}
"""Figure → its heading and digits, in the order of the table's columns."""
LOOKS = ("inception", "bands")
"""What a row holds of how its picture looks, for the Fréchet distances."""
SETTLED = ("samples", "failed", "lost", *(f"frechet_{name}" for name in LOOKS))


@dataclasses.dataclass(frozen=True, repr=False)
class Evaluation:
    """What came of it."""

    rows: tuple[dict[str, Any], ...]
    """One for each sample and way: ``experiment``, ``way``, ``sample``, and its figures, or ``error``."""
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
        """A table for each experiment; columns without a figure are left out."""
        parts = []
        for experiment, ways in self.summary().items():
            names = [name for name in COLUMNS if any(name in figures for figures in ways.values())]
            names = [name for name in names if name not in ("failed", "lost") or any(f[name] for f in ways.values())]
            rows = [
                [way, *(_figure(figures.get(name), COLUMNS[name][1]) for name in names)]
                for way, figures in ways.items()
            ]
            parts.append(f"{experiment}\n\n{lay_out(['', *(COLUMNS[name][0] for name in names)], rows)}")
        reasons = sorted({row["error"] for row in self.rows if "error" in row})
        parts += [f"not measured: {reason}" for reason in reasons]
        return "\n\n".join(parts)

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


def evaluate(
    generator: str | os.PathLike[str] | Generator,
    experiments: Iterable[Experiment],
    ways: Sequence[Way] | None = None,
    *,
    samples: int | Callable[[Experiment], int] = 20,
    detector: Detector | None = None,
    keep: str | os.PathLike[str] | None = None,
    workers: int = 0,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> Evaluation:
    """Do experiments with a generator in several ways, sample by sample.

    :param generator: a name, a path or a ``Generator``. :param ways: None for ``standard_ways``.
    :param samples: of each experiment and way, or a function that says how many of an experiment.
    :param detector: of landmarks; None: dlib's of faces, where an experiment needs one. It must be picklable with
        ``workers``.
    :param keep: a file of lines of JSON for the rows; what stands in it is not done again.
    :param workers: processes of one thread each; 0: this one, as it is.
    :param progress: called with how many rows there are, how many there will be, and which was done last.
    :returns: rows in the order of experiments, samples and ways. What went wrong is a row with an ``error``.
    """
    loaded = generator if isinstance(generator, Generator) else load_generator(generator)
    source: Any = generator if isinstance(generator, (str, os.PathLike)) and workers else loaded
    ways = standard_ways(loaded) if ways is None else list(ways)
    experiments = list(experiments)
    ledger = Ledger(keep)
    mark = fingerprint(loaded)
    tasks: list[tuple[dict[str, Any], Experiment, Way, int]] = []
    for experiment in experiments:
        for number in range(samples(experiment) if callable(samples) else samples):
            for way in ways:
                settings = {"experiment": experiment.name, **dataclasses.asdict(experiment)}
                asked = {"generator": mark, **settings, "way": way.to_dict(), "sample": number}
                tasks.append((json.loads(json.dumps(asked)), experiment, way, number))
    todo = [task for task in tasks if ledger.find(task[0]) is None]
    done = len(tasks) - len(todo)
    needs_faces = detector is None and any(isinstance(task[1], Landmarks) for task in todo)

    def add(task: tuple[dict[str, Any], Experiment, Way, int], found: dict[str, Any]) -> None:
        nonlocal done
        ledger.add(task[0], found)
        done += 1
        progress(done, len(tasks), f"{task[1].name}, {task[2].name}, sample {task[3]}")

    if workers:
        _in_processes(workers, (source, detector, needs_faces), todo, add)
    else:
        bench = _bench(source, detector, needs_faces)
        for task in todo:
            add(task, _measure(bench, *task[1:]))
    rows = []
    for asked, experiment, way, number in tasks:
        found = ledger.find(asked)
        assert found is not None
        rows.append({"experiment": experiment.name, "way": way.name, "sample": number, **found})
    name = type(loaded).__name__ if isinstance(generator, Generator) else os.fspath(generator)
    return Evaluation(tuple(rows), {"generator": name, "fingerprint": mark, "ways": [way.to_dict() for way in ways]})


def fingerprint(generator: Generator) -> str:
    """Short for a generator's weights and size."""
    from draggan_widget.editing.dragfile import fingerprint as whole

    return whole(generator)[:16]


def _in_processes(
    workers: int,
    arguments: tuple[Any, ...],
    todo: Sequence[tuple[dict[str, Any], Experiment, Way, int]],
    add: Callable[[Any, dict[str, Any]], None],
) -> None:
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, arguments) as pool:
        waiting: dict[Future[dict[str, Any]], Any] = {pool.submit(_measure_here, *task[1:]): task for task in todo}
        try:
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    add(waiting.pop(future), future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_mine: Bench


def _begin(source: Any, detector: Detector | None, needs_faces: bool) -> None:
    global _mine
    torch.set_num_threads(1)
    _mine = _bench(source, detector, needs_faces)


def _measure_here(experiment: Experiment, way: Way, number: int) -> dict[str, Any]:
    return _measure(_mine, experiment, way, number)


def _bench(source: Any, detector: Detector | None, needs_faces: bool) -> Bench:
    generator = source if isinstance(source, Generator) else load_generator(source)
    if needs_faces:
        from draggan_widget.analysis.landmarks import Landmarks as Faces

        detector = Faces()
    return Bench(generator, detector)


def _measure(bench: Bench, experiment: Experiment, way: Way, number: int) -> dict[str, Any]:
    try:
        return experiment.measure(bench, way, number)
    except (UnmeasuredError, DivergedError) as error:
        return {"error": str(error)}


def _means(rows: Sequence[dict[str, Any]], unedited: Sequence[dict[str, Any]]) -> dict[str, float]:
    good = [row for row in rows if "error" not in row]
    means: dict[str, float] = {"samples": len(good), "failed": len(rows) - len(good)}
    means["lost"] = sum("lost" in row for row in good)
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


def _figure(value: float | None, digits: int) -> str:
    return MISSING if value is None or math.isnan(value) else f"{value:.{digits}f}"
