"""Many drags, of a list of seeds and points, in this process or on a Dask cluster; a job that fails fails alone."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import pickle
import reprlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import torch

from draggan_widget.analysis.bulk_jobs import Batch, Job, Outcome, absolute, check_jobs
from draggan_widget.analysis.ledger import Ledger
from draggan_widget.engines import check_ws, default_config, drag, engine_names, engine_of
from draggan_widget.models import Generator, builtin_names, find_checkpoint, load_generator

Source = str | Generator
Progress = Callable[[int, int, Outcome], None]
KEPT_MODELS = 2
"""Generators that a process remembers, of those that jobs name."""


def drag_many(
    generator: str | os.PathLike[str] | Generator,
    jobs: Iterable[Job | Mapping[str, Any]],
    *,
    client: Any = None,
    threads: int | None = None,
    keep: str | os.PathLike[str] | None = None,
    pictures: bool = False,
    progress: Progress = lambda done, total, outcome: None,
) -> Batch:
    """Do many drags. A job that fails does not stop the others; its outcome says why.

    Whatever stops all of it (an interrupt, what ``progress`` raises, a scheduler that is lost) has an attribute
    ``finished``, a ``Batch`` of the jobs that were done by then: ``except KeyboardInterrupt as stop: stop.finished``.

    :param generator: for jobs that name no model: a name, a path, or a ``Generator``.
    :param jobs: ``Job`` values, or what ``Job.from_dict`` takes.
    :param client: a ``dask.distributed.Client``; None: this process does them, one after another. When a worker dies,
        what it was doing is done by another; a job at which several workers died is one that fails.
    :param threads: of torch in each job; None: one on a cluster, whose workers share a machine; here as many as there
        are. Latents are the same to the last bit only with equally many.
    :param keep: a file of lines of JSON for the outcomes, latents included. What was done there before, of the same job
        with a generator of the same weights, is taken from it; what failed is tried again.
    :param pictures: make the picture of each latent too, where it was dragged. Only the outcomes that ``progress`` is
        called with have it, so that thousands of jobs take no more memory; those taken from ``keep`` have none.
    :param progress: called with how many are done, how many there are, and the latest outcome, in the order in which
        they come, without those taken from ``keep``.
    :raises FileNotFoundError: without a cluster, for a ``generator`` that is not there. :raises CheckpointError: and
        for one that cannot be taken; on a cluster these are told by each job. :raises ConnectionError: if the cluster
        is lost. :raises ValueError: if ``keep`` holds something else.
    """
    jobs = list(jobs)
    source: Source = generator if isinstance(generator, Generator) else absolute(generator)
    outcomes: dict[int, Outcome] = {}
    keys: dict[int, dict[str, Any]] = {}
    ledger = Ledger(keep)

    def add(outcome: Outcome) -> None:
        outcomes[outcome.number] = dataclasses.replace(outcome, picture=None)
        if outcome.number in keys:
            ledger.add(keys[outcome.number], _to_keep(outcome))
        progress(len(outcomes), len(jobs), outcome)

    try:
        good: dict[int, Job] = {}
        failed: list[Outcome] = []
        key_of = job_keys(source)
        for number, job in enumerate(check_jobs(jobs)):
            if isinstance(job, Outcome):
                failed.append(job)
                continue
            if keep is not None:
                with contextlib.suppress(Exception):  # doing the job says what is wrong with it
                    keys[number] = key_of(job)
            if number in keys and (before := _kept(find_result(ledger, keys[number]), number, job.name)):
                outcomes[number] = before
            else:
                good[number] = job
        for outcome in failed:
            add(outcome)
        if client is None:
            if any(job.model is None for job in good.values()):
                source = source if isinstance(source, Generator) else _model(source)
            for number, job in good.items():
                add(_do(source, job, number, threads, pictures))
        else:
            _on_cluster(client, source, good, 1 if threads is None else threads, pictures, add)
    except BaseException as error:
        error.finished = Batch([outcomes[number] for number in sorted(outcomes)])  # type: ignore[attr-defined]
        raise
    return Batch([outcomes[number] for number in range(len(jobs))])


def job_keys(source: Source) -> Callable[[Job], dict[str, Any]]:
    """Return a function that makes the key of a job: the weights, and all that its drag begins with, as JSON holds it.

    The name is no part of it. The function raises what is wrong with the job's model, settings or arrays.
    """
    from draggan_widget.analysis.experiments.evaluation import fingerprint

    @functools.cache
    def about(source: Source) -> tuple[str, Generator]:
        generator = source if isinstance(source, Generator) else _model(source)
        return fingerprint(generator), generator

    def key(job: Job) -> dict[str, Any]:
        mark, generator = about(job.model or source)
        config = _config(job, generator)
        given = {
            "handles": job.handles,
            "targets": job.targets,
            "seed": job.seed,
            "truncation": job.truncation,
            "label": job.label,
            "ws": _digest("ws", job.ws),
            "mask": _digest("mask", job.mask),
            "engine": engine_of(config).name,
            "config": config.to_dict(),
        }
        said = json.dumps({"generator": mark, **given}, default=lambda value: np.asarray(value).tolist())
        told: dict[str, Any] = json.loads(said)
        return told

    return key


def before_engines(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return the key that a job had when ``draggan`` was the only engine; jobs of other engines keep theirs."""
    return {name: value for name, value in key.items() if name != "engine" or value != "draggan"}


def find_result(ledger: Ledger, key: dict[str, Any]) -> dict[str, Any] | None:
    """Return what came of a job by its key, also where it was done before there were engines; None if it was not."""
    return ledger.find(key) or ledger.find(before_engines(key))


def _on_cluster(
    client: Any,
    source: Any,
    jobs: Mapping[int, Job],
    threads: int,
    pictures: bool,
    add: Callable[[Outcome], None],
) -> None:
    import distributed

    as_completed: Any = distributed.as_completed
    if isinstance(source, Generator):
        # As bytes: Dask takes modules apart in a way of its own, in the midst of a job too. And as what a task returns:
        # the scheduler keeps what that was given, so they come again where they are lost with their workers.
        source = client.submit(bytes, pickle.dumps(source), pure=False)
    numbers = {
        client.submit(_do, source, job, number, threads, pictures, pure=False): number for number, job in jobs.items()
    }
    try:
        for future in as_completed(list(numbers)):
            number = numbers.pop(future)
            try:
                outcome = future.result()
            except CancelledError as error:
                raise ConnectionError(f"the cluster was lost, with {len(numbers) + 1} jobs still to do") from error
            except Exception as error:  # KilledWorker, or what kept the job from being sent or its result from coming
                said = f"its worker failed: {str(error) or type(error).__name__}"
                outcome = Outcome(number, jobs[number].name, error=said)
            add(outcome)
            future.release()  # the worker may forget it
    finally:
        client.cancel(list(numbers))


def _do(source: Source | bytes, job: Job, number: int, threads: int | None, pictures: bool) -> Outcome:
    """Do one job, wherever that is; return its outcome, which says what went wrong if something did."""
    began = time.perf_counter()
    try:
        wanted = job.model or source
        generator = wanted if isinstance(wanted, Generator) else _model(wanted)
        with _threads(threads):
            if job.seed is not None:
                ws = generator.mapping(seed=job.seed, label=job.label, truncation=job.truncation)
            else:
                ws = check_ws(generator, job.ws)
            result = drag(generator, ws, job.handles, job.targets, job.mask, _config(job, generator))
            picture = result.image if pictures else None
    except Exception as error:
        return Outcome(number, job.name, error=str(error) or type(error).__name__)
    seconds = time.perf_counter() - began
    latent = result.ws.cpu().numpy().copy()
    return Outcome(
        number, job.name, None, latent, result.handles, result.distances, result.reason, result.steps, seconds, picture
    )


def _config(job: Job, generator: Generator) -> Any:
    """Return the settings that a job is done with, which say by their kind with which engine."""
    asked = job.config
    if asked is not None and not isinstance(asked, Mapping):
        try:
            engine_of(asked)
        except TypeError:
            raise ValueError(
                f"config is {reprlib.repr(asked)}; it must be an object of settings, such as {{'max_steps': 100}}"
            ) from None
        return asked
    own = default_config(generator, job.engine)
    if not asked:
        return own
    name, known = engine_of(own).name, own.to_dict()
    family = engine_of(own).family
    for setting in asked:
        others = [other for other in engine_names(family) if setting in default_config(generator, other).to_dict()]
        if setting not in known and others:
            verb = "has" if len(others) == 1 else "have"
            told = f"the engine {name} has no setting {setting!r}; {', '.join(others)} {verb} it"
            raise ValueError(f'{told}: "engine": "{others[0]}"')
    return type(own).from_dict({**known, **asked})


def _digest(what: str, numbers: Any) -> str | None:
    """Short for an array. :raises TypeError: for what holds no numbers."""
    if numbers is None:
        return None
    array = numbers.detach().cpu().numpy() if isinstance(numbers, torch.Tensor) else np.asarray(numbers)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{what} holds {array.dtype}; give an array of numbers")
    return hashlib.sha256(f"{array.shape} {array.dtype} ".encode() + array.tobytes()).hexdigest()[:16]


def _to_keep(outcome: Outcome) -> dict[str, Any]:
    kept = outcome.to_dict()
    if outcome.ws is not None:
        kept["ws"] = {
            "shape": outcome.ws.shape,
            "float32": base64.b64encode(outcome.ws.astype("<f4").tobytes()).decode(),
        }
    return kept


def _kept(found: dict[str, Any] | None, number: int, name: str) -> Outcome | None:
    """Return what ``_to_keep`` made of an outcome, under the number and name that it has now; None for a failed one."""
    try:
        if found is None or "error" in found:
            return None
        flat = np.frombuffer(base64.b64decode(found["ws"]["float32"]), dtype="<f4")
        ws = flat.reshape(found["ws"]["shape"]).astype(np.float32)
        if not (isinstance(found["reason"], str) and type(found["steps"]) is int and np.isfinite(ws).all()):
            return None
        handles, distances = (np.array(found[part], dtype=float) for part in ("handles", "distances"))
        return Outcome(
            number, name, None, ws, handles, distances, found["reason"], found["steps"], float(found["seconds"])
        )
    except (LookupError, TypeError, ValueError, ArithmeticError):  # a file that was edited
        return None


@contextlib.contextmanager
def _threads(wanted: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if wanted is not None:
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _model(source: str | bytes) -> Generator:
    """Return the generator of a name, a path or a pickle; a file or folder that was replaced is read again."""
    if isinstance(source, bytes) or source in builtin_names():
        return _loaded(source, None)
    folder = Path(source).expanduser()
    file = (folder if folder.is_dir() else find_checkpoint(source)).stat()
    return _loaded(source, (file.st_mtime_ns, file.st_size))


@functools.lru_cache(maxsize=KEPT_MODELS)
def _loaded(source: str | bytes, stamp: tuple[int, int] | None) -> Generator:  # noqa: ARG001
    generator: Generator = pickle.loads(source) if isinstance(source, bytes) else load_generator(source)
    return generator
