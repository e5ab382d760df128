"""Jobs of many drags, their outcomes, and the JSON files that jobs come from."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from draggan_widget.engines import engine_named
from draggan_widget.files import readable, shown
from draggan_widget.models import builtin_names
from draggan_widget.texts import read_json

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

LONGEST_NAME = 200
"""Bytes of a job's name: file systems take 255, with what is put behind it."""
LONGEST_FILE = 256 << 20
"""Bytes of a JSON file of jobs."""
MOST_VALUES = 20_000_000
"""Numbers, lists and objects in it: a latent is some thousands, a mask of 256 px 65,000."""


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """One drag. Positions are image pixels (x, y); what else there is means what it does in ``drag`` and ``mapping``.

    :raises ValueError: for neither or both of ``seed`` and ``ws``, a model that is no name or path, a name that is
        no file's, or an engine that there is none of, or that is not that of ``config``.
    """

    handles: Any
    """(N, 2)"""
    targets: Any
    """(N, 2)"""
    seed: int | None = None
    ws: Any = None
    """(1, num_ws, w_dim), instead of a seed."""
    truncation: float = 0.7
    label: int | None = None
    mask: Any = None
    config: Any = None
    """Settings of an engine, which choose it, or an object of some settings by name; None: the engine's own."""
    engine: str | None = None
    """Name of the method that pulls; None: that of ``config``, or else ``default_config`` of the generator."""
    model: str | None = None
    """Name or path of the generator, from the working folder; None: the one that all jobs were given."""
    name: str = ""
    """What its files are called."""

    def __post_init__(self) -> None:
        if (self.seed is None) == (self.ws is None):
            raise ValueError("a job begins with a seed or with a latent ws; give one of the two")
        if not isinstance(self.name, str) or (self.name and not re.fullmatch(r"[\w-][\w.-]*", self.name)):
            raise ValueError(f"the name of a job is {reprlib.repr(self.name)}; give letters, digits, '_', '-' and '.'")
        if (length := len(self.name.encode())) > LONGEST_NAME:
            raise ValueError(f"the name {self.name[:20]}… of a job has {length} bytes; give at most {LONGEST_NAME}")
        if not (self.model is None or isinstance(self.model, (str, os.PathLike))):
            raise ValueError(f"the model of a job is {reprlib.repr(self.model)}; give a name or a path")
        if self.engine is not None:
            engine = engine_named(self.engine)
            if not (self.config is None or isinstance(self.config, (Mapping, engine.Settings))):
                kind = type(self.config).__name__
                raise ValueError(
                    f"the engine of a job is {self.engine}, and its config a {kind}; leave one of them out"
                )

    @classmethod
    def from_dict(cls, fields: Any) -> Job:
        """Return a job as JSON holds it: ``{"seed": 9, "handles": [[98, 174]], "targets": [[82, 163]], …}``.

        ``engine`` names the method that pulls, ``config`` is an object of those of its settings that differ from its
        own for the generator, and ``ws`` may be lists of numbers.

        :raises ValueError: for what is no such object, a field that is missing, or one that there is none of.
        """
        if not isinstance(fields, Mapping):
            raise ValueError(f"a job is {reprlib.repr(fields)}; it must be an object with seed, handles and targets")
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"a job has no {shown(', '.join(map(str, unknown)))}; it has {', '.join(sorted(known))}")
        if missing := [name for name in ("handles", "targets") if name not in fields]:
            raise ValueError(f"a job lacks {' and '.join(missing)}")
        if isinstance(fields.get("ws"), list):
            fields = {**fields, "ws": np.array(fields["ws"], dtype=np.float32)}
        return cls(**fields)


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a job; of one that failed only ``number``, ``name`` and ``error``."""

    number: int
    """Its place in the list of jobs."""
    name: str
    error: str | None = None
    """What was wrong with it."""
    ws: np.ndarray | None = dataclasses.field(default=None, repr=False)
    """(1, num_ws, w_dim)"""
    handles: np.ndarray | None = None
    """(N, 2) image pixels (x, y), where they ended."""
    distances: np.ndarray | None = None
    """(N,) image pixels that they had still to go."""
    reason: str = ""
    steps: int = 0
    seconds: float = 0.0
    picture: Image.Image | None = dataclasses.field(default=None, repr=False)
    """Where it was asked for."""

    def to_dict(self) -> dict[str, Any]:
        """Return it without latent and picture, as JSON holds it."""
        head: dict[str, Any] = {"number": self.number, "name": self.name}
        if self.handles is None or self.distances is None:
            return {**head, "error": self.error}
        return {
            **head,
            "reason": self.reason,
            "steps": self.steps,
            "seconds": self.seconds,
            "handles": self.handles.tolist(),
            "distances": self.distances.tolist(),
        }


class Batch(Sequence[Outcome]):
    """The outcomes of jobs, in the order of the jobs."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self._outcomes = tuple(outcomes)

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> Batch: ...
    def __getitem__(self, index: int | slice) -> Outcome | Batch:
        return Batch(self._outcomes[index]) if isinstance(index, slice) else self._outcomes[index]

    def __len__(self) -> int:
        return len(self._outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self._outcomes)

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} jobs, {len(self.failed)} failed>"

    @property
    def failed(self) -> list[Outcome]:
        """Those with an error."""
        return [outcome for outcome in self if outcome.error is not None]

    def to_dataframe(self) -> pd.DataFrame:
        """Return a row for each job. :raises ModuleNotFoundError: without pandas."""
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("to_dataframe() needs pandas: pip install pandas") from error
        rows = [
            {
                "number": outcome.number,
                "name": outcome.name,
                "reason": outcome.reason,
                "steps": outcome.steps,
                "seconds": outcome.seconds,
                "distance": None if outcome.distances is None else float(outcome.distances.mean()),
                "error": outcome.error,
            }
            for outcome in self
        ]
        return pd.DataFrame(rows)


def check_jobs(jobs: Iterable[Job | Mapping[str, Any]]) -> list[Job | Outcome]:
    """Return each job with a name, and its model by a whole path; or the failure of what is no job."""
    checked: list[Job | Outcome] = []
    names: set[str] = set()
    for number, given in enumerate(jobs):
        try:
            job = given if isinstance(given, Job) else Job.from_dict(given)
            model = absolute(job.model) if job.model else None
            job = dataclasses.replace(job, name=job.name or f"{number:04d}", model=model)
            if job.name.casefold() in names:  # there are file systems to which these are one
                raise ValueError(f"two jobs have the name {job.name!r}; give each its own")
            names.add(job.name.casefold())
            checked.append(job)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            name = given.get("name", "") if isinstance(given, Mapping) else getattr(given, "name", "")
            named = shown(name) if isinstance(name, str) and name else f"{number:04d}"
            checked.append(Outcome(number, named, error=str(error)))
    return checked


def read_jobs(path: str | os.PathLike[str]) -> tuple[str | None, list[Any]]:
    """Return the jobs in a JSON file: a list of them, or an object with ``jobs`` and, for all, ``model`` and
    ``engine``.

    A model's path is meant from the folder of the file; where there is none, from the working folder.

    :returns: the model, or None, and the jobs as they stand there, with whole paths. :raises FileNotFoundError: if
        there is no such file. :raises ValueError: if it holds something else.
    """
    path = readable(path, "a JSON file of jobs")
    if (size := path.stat().st_size) > LONGEST_FILE:
        raise ValueError(f"{shown(path)} has {size:,} bytes; give at most {LONGEST_FILE:,}, the jobs in several files")
    try:
        held = read_json(path.read_text(encoding="utf-8-sig"), most_values=MOST_VALUES, any_number=True)
    except ValueError as error:
        raise ValueError(f"{shown(path)} is no JSON that can be read: {shown(error)}") from error
    about = held if isinstance(held, dict) else {"jobs": held}
    model, engine, jobs = (about.get(name) for name in ("model", "engine", "jobs"))
    if not isinstance(jobs, list) or not (model is None or isinstance(model, str)):
        raise ValueError(f'{shown(path)} must hold a list of jobs, or {{"model": "faces", "jobs": […]}}')
    if engine is not None:
        engine_named(engine)
        jobs = [{"engine": engine, **job} if isinstance(job, dict) else job for job in jobs]
    folder = path.parent
    for job in jobs:
        if isinstance(job, dict) and isinstance(job.get("model"), str) and job["model"]:
            job["model"] = absolute(job["model"], folder)
    return model and absolute(model, folder), jobs


def absolute(source: str | os.PathLike[str], folder: Path | None = None) -> str:
    """Return a path that means the same in another working folder; names of built-in generators stay.

    :param folder: where the file is looked for before the working folder.
    """
    name = os.fspath(source)
    if name in builtin_names():
        return name
    for base in (folder or Path(), Path()):
        with contextlib.suppress(OSError, RuntimeError):  # no such user, or a path that cannot be
            path = base / Path(source).expanduser()
            if path.exists():
                return str(path.resolve())
    return name
