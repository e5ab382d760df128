"""What is measured: networks of config F's widths with random weights, and drags on them."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from draggan_widget.analysis.benchmarks.original import OriginalDrag
from draggan_widget.config import DragConfig
from draggan_widget.engines.draggan import init, stride
from draggan_widget.models import StyleGAN2

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 7
SIDES = ("default", "official", "original")
"""Ours with its own settings, ours with the authors' formulas, and the authors' way of computing them."""
PULL = 0.06
"""Length of a pull, as a part of the picture."""
LEARNING_RATE = 1e-5
"""So small that no handle arrives while it is timed, after which a step has nothing left to do."""
CURVES = (
    # start, end (in parts of the picture), bulge downwards, number: jaw, brows, nose, eyes, mouth
    ((0.27, 0.40), (0.73, 0.40), 0.42, 17),
    ((0.31, 0.34), (0.45, 0.33), -0.03, 5),
    ((0.55, 0.33), (0.69, 0.34), -0.03, 5),
    ((0.50, 0.40), (0.50, 0.55), 0.0, 4),
    ((0.45, 0.58), (0.55, 0.58), 0.02, 5),
    ((0.34, 0.41), (0.44, 0.41), -0.02, 6),
    ((0.56, 0.41), (0.66, 0.41), -0.02, 6),
    ((0.40, 0.68), (0.60, 0.68), -0.03, 10),
    ((0.41, 0.69), (0.59, 0.69), 0.05, 10),
)
"""Where the 68 landmarks of a face are in a portrait, roughly: how they spread is what a cost depends on."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One drag to be measured."""

    size: int
    """Picture side in pixels."""
    handles: int
    """How many points are pulled, 1 to 68."""
    mask: bool
    """Whether all but the middle of the picture must stay."""

    def __str__(self) -> str:
        points = "1 handle" if self.handles == 1 else f"{self.handles} handles"
        return f"{self.size} px, {points}, {'with' if self.mask else 'without'} a mask"


def network(size: int, *, width: int | None = None, device: str = "cpu") -> StyleGAN2:
    """Return a StyleGAN2 of that picture size with random weights, the same at every call.

    :param width: channels of every block; None for config F's, up to 512.
    """
    channels = None if width is None else {2**power: width for power in range(2, size.bit_length())}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return StyleGAN2(size, channels=channels).to(device)


def points(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return handles and targets (N, 2) each, in picture pixels: landmarks of a face, each pulled its own way."""
    if not 1 <= case.handles <= 68:
        raise ValueError(f"handles is {case.handles}; it must be from 1 to 68")
    places = []
    for (x0, y0), (x1, y1), bulge, count in CURVES:
        along = np.linspace(0, 1, count)
        places.append(
            np.stack([x0 + (x1 - x0) * along, y0 + (y1 - y0) * along + bulge * 4 * along * (1 - along)], axis=1)
        )
    # Few of them are spread over the face as well.
    order = np.random.RandomState(SEED).permutation(68)[: case.handles]
    handles = np.round(np.concatenate(places)[order] * (case.size - 1))
    angles = np.random.RandomState(SEED + 1).uniform(0, 2 * math.pi, 68)[: case.handles]
    pulls = PULL * case.size * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return handles, np.clip(np.round(handles + pulls), 0, case.size - 1)


def mask_of(case: Case) -> np.ndarray | None:
    """Return the mask (H, W) of a case: the middle, 70 % wide and high, may move."""
    if not case.mask:
        return None
    mask = np.zeros((case.size, case.size), np.float32)
    edge = round(0.15 * case.size)
    mask[edge:-edge, edge:-edge] = 1
    return mask


def stepper(side: str, generator: StyleGAN2, case: Case) -> Callable[[], int]:
    """Return a function that takes the next step or steps of the case's drag and says how many, made by one of
    ``SIDES``.
    """
    ws = generator.mapping(seed=SEED, truncation=0.7)
    handles, targets = points(case)
    mask = mask_of(case)
    if side == "original":
        kept = None if mask is None else torch.from_numpy(mask)
        original = OriginalDrag(generator, ws, _pairs(handles), _pairs(targets), kept, learning_rate=LEARNING_RATE)

        def step_original() -> int:
            if not original.step():
                raise RuntimeError(f"the drag of {case} has arrived while it was measured; this is a defect")
            return 1

        return step_original
    config = DragConfig.official() if side == "official" else generator.drag_config
    config = config.replace(learning_rate=LEARNING_RATE, max_steps=None, stall_steps=None)
    numbered = [(number, *pair) for number, pair in enumerate(zip(handles, targets, strict=True), start=1)]
    state = init(generator, ws, numbered, mask, config)

    def step_ours() -> int:
        nonlocal state
        states = stride(generator, state)
        state = states[-1]
        return len(states)

    return step_ours


def _pairs(positions: np.ndarray) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in positions]
