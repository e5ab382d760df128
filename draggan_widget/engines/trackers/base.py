"""Trackers in place of the nearest features: optical flow, networks for tracking, features of another block.

A tracker is told of the beginning of a drag and then, after every step, asked where the handles are now. ``make``
makes one by name, so that a process elsewhere can.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from draggan_widget.engines import to_image
from draggan_widget.engines.draggan import DragState
from draggan_widget.engines.draggan.methods import frame_of, method_of
from draggan_widget.models import Generator


class Tracker(Protocol):
    """Says where the handles of a drag went."""

    def begin(self, generator: Generator, state: DragState) -> None:
        """A drag begins at ``state``."""

    def track(self, generator: Generator, state: DragState) -> np.ndarray:
        """Where the handles are in the picture of ``state``, one step on: (N, 2) picture pixels (x, y)."""


class Features:
    """The nearest features, as the drag's own method looks for them, but in the maps of other blocks.

    :param blocks: those blocks. :raises ValueError: when it begins, if the generator does not have them.
    """

    def __init__(self, *blocks: int) -> None:
        self.blocks = blocks
        self._references: list[torch.Tensor] = []

    def begin(self, generator: Generator, state: DragState) -> None:
        """See ``Tracker``."""
        if unknown := [block for block in self.blocks if block not in generator.blocks]:
            first, last = generator.blocks[0], generator.blocks[-1]
            raise ValueError(f"the tracker reads block {unknown[0]}; this generator has blocks {first} to {last}")
        self._references = list(self._read(generator, state, state.handles))

    def track(self, generator: Generator, state: DragState) -> np.ndarray:
        """See ``Tracker``. The search begins where the handles were before the step."""
        before = np.array([point.seen for point in state.points])
        frame = frame_of(state.config, state.resolution)
        return method_of(state.config).track(
            lambda xy: self._read(generator, state, xy), before, self._references, frame
        )

    def _read(self, generator: Generator, state: DragState, xy: np.ndarray) -> torch.Tensor:
        with torch.no_grad():
            return generator.sample_features(state.ws, self.blocks, torch.from_numpy(np.ascontiguousarray(xy)))


class Flow:
    """Optical flow from the first picture to the present one, by OpenCV's dense inverse search.

    Flow between neighbouring pictures was tried too: what each misses by adds up, and the handles drift.
    """

    def __init__(self) -> None:
        self._cv2 = opencv()
        self._search: Any = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._first = np.zeros((0, 0), np.uint8)
        self._handles = np.zeros((0, 2))

    def begin(self, generator: Generator, state: DragState) -> None:
        """See ``Tracker``."""
        self._first, self._handles = grey(picture(generator, state)), state.handles

    def track(self, generator: Generator, state: DragState) -> np.ndarray:
        """See ``Tracker``."""
        flow = self._search.calc(self._first, grey(picture(generator, state)), None)
        return np.asarray(self._handles + sampled(flow, self._handles))


def opencv() -> Any:
    """The module ``cv2``. :raises ModuleNotFoundError: without it, saying how to get it."""
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('optical flow needs OpenCV: pip install "draggan_widget[evaluate]"') from error
    return cv2


def dense_flow(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where each pixel of a picture went: (H, W, 2) pixels (x, y). Pictures are (H, W, 3) or (H, W) uint8."""
    cv2 = opencv()
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(search.calc(grey(before), grey(after), None))


def picture(generator: Generator, state: DragState) -> np.ndarray:
    """The picture of a state, (H, W) or (H, W, 3 or 4) uint8."""
    with torch.no_grad():
        return np.asarray(to_image(generator.synthesize(state.ws)))


def grey(image: np.ndarray) -> np.ndarray:
    """(H, W) uint8."""
    if image.ndim == 2:
        return np.ascontiguousarray(image)
    return np.asarray((image[..., :3] @ np.array([0.299, 0.587, 0.114])).round(), dtype=np.uint8)


def sampled(field: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Values (N, C) of a field (H, W, C) at places (N, 2), bilinear, with the border's outside."""
    height, width = field.shape[:2]
    x, y = np.clip(xy, 0, [width - 1, height - 1]).T
    left, top = np.minimum(x.astype(int), max(0, width - 2)), np.minimum(y.astype(int), max(0, height - 2))
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left)[:, None], (y - top)[:, None]
    upper = field[top, left] * (1 - across) + field[top, right] * across
    lower = field[bottom, left] * (1 - across) + field[bottom, right] * across
    return np.asarray(upper * (1 - down) + lower * down, dtype=np.float64)


def make(spec: str) -> Tracker:
    """The tracker of that name: ``features:BLOCK`` or ``features:BLOCK+BLOCK``, ``flow``, ``raft:WEIGHTS`` or
    ``pips:CHECKOUT:WEIGHTS``. Paths may begin with the letter of a drive.

    :raises ValueError: for another name. :raises ModuleNotFoundError: where what it needs is not installed.
    :raises FileNotFoundError: where its files are not there.
    """
    from draggan_widget.engines.trackers.learned import Pips, Raft

    makers: dict[str, Callable[..., Tracker]] = {
        r"features:(\d+(?:\+\d+)*)": lambda blocks: Features(*map(int, blocks.split("+"))),
        r"flow": Flow,
        r"raft:(.+)": Raft,
        r"pips:([A-Za-z]:[\\/][^:]*|[^:]+):(.+)": Pips,
    }
    for pattern, maker in makers.items():
        if named := re.fullmatch(pattern, spec):
            return maker(*named.groups())
    raise ValueError(f"no tracker {spec!r}; there are features:BLOCK, flow, raft:WEIGHTS and pips:CHECKOUT:WEIGHTS")
