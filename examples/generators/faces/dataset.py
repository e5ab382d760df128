"""Pairs of latents and pictures on disk, in parts that are whole or absent, so that making them can be interrupted.

Part ``k`` holds the pictures of latents ``numpy.random.default_rng([SEED, k])``, so latents need no file.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scene import EDITIONS, LATENT

if TYPE_CHECKING:
    from basis import HeadBasis

SEED = 20240
PART = 500
"""Pictures a part."""
SIZE = 256


def basis_at(path: Path) -> HeadBasis:
    """Return the basis of a file; it is built, and written there, where it is missing."""
    from basis import HeadBasis, build_basis  # here, so that training works where nothing can be drawn

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        build_basis().save(path)
    return HeadBasis.load(path)


def part_latents(part: int) -> np.ndarray:
    """The latents of a part: ``(500, 80)`` float32."""
    return np.random.default_rng([SEED, part]).normal(size=(PART, len(LATENT))).astype("f4")


def part_file(folder: Path, part: int) -> Path:
    """Where the pictures of a part lie: uint8 ``(500, 256, 256, 3)``."""
    return folder / f"pictures-{part:05d}.npy"


def finished_parts(folder: Path) -> list[int]:
    """The parts that are there, in order."""
    return sorted(int(path.stem.split("-")[1]) for path in folder.glob("pictures-*.npy"))


def _make_parts(folder: Path, basis_file: Path, parts: list[int], edition: int, report) -> None:
    # Here, so that training works where nothing can be drawn.
    from basis import HeadBasis
    from render import Renderer, halve
    from scene import scene_from_latent

    os.nice(max(0, 10 - os.nice(0)))
    basis = HeadBasis.load(basis_file)
    renderer = Renderer(basis, size=2 * SIZE, edition=edition)
    for part in parts:
        final = part_file(folder, part)
        if not final.exists():  # another run with the same folder may have made it meanwhile
            pictures = [halve(renderer(scene_from_latent(latent, basis, edition))) for latent in part_latents(part)]
            temporary = final.with_suffix(f".{os.getpid()}.part")
            with temporary.open("wb") as stream:
                np.save(stream, np.stack(pictures))
            temporary.replace(final)
        report.put(part)


class DatasetMaker:
    """Renders missing parts in other processes."""

    def __init__(
        self, folder: Path, basis_file: Path, pictures: int, processes: int, edition: int = EDITIONS[-1]
    ) -> None:
        """Nothing runs before :meth:`start`."""
        folder.mkdir(parents=True, exist_ok=True)
        present = set(finished_parts(folder))
        self.missing = [part for part in range(-(-pictures // PART)) if part not in present]
        self._total = len(self.missing)
        context = multiprocessing.get_context("spawn")  # a graphics context does not survive a fork
        self._report = context.Queue()
        self._workers = [
            context.Process(
                target=_make_parts,
                args=(folder, basis_file, self.missing[k::processes], edition, self._report),
                daemon=True,
            )
            for k in range(min(processes, self._total))
        ]
        self._began = time.monotonic()
        self._made = 0

    def start(self) -> None:
        """Begin."""
        # One thread for each process: threads that share such small work mostly wait for one another. These are read
        # when the process starts.
        before = dict(os.environ)
        os.environ |= {"LP_NUM_THREADS": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        try:
            for worker in self._workers:
                worker.start()
        finally:
            os.environ.clear()
            os.environ.update(before)

    def progress(self) -> str:
        """One line on how far it is; raises ``RuntimeError`` if a worker died."""
        while not self._report.empty():
            self._report.get()
            self._made += 1
        if any(worker.exitcode not in (None, 0) for worker in self._workers):
            raise RuntimeError("a process that renders pictures died; its message is above. Run again to go on")
        left = self._total - self._made
        if not left:
            return "pictures complete"
        seconds = time.monotonic() - self._began
        remaining = f"{seconds / self._made * left / 60:.0f} min" if self._made else "unknown"
        return f"pictures {self._made * PART} of {self._total * PART} missing ones made, time left {remaining}"

    @property
    def complete(self) -> bool:
        """Whether every part asked for is on disk."""
        return not any(worker.is_alive() for worker in self._workers) and self._made >= self._total

    def stop(self) -> None:
        """End the workers; parts being made are lost, finished ones are not."""
        for worker in self._workers:
            worker.terminate()
            worker.join()
