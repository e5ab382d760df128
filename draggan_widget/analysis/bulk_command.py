"""``draggan-widget drag``: many drags of a JSON file, with pictures and latents as files."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from draggan_widget.files import FULL, shown, write_whole

if TYPE_CHECKING:
    from draggan_widget.analysis.bulk_jobs import Job, Outcome

DESCRIPTION = (
    'Drag what a JSON file says: [{"seed": 9, "handles": [[98, 174]], "targets": [[82, 163]]}, …], or an object with '
    '"model", "engine" and "jobs". A job may also have name, truncation, label, engine, config, model and ws. DIR then '
    "holds NAME.png and NAME.npz for each (0000, 0001, … in the order of the file where there is no name), and "
    "results.jsonl, errors "
    "included. What is done there already is not done again. A file that is another job's, another model's or another "
    "engine's is written over only with --force. The path of a model is meant from the folder of JOBS.json, or else "
    "from here."
)
ENDINGS = (".png", ".npz")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("jobs", type=Path, metavar="JOBS.json")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for pictures, latents, results")
    parser.add_argument("--model", help="a built-in name or a checkpoint (default: the file's, else faces)")
    parser.add_argument("--engine", metavar="NAME", help="for jobs that name none (default: natural)")
    parser.add_argument("--force", action="store_true", help="write over files of other jobs, models and engines")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, metavar="N", help="so many processes on this machine; needs dask")
    where.add_argument("--cluster", metavar="ADDRESS", help="of a Dask scheduler, such as tcp://host:8786")


def run_drag(options: argparse.Namespace) -> int:
    """Drag, say how it goes; the status is 1 where a job failed or nothing could be begun."""
    from draggan_widget.analysis.bulk import before_engines, drag_many, find_result, job_keys
    from draggan_widget.analysis.bulk_jobs import Job, Outcome, check_jobs, read_jobs
    from draggan_widget.analysis.ledger import Ledger
    from draggan_widget.engines import engine_named, engine_names
    from draggan_widget.models import CheckpointError, load_generator

    failed = before = 0
    todo: list[tuple[dict[str, Any], Job, int]] = []
    try:
        named, jobs = read_jobs(options.jobs)
        model = options.model or named or "faces"
        generator = load_generator(model)
        if options.engine is not None:
            engine_named(options.engine)
            jobs = [{"engine": options.engine, **job} if isinstance(job, dict) else job for job in jobs]
        elif any(isinstance(job, dict) and job.get("engine") is None for job in jobs):
            used, *others = engine_names()
            sys.stderr.write(
                f"{shown(options.jobs)} does not name the engine of every job, so {used} is used; "
                f'"engine": "{others[0]}" in it, or --engine {others[0]}, takes the other\n'
            )
        options.out.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(options.out / "results.jsonl")

        def add(key: dict[str, Any], outcome: Outcome) -> None:
            nonlocal failed
            error = outcome.error
            try:
                ledger.add(key, outcome.to_dict())
            except OSError as problem:
                error = error or _unwritten(problem)
            if error is not None:
                failed += 1
                sys.stderr.write(f"\r\x1b[K{outcome.name}: {error}\n")

        key_of = job_keys(generator)
        for number, job in enumerate(check_jobs(jobs)):
            try:
                key = {"name": job.name, **key_of(job)} if isinstance(job, Job) else {}
            except Exception as error:
                job = Outcome(number, job.name, error=str(error))
            if isinstance(job, Outcome):
                add({"name": job.name, "job": jobs[number]}, job)
                continue
            files = [options.out / f"{job.name}{ending}" for ending in ENDINGS]
            foreign = [file for file in files if file.exists() and _belongs(file) not in (key, before_engines(key))]
            if foreign and not options.force:
                add(key, Outcome(number, job.name, error=_taken(foreign[0], key)))
            elif (
                not foreign
                and all(file.exists() for file in files)
                and "error" not in (find_result(ledger, key) or {"error": ""})
            ):
                before += 1
            else:
                todo.append((key, job, number))

        def keep(done: int, total: int, outcome: Outcome) -> None:
            key, job, number = todo[outcome.number]
            if outcome.error is None:
                try:
                    _write(options.out / job.name, outcome, job, key)
                except Exception as problem:
                    outcome = Outcome(number, job.name, error=_unwritten(problem))
            add(key, dataclasses.replace(outcome, number=number))
            if sys.stderr.isatty():
                sys.stderr.write(f"\r\x1b[K{done} of {total}" + ("\n" if done == total else ""))
                sys.stderr.flush()

        with _client(options.workers, options.cluster) as client:
            source = generator if client is None else model
            drag_many(source, [job for _, job, _ in todo], client=client, pictures=True, progress=keep)
    except (FileNotFoundError, ModuleNotFoundError, CheckpointError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; the same command goes on from here\n")
        return 130
    sys.stdout.write(f"{options.out}: {len(jobs) - failed - before} done, {failed} failed, {before} before\n")
    return 1 if failed else 0


def _write(path: Path, outcome: Outcome, job: Job, key: dict[str, Any]) -> None:
    """Picture and latent; in both stands whose they are."""
    import numpy as np

    from draggan_widget.editing import png

    assert outcome.ws is not None
    assert outcome.picture is not None
    latent = io.BytesIO()
    handles, targets = (np.asarray(xys, dtype=float) for xys in (outcome.handles, job.targets))
    np.savez_compressed(latent, ws=outcome.ws, handles=handles, targets=targets, job=json.dumps(key))
    said = {"seed": job.seed, "truncation": None if job.seed is None else job.truncation, "label": job.label}
    known = {name: value for name, value in said.items() if value is not None}
    picture = png(outcome.picture, provenance={**known, "steps": outcome.steps, "job": key})
    for ending, data in zip(ENDINGS, (picture, latent.getvalue()), strict=True):
        write_whole(path.with_name(path.name + ending), data)


def _belongs(file: Path) -> Any:
    """Return the key of the job that a picture or latent is of; None for what no job wrote."""
    import numpy as np
    from PIL import Image

    try:
        if file.suffix == ".png":
            with Image.open(file) as picture:
                return json.loads(picture.info["Comment"])["job"]
        with np.load(file) as held:
            return json.loads(str(held["job"]))
    except Exception:  # whatever else it is
        return None


def _taken(file: Path, key: dict[str, Any]) -> str:
    owner = _belongs(file)
    if isinstance(owner, dict):
        engine = owner.get("engine", "draggan")
        unlike = {"engine": None, "config": None, "generator": None}
        if engine != key["engine"] and {**owner, **unlike} == {**key, **unlike}:
            return (
                f"{file} was made by the engine {engine}, and this job asks for {key['engine']}; go on with --engine "
                f"{engine}, give another --out, or write over it with --force"
            )
    if isinstance(owner, dict) and {**owner, "generator": None} == {**key, "generator": None}:
        return f"{file} was made with another model; give another --out, or write over it with --force"
    whose = "is no job's" if owner is None else "is another job's"
    return f"{file} {whose}; give this job a name of its own or another --out, or write over it with --force"


def _unwritten(problem: Exception) -> str:
    said = f"its files cannot be written: {problem or type(problem).__name__}"
    full = isinstance(problem, OSError) and problem.errno in FULL
    return f"{said}. Then the same command goes on from here" if full else said


@contextlib.contextmanager
def _client(workers: int | None, address: str | None) -> Iterator[Any]:
    if workers is None and address is None:
        yield None
        return
    if workers is not None and workers < 1:
        raise ValueError(f"--workers is {workers}; it must be at least 1")
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('a cluster needs Dask: pip install "draggan_widget[cluster]"') from error
    dask: Any = distributed
    if address is not None:
        with dask.Client(address) as client:
            yield client
        return
    with (
        dask.LocalCluster(workers, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        dask.Client(cluster) as client,
    ):
        yield client
