"""The edit that every engine understands, and the checks that what people give as points and masks can be worked with.

An edit is a latent, where it began, points, a mask, and how many steps were done.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.models import Layer

if TYPE_CHECKING:
    from draggan_widget.models import Model

XY = tuple[float, float]
"""A position in picture pixels: x to the right, y down, pixel centres at integers."""


@dataclasses.dataclass(frozen=True)
class EditPoint:
    """One handle and its target."""

    id: int
    handle: XY
    """Where the handle is now."""
    target: XY
    start: XY
    """Where somebody put the handle."""

    def stays(self, before: EditPoint) -> bool:
        """Return whether its handle is the one that it was, wherever the target is."""
        return before.handle == self.handle and before.start == self.start

    def follows(self, before: EditPoint) -> bool:
        """Return whether it is on the content that it was on: at most its target has moved. One that was put anew where
        it was is not.
        """
        return before is self or (self.stays(before) and before.target != self.target)


@dataclasses.dataclass(frozen=True, eq=False)
class Edit:
    """An edit at one time, as an immutable value. It holds nothing that only one engine understands.

    Two edits share what is the same in both, so comparing with ``is`` says what has changed.
    """

    latent: Tensor
    """Of the model's own shape, detached; for a StyleGAN ``ws`` (1, num_ws, w_dim)."""
    origin: Tensor
    """The latent that the edit began from."""
    points: tuple[EditPoint, ...] = ()
    mask: np.ndarray | None = None
    """(H, W) numbers 0 … 1, 1 = may move; None = everything may."""
    step: int = 0
    """Steps done since the edit began."""
    held: np.ndarray | None = None
    """(n, numbers of a latent): readings, one a row, that no step may change of any row of the latent; None for none.
    See ``projection``."""
    wish: np.ndarray | None = None
    """The change of the latent that was asked for beside the points, of its shape; ``latent`` has it. None for none."""
    below: tuple[Layer, ...] = ()
    """What shows outside the mask where pictures are blended, from the lowest layer up: the picture when the mask was
    set. () for that of ``origin``."""

    @property
    def ids(self) -> tuple[int, ...]:
        """The numbers of the points, in the order of ``handles``."""
        return tuple(point.id for point in self.points)

    @property
    def handles(self) -> np.ndarray:
        """(N, 2) picture pixels (x, y), where the handles are now."""
        return _positions([point.handle for point in self.points])

    @property
    def targets(self) -> np.ndarray:
        """(N, 2) picture pixels (x, y)."""
        return _positions([point.target for point in self.points])

    @property
    def distances(self) -> np.ndarray:
        """(N,) picture pixels that each handle has still to go."""
        return np.asarray(np.linalg.norm(self.targets - self.handles, axis=1))

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What the blended picture is made of, from the lowest layer up. Without a mask the latent shows everywhere.

        While the latent is the one at which the mask was set, the picture is the one of then.
        """
        if self.mask is None and not self.below:
            return (Layer(self.latent),)
        below = self.below or (Layer(self.origin),)
        if self.latent is below[-1].latent or torch.equal(self.latent, below[-1].latent):
            return below
        return (Layer(self.latent),) if self.mask is None else (*below, Layer(self.latent, self.mask))

    def with_mask(self, mask: np.ndarray | None) -> Edit:
        """Return the edit with another checked mask (H, W); the picture of now shows outside it from now on."""
        layers = self.layers
        begun = len(layers) == 1 and torch.equal(layers[0].latent, self.origin)
        return dataclasses.replace(self, mask=mask, below=() if begun else layers)

    def point(self, number: int) -> EditPoint:
        """Return the point of that id. :raises ValueError: if there is none."""
        for point in self.points:
            if point.id == number:
                return point
        raise ValueError(f"there is no point {number}; there are {list(self.ids)}")

    def with_point(self, point: EditPoint) -> Edit:
        """Return the edit with ``point`` in the place of the one of its id, or added where there is none."""
        if point.id not in self.ids:
            return dataclasses.replace(self, points=(*self.points, point))
        points = tuple(point if each.id == point.id else each for each in self.points)
        return dataclasses.replace(self, points=points)

    def without_point(self, number: int) -> Edit:
        """Return the edit without that point. :raises ValueError: if there is none of that id."""
        gone = self.point(number)
        return dataclasses.replace(self, points=tuple(each for each in self.points if each is not gone))


def _positions(positions: list[Any]) -> np.ndarray:
    return np.array(positions, dtype=np.float64).reshape(-1, 2)


def check_pairs(handles: Any, targets: Any) -> list[tuple[int, XY, XY]]:
    """Return two lists of N positions as ``[(1, handle, target), (2, …), …]``.

    :raises ValueError: for another shape than (N, 2), or handles and targets of different number.
    """
    starts, ends = _pairs("handles", handles), _pairs("targets", targets)
    if len(starts) != len(ends):
        raise ValueError(f"there are {len(starts)} handles and {len(ends)} targets; give each handle one target")
    return [(n, (a[0], a[1]), (b[0], b[1])) for n, (a, b) in enumerate(zip(starts, ends, strict=True), start=1)]


def _pairs(name: str, values: Any) -> list[list[float]]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a list of (x, y) in picture pixels; got {values!r}") from error
    if array.size == 0:
        return []
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"{name} has shape {array.shape}; give a list of (x, y), that is (N, 2)")
    return [[float(x), float(y)] for x, y in array]


def check_xy(name: str, value: Any, resolution: tuple[int, int]) -> XY:
    """Return ``value`` as (x, y) inside a picture of ``resolution`` (H, W).

    :raises ValueError: naming ``name``, if it is no pair of finite numbers or lies outside the picture, whose
        outermost pixels reach half a pixel beyond their centres.
    """
    height, width = resolution
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError("text is no position")
        x, y = (float(number) for number in value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {value!r}; give (x, y) in picture pixels") from error
    if not np.isfinite([x, y]).all():
        raise ValueError(f"{name} is ({x:g}, {y:g}); both numbers must be finite")
    if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
        raise ValueError(
            f"{name} is outside the picture: ({x:g}, {y:g}); pixels go from 0 to {width - 1} in x, {height - 1} in y"
        )
    return x, y


def check_mask(mask: Any, resolution: tuple[int, int]) -> np.ndarray | None:
    """Return a mask (H, W) of bools or numbers 0 … 1, 1 = may move, as an array of floats of its own.

    None stays None: everything may move.

    :raises ValueError: for another shape, NaN, or numbers outside 0 … 1. :raises TypeError: if it holds no numbers.
    """
    if mask is None:
        return None
    array = mask.detach().cpu().numpy() if isinstance(mask, Tensor) else np.asarray(mask)
    if array.dtype.kind not in "buif":
        raise TypeError(f"mask holds {array.dtype}; give bools or numbers from 0 (must stay) to 1 (may move)")
    if array.shape != tuple(resolution):
        raise ValueError(f"mask has shape {array.shape}; this picture needs {tuple(resolution)}, (height, width)")
    if not np.isfinite(array).all():
        raise ValueError("mask holds NaN or infinite numbers; give numbers from 0 (must stay) to 1 (may move)")
    if array.min() < 0 or array.max() > 1:
        raise ValueError(
            f"mask holds numbers from {array.min():g} to {array.max():g}; scale them to 0 (must stay) … 1 (may move)"
        )
    return array.astype(array.dtype if array.dtype.kind == "f" else np.float32)


def check_ws(model: Model, ws: Any) -> Tensor:
    """Return a copy of a latent in the model's dtype and on its device. It is ``model.space.check``.

    :raises ValueError: for another shape, NaN or infinity. :raises TypeError: if it is no array of real numbers.
    """
    return model.space.check(ws)
