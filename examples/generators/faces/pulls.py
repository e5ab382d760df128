"""Landmark drags: a landmark that dlib sees is pulled; dlib says where it went, and whether the face is the same.

This is the manner of the paper's face manipulation (Pan et al. 2023, section 4.2), with random targets.
"""

from __future__ import annotations

import math
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import beside  # noqa: F401  for what is shared
import numpy as np
import torch
from sheets import picture_of

from draggan_widget import DragConfig, drag, load_generator
from draggan_widget.inversion import CHIN, EYE_CORNER, MOUTH_CORNER, NOSE_TIP, Landmarks
from draggan_widget.models import Generator

PULLED = {"nose tip": NOSE_TIP, "outer eye corner": EYE_CORNER, "mouth corner": MOUTH_CORNER, "chin": CHIN}
DISTANCE = 0.05
"""How far landmarks are pulled, in picture widths."""
NEAR = 100 * 6 / 256
"""An error, in hundredths of the picture's width, up to which a pull has done its work."""
FIRST_SEED = 2000
TRUNCATION = 0.7


@dataclass(frozen=True)
class Pull:
    """One landmark of one face, and how far it is to go (x, y), in pictures' widths."""

    seed: int
    name: str
    by: tuple[float, float]


@dataclass(frozen=True)
class Pulled:
    """What came of one pull."""

    pull: Pull
    error: float
    """From dlib's landmark in the edited picture to the target, in hundredths of the picture's width; infinite
    without a face."""
    changed: float
    """Distance between the face descriptors before and after; infinite without a face."""
    outside: float
    """With a mask: mean change of a pixel that was to stay, of 255."""
    reason: str
    steps: int
    seconds: float


def pulls(count: int) -> list[Pull]:
    """The same ``count`` pulls each time: landmarks take turns, directions are random."""
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, count)
    names = list(PULLED)
    ways = DISTANCE * np.stack([np.cos(angles), np.sin(angles)], 1)
    return [Pull(FIRST_SEED + k, names[k % len(names)], (float(x), float(y))) for k, (x, y) in enumerate(ways)]


def pull_one(
    generator: Generator, find: Landmarks, pull: Pull, config: DragConfig | None, masked: bool
) -> Pulled | None:
    """Pulls as told, with everything held but a disc around the landmark if ``masked``; None without a face.

    :param config: of the engine ``draggan``; None pulls by ``natural``.
    """
    height, width = generator.resolution
    ws = generator.mapping(seed=pull.seed, truncation=TRUNCATION)
    before = picture_of(generator, ws)
    face = find.describe(before)
    if face is None:
        return None
    number = PULLED[pull.name]
    handle = face[0][number]
    target = np.clip(handle + width * np.array(pull.by), 0, (width - 1, height - 1))
    rows, columns = np.mgrid[:height, :width]
    free = np.hypot(columns - handle[0], rows - handle[1]) < 0.2 * width
    began = time.perf_counter()
    result = drag(generator, ws, [handle], [target], mask=free if masked else None, config=config)
    seconds = time.perf_counter() - began
    after = np.asarray(result.image)
    found = find.describe(after)
    return Pulled(
        pull,
        error=float("inf") if found is None else 100 * float(np.hypot(*(found[0][number] - target))) / width,
        changed=float("inf") if found is None else float(np.linalg.norm(found[1] - face[1])),
        outside=float(np.abs(after.astype(float) - before)[~free].mean()),
        reason=result.reason,
        steps=result.steps,
        seconds=seconds,
    )


def summary(pulled: list[Pulled | None], typical_difference: float) -> dict[str, float]:
    """Figures of pulls: lengths in hundredths of the picture's width, shares 0..1.

    ``good`` is the share that ended near the target with a face that differs from the one before by less than half of
    what two faces differ by.
    """
    done = [one for one in pulled if one is not None]
    if not done:
        raise RuntimeError(f"dlib found no face in any of {len(pulled)} pictures, so there was no landmark to pull")
    by_name = {
        name: statistics.median(one.error for one in done if one.pull.name == name)
        for name in PULLED
        if any(one.pull.name == name for one in done)
    }
    figures = {
        "pulls": len(done),
        "good": statistics.mean(one.error <= NEAR and one.changed < typical_difference / 2 for one in done),
        "median_error": statistics.median(one.error for one in done),
        "within": statistics.mean(one.error <= NEAR for one in done),
        **{f"error_{name.replace(' ', '_')}": error for name, error in by_name.items()},
        "face_found": statistics.mean(math.isfinite(one.error) for one in done),
        "same_face": statistics.mean(one.changed < typical_difference / 2 for one in done),
        "changed": statistics.median(one.changed for one in done),
        "arrived": statistics.mean(one.reason == "arrived" for one in done),
        "steps": statistics.median(one.steps for one in done),
        "seconds_a_step": sum(one.seconds for one in done) / max(1, sum(one.steps for one in done)),
        "outside": statistics.median(one.outside for one in done),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


class Team:
    """Processes that pull: one thread each, since a step has too little work for two."""

    def __init__(self, generator: str, processes: int) -> None:
        """``generator`` is a built-in name or a file."""
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(generator,))

    def __call__(self, config: DragConfig | None, count: int, masked: bool = False) -> list[Pulled | None]:
        """``count`` pulls with ``config``."""
        return list(self._pool.map(_pull, pulls(count), [config] * count, [masked] * count))

    def close(self) -> None:
        """Ends the processes."""
        self._pool.shutdown(cancel_futures=True)


_mine: tuple[Generator, Landmarks]


def _begin(generator: str) -> None:
    global _mine
    torch.set_num_threads(1)
    _mine = load_generator(generator, device="cpu"), Landmarks()


def _pull(pull: Pull, config: DragConfig | None, masked: bool) -> Pulled | None:
    return pull_one(*_mine, pull, config, masked)
