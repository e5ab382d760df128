"""Trackers: the nearest features, optical flow, networks for tracking.

A tracker is told where the handles are in the picture of a latent and then, after every step, asked where they are now.
Any engine can use one, and so do the experiments. ``make`` makes one by name, so that a process elsewhere can.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from draggan_widget.config import DragConfig
from draggan_widget.engines.base import check_blocks, check_parts
from draggan_widget.engines.common.scaling import Scales, scales_of
from draggan_widget.engines.draggan.methods import blocks_of, frame_of, method_of
from draggan_widget.engines.finish import to_image
from draggan_widget.engines.trackers.windows import LOOKED_BACK, found_in_windows

if TYPE_CHECKING:
    from torch import Tensor

    from draggan_widget.models import Model


Sight = tuple["Tensor", np.ndarray]
"""A latent, and where handles (N, 2) are in its picture."""


class Tracker(Protocol):
    """Says where the handles of a drag went.

    A shallow copy goes on by itself, and leaves the one that it was copied from as it is. So an engine whose memory
    holds a tracker takes its next step with ``copy.copy(tracker)``, and undo finds the one of before.
    """

    def check(self, model: Model) -> None:
        """Check that the tracker can serve a model. :raises ValueError: in a sentence, if it cannot."""

    def begin(self, model: Model, latent: Tensor, handles: np.ndarray) -> None:
        """Take note of the content at ``handles`` (N, 2), picture pixels (x, y), in the picture of ``latent``.

        :raises ValueError: for handles of another shape or not finite, or if the model has not what the tracker reads.
        """

    def track(self, model: Model, latent: Tensor) -> np.ndarray:
        """Return where that content is in the picture of ``latent``, one step on: (N, 2) picture pixels (x, y).

        It may lie outside the picture.
        """

    def seen(self) -> tuple[Sight, ...]:
        """Return what it goes on from, oldest first: latents, and where the handles were in their pictures."""

    def resume(self, model: Model, seen: Sequence[Sight]) -> None:
        """Become the tracker again that had ``seen`` this.

        :raises ValueError: for what no such tracker has seen, or as ``begin``.
        """


class Features:
    """The nearest features, as a drag by DragGAN looks for them: by its method and within its radius, or where its
    ``window`` is adaptive within one that is as large as the handle's pace asks for (``trackers.windows``).

    :param blocks: whose features; none for those that the drag itself reads. :param config: of that drag; None for the
        settings that the model carries.
    """

    weighs_blocks = True
    """Whether features of several blocks are weighed as the settings say."""

    def __init__(self, *blocks: int, config: DragConfig | None = None) -> None:
        self.blocks, self.config = blocks, config
        self._references: list[Tensor] = []
        self._seen: tuple[Sight, ...] = ()
        self._scales: Scales | None = None

    def check(self, model: Any) -> None:
        """See ``Tracker``."""
        check_parts(model, ("sample_features", "blocks"), "the tracker", "track by flow")
        check_blocks(model, self.blocks, f"the tracker reads block {'+'.join(map(str, self.blocks))}")

    def begin(self, model: Any, latent: Tensor, handles: np.ndarray) -> None:
        """See ``Tracker``."""
        self.check(model)
        first = places(handles)
        self._seen = ((latent.detach(), first),)
        if self.weighs_blocks:
            several = self._settings(model).several_blocks
            self._scales = scales_of(model, self._seen[0][0], self._blocks(model), several)
        self._references = list(self._read(model, latent, first))

    def track(self, model: Any, latent: Tensor) -> np.ndarray:
        """See ``Tracker``. The search begins where the handles were before."""
        config = self._settings(model)
        frame = frame_of(config, model.resolution)
        (first, *later), last = self._seen, self._seen[-1][1]

        def read(xy: np.ndarray) -> Tensor:
            return self._read(model, latent, xy)

        if config.window == "adaptive":
            cell = model.resolution[0] / max(model.map_size(block)[0] for block in self._blocks(model))
            course = [handles for _, handles in self._seen]
            found = found_in_windows(method_of(config), read, course, self._references, frame, cell)
            self._seen = first, *later[1 - LOOKED_BACK :], (latent.detach(), found)
        else:
            found = method_of(config).track(read, last, self._references, frame)
            self._seen = first, (latent.detach(), found)
        return np.array(found)

    def seen(self) -> tuple[Sight, ...]:
        """See ``Tracker``: where content was taken, and where it was found last."""
        return self._seen

    def resume(self, model: Any, seen: Sequence[Sight]) -> None:
        """See ``Tracker``."""
        check_seen(seen, 1 + LOOKED_BACK)
        self.begin(model, *seen[0])
        self._seen = tuple(seen)

    def _settings(self, model: Any) -> DragConfig:
        return self.config or getattr(model, "drag_config", None) or DragConfig()

    def _read(self, model: Any, latent: Tensor, xy: np.ndarray) -> Tensor:
        with torch.no_grad():
            read: Tensor = model.sample_features(
                latent, self._blocks(model), torch.from_numpy(np.ascontiguousarray(xy))
            )
        return read if self._scales is None else read * self._scales.tracked

    def _blocks(self, model: Any) -> tuple[int, ...]:
        return self.blocks or blocks_of(model, self._settings(model))


class FromFirst:
    """What trackers share that look for the flow from the first picture to the present one.

    Flow between neighbouring pictures was tried too: what each misses by adds up, and the handles drift.
    """

    def __init__(self) -> None:
        self._first = np.zeros((0, 0), np.uint8)
        self._seen: tuple[Sight, ...] = ()

    def flow(self, first: np.ndarray, now: np.ndarray) -> np.ndarray:
        """Return where each pixel of a picture went, (H, W, 2) pixels (x, y); pictures are (H, W, …) uint8."""
        raise NotImplementedError

    def check(self, model: Model) -> None:
        """See ``Tracker``."""

    def begin(self, model: Model, latent: Tensor, handles: np.ndarray) -> None:
        """See ``Tracker``."""
        self.check(model)
        first = places(handles)
        self._first, self._seen = picture(model, latent), ((latent.detach(), first),)

    def track(self, model: Model, latent: Tensor) -> np.ndarray:
        """See ``Tracker``."""
        ((_, handles),) = self._seen
        return np.asarray(handles + sampled(self.flow(self._first, picture(model, latent)), handles))

    def seen(self) -> tuple[Sight, ...]:
        """See ``Tracker``: where content was taken."""
        return self._seen

    def resume(self, model: Model, seen: Sequence[Sight]) -> None:
        """See ``Tracker``."""
        check_seen(seen, 1)
        self.begin(model, *seen[0])


class Flow(FromFirst):
    """Optical flow from the first picture to the present one, by OpenCV's dense inverse search."""

    def __init__(self) -> None:
        super().__init__()
        opencv()

    def flow(self, first: np.ndarray, now: np.ndarray) -> np.ndarray:
        """See ``FromFirst``."""
        return dense_flow(first, now)


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


def picture(model: Model, latent: Tensor) -> np.ndarray:
    """The picture of a latent, (H, W) or (H, W, 3 or 4) uint8."""
    with torch.no_grad():
        return np.asarray(to_image(model.synthesize(latent)))


def check_seen(seen: Sequence[Sight], most: int) -> None:
    """Check what a tracker is to go on from. :raises ValueError: for none of it, or more than ``most``."""
    if not 0 < len(seen) <= most:
        raise ValueError(f"the tracker is said to have seen {len(seen)} pictures; it goes on from 1 to {most}")


def places(handles: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Handles (N, 2) as an array of its own. :raises ValueError: for another shape, or what is not finite."""
    found = np.array(handles, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != 2 or not np.isfinite(found).all():
        raise ValueError(f"a tracker begins with finite handles (N, 2) in picture pixels; got {found.tolist()}")
    return found


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


def make(spec: str, config: DragConfig | None = None) -> Tracker:
    """Return the tracker of a name: ``features``, ``features:BLOCK`` or ``features:BLOCK+BLOCK``, ``metric`` or
    ``metric:WEIGHTS``, ``flow``, ``raft`` or ``raft:WEIGHTS``, ``pips`` or ``pips:CHECKOUT:WEIGHTS``. ``draggan`` is
    another name of ``features``: it tracks as a drag by DragGAN does. Paths may begin with the letter of a drive.

    :param config: whose method and radius ``features`` and ``metric`` search by; None for the settings that the model
        carries.
    :raises ValueError: for another name. :raises ModuleNotFoundError: where what it needs is not installed.
    :raises FileNotFoundError: where its files are not there; of ``raft`` and ``pips`` alone, where nobody said
        where they are.
    """
    from draggan_widget.engines.trackers.bringing import brought
    from draggan_widget.engines.trackers.learned import Pips, Raft
    from draggan_widget.engines.trackers.metric import LearnedMetric

    makers: dict[str, Callable[..., Tracker]] = {
        r"features:(\d+(?:\+\d+)*)": lambda blocks: Features(*map(int, blocks.split("+")), config=config),
        r"draggan|features": lambda: Features(config=config),
        r"metric(?::(.+))?": lambda weights: LearnedMetric(weights, config),
        r"flow": Flow,
        r"raft": lambda: Raft(*brought("raft")),
        r"raft:(.+)": Raft,
        r"pips": lambda: Pips(*brought("pips")),
        r"pips:([A-Za-z]:[\\/][^:]*|[^:]+):(.+)": Pips,
    }
    for pattern, maker in makers.items():
        if named := re.fullmatch(pattern, spec):
            return maker(*named.groups())
    raise ValueError(
        f"no tracker {spec!r}; there are features, features:BLOCK, metric, flow, raft:WEIGHTS and pips:CHECKOUT:WEIGHTS"
    )
