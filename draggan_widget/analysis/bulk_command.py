"""``draggan-widget drag``: many drags of a JSON file, with pictures and latents as files."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from draggan_widget.analysis.bulk import Outcome
    from draggan_widget.generators import Generator

DESCRIPTION = (
    'Drag what a JSON file says: [{"seed": 9, "handles": [[98, 174]], "targets": [[82, 163]]}, …], or an object with '
    '"model" and "jobs". A job may also have name, truncation, label, config, model and ws. DIR then holds NAME.png '
    "and NAME.npz for each, and results.jsonl, errors included. What is done there already is not done again."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("jobs", type=Path, metavar="JOBS.json")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for pictures, latents, results")
    parser.add_argument("--model", help="a built-in name or a checkpoint (default: the file's, else faces)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, metavar="N", help="so many processes on this machine; needs dask")
    where.add_argument("--cluster", metavar="ADDRESS", help="of a Dask scheduler, such as tcp://host:8786")


def run_drag(options: argparse.Namespace) -> int:
    """Drag, say how it goes; the status is 1 where a job failed or nothing could be begun."""
    from draggan_widget.analysis.bulk import drag_many, read_jobs
    from draggan_widget.analysis.ledger import Ledger
    from draggan_widget.generators import CheckpointError, load_generator

    try:
        named, jobs = read_jobs(options.jobs)
        model = options.model or named or "faces"
        generator = load_generator(model)
        options.out.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(options.out / "results.jsonl")
        asked = [{"model": str(model), "number": number, "job": job} for number, job in enumerate(jobs)]
        todo = [number for number, each in enumerate(asked) if "error" in (ledger.find(each) or {"error": ""})]
        failed = 0

        def keep(done: int, total: int, outcome: Outcome) -> None:
            nonlocal failed
            number = todo[outcome.number]
            if outcome.error is None:
                _write(options.out / outcome.name, outcome, jobs[number], generator)
            else:
                failed += 1
                sys.stderr.write(f"\r\x1b[K{outcome.name}: {outcome.error}\n")
            ledger.add(asked[number], {**outcome.to_dict(), "number": number})
            if sys.stderr.isatty():
                sys.stderr.write(f"\r\x1b[K{done} of {total}" + ("\n" if done == total else ""))
                sys.stderr.flush()

        named_jobs = [_named(jobs[number], number) for number in todo]
        with _client(options.workers, options.cluster) as client:
            drag_many(model, named_jobs, client=client, progress=keep)
    except (FileNotFoundError, ModuleNotFoundError, CheckpointError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; the same command goes on from here\n")
        return 130
    sys.stdout.write(f"{options.out}: {len(todo) - failed} done, {failed} failed, {len(jobs) - len(todo)} before\n")
    return 1 if failed else 0


def _named(job: Any, number: int) -> Any:
    """With the name that its place in the file gives it, where it has none."""
    return {**job, "name": job.get("name") or f"{number:04d}"} if isinstance(job, dict) else job


def _write(path: Path, outcome: Outcome, job: dict[str, Any], generator: Generator) -> None:
    import numpy as np
    import torch

    from draggan_widget.dragging import to_image
    from draggan_widget.editing.export import png
    from draggan_widget.generators import load_generator
    from draggan_widget.generators.checkpoints import written_whole

    assert outcome.ws is not None
    if job.get("model"):
        generator = load_generator(job["model"])
    with torch.no_grad():
        picture = to_image(generator.synthesize(torch.from_numpy(outcome.ws).to(next(generator.parameters()))))
    said: dict[str, Any] = {name: job[name] for name in ("seed", "truncation", "label") if name in job}
    latent = io.BytesIO()
    targets = np.asarray(job["targets"], dtype=float)
    np.savez_compressed(latent, ws=outcome.ws, handles=np.asarray(outcome.handles), targets=targets)
    picture_file = png(picture, provenance={**said, "steps": outcome.steps})
    for ending, data in ((".png", picture_file), (".npz", latent.getvalue())):
        with written_whole(path.with_name(path.name + ending)) as partial:
            partial.write_bytes(data)


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
