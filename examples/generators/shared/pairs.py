"""Pairs of latents and pictures on disk, in parts that are whole or absent, so that making them can be interrupted.

Part ``k`` holds the pictures of latents ``numpy.random.default_rng([seed, k])``, so latents need no file. What else the
renderer knows of the pictures, such as joints, lies beside them.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from recipe import Recipe
from whole import write_atomically

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def part_latents(recipe: Recipe, part: int) -> np.ndarray:
    """The latents of a part: ``(N, z_dim)`` float32."""
    return np.random.default_rng([recipe.seed, part]).normal(size=(recipe.part, len(recipe.latent))).astype("f4")


def part_file(folder: Path, part: int) -> Path:
    """Where the pictures of a part lie: uint8 ``(N, H, W, 3)``."""
    return folder / f"pictures-{part:05d}.npy"


def known_file(folder: Path, part: int) -> Path:
    """Where lies what is known of the pictures of a part, if there is anything: arrays ``(N, …)`` by name."""
    return folder / f"known-{part:05d}.npz"


def finished_parts(folder: Path) -> list[int]:
    """The parts that are there, in order."""
    return sorted(int(path.stem.split("-")[1]) for path in folder.glob("pictures-*.npy"))


def _make_parts(recipe: Recipe, folder: Path, basis_file: Path, parts: list[int], edition: int, report) -> None:
    os.nice(max(0, 10 - os.nice(0)))
    draw = recipe.drawer(basis_file, edition)
    for part in parts:
        final = part_file(folder, part)
        if not final.exists():  # another run with the same folder may have made it meanwhile
            pictures, known = zip(*map(draw, part_latents(recipe, part)))
            # The pictures come last: where they are, the part is whole.
            if known[0]:
                arrays = {name: np.stack([one[name] for one in known]) for name in known[0]}
                write_atomically(known_file(folder, part), partial(_save_named, arrays))
            write_atomically(final, partial(_save, np.stack(pictures)))
        report.put(part)


def _save(pictures: np.ndarray, stream: IO[bytes]) -> None:
    np.save(stream, pictures)


def _save_named(arrays: dict[str, np.ndarray], stream: IO[bytes]) -> None:
    np.savez(stream, **arrays)


class DatasetMaker:
    """Renders missing parts in other processes."""

    def __init__(
        self, recipe: Recipe, folder: Path, basis_file: Path, pictures: int, processes: int, edition: int | None = None
    ) -> None:
        """Nothing runs before :meth:`start`."""
        folder.mkdir(parents=True, exist_ok=True)
        present = set(finished_parts(folder))
        self.missing = [part for part in range(-(-pictures // recipe.part)) if part not in present]
        self._total, self._part = len(self.missing), recipe.part
        edition = recipe.edition if edition is None else edition
        context = multiprocessing.get_context("spawn")  # a graphics context does not survive a fork
        self._report = context.Queue()
        self._workers = [
            context.Process(
                target=_make_parts,
                args=(recipe, folder, basis_file, self.missing[k::processes], edition, self._report),
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
        return (
            f"pictures {self._made * self._part} of {self._total * self._part} missing ones made, time left {remaining}"
        )

    @property
    def complete(self) -> bool:
        """Whether every part asked for is on disk."""
        return not any(worker.is_alive() for worker in self._workers) and self._made >= self._total

    def stop(self) -> None:
        """End the workers; parts being made are lost, finished ones are not."""
        for worker in self._workers:
            worker.terminate()
            worker.join()


class Pairs:
    """The pairs that are on disk so far, mapped rather than read."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        """Part 0 must be there."""
        self.recipe, self.folder = recipe, folder
        self.parts: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take in parts that were finished since."""
        for part in finished_parts(self.folder):
            if part not in self.parts:
                self.parts[part] = (
                    np.load(part_file(self.folder, part), mmap_mode="r"),
                    part_latents(self.recipe, part),
                )

    def told(self, part: int) -> np.ndarray:
        """What the mapping is taught of a part besides its pictures: (N, K), each column of mean 0 and spread 1."""
        with np.load(known_file(self.folder, part)) as known:
            flat = np.concatenate([known[name].reshape(self.recipe.part, -1) for name in self.recipe.told], 1)
        return flat.astype("f4")

    def __len__(self) -> int:
        return self.recipe.part * len(self.parts) - self.recipe.held_out

    def held_out(self) -> tuple[Tensor, Tensor]:
        """Pictures (N, 3, H, W) and latents (N, z_dim) that training never sees."""
        import torch

        (pictures, latents), count = self.parts[0], self.recipe.held_out
        return as_tensor(pictures[:count]), torch.from_numpy(latents[:count])

    def batch(self, count: int, rng: np.random.Generator, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Random pairs: pictures (N, 3, H, W) in [-1, 1], latents (N, z_dim)."""
        import torch

        keys = list(self.parts)
        chosen = []
        while len(chosen) < count:
            part, row = keys[rng.integers(len(keys))], int(rng.integers(self.recipe.part))
            if part != 0 or row >= self.recipe.held_out:
                chosen.append((part, row))
        pictures = np.stack([self.parts[part][0][row] for part, row in chosen])
        latents = np.stack([self.parts[part][1][row] for part, row in chosen])
        return as_tensor(pictures, device), torch.from_numpy(latents).to(device)


def as_tensor(pictures: np.ndarray, device: torch.device | None = None) -> Tensor:
    """Pictures (N, H, W, 3) uint8 as (N, 3, H, W) in [-1, 1]."""
    import torch

    return torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
