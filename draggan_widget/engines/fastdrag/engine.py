"""FastDrag as an engine (Zhao et al., *FastDrag: Manipulate Anything in One Step*, NeurIPS 2024).

The noisy picture that DragDiffusion pulls by many steps of Adam is warped here once; no gradient is taken. What the
paper does beside, the attention that the warped picture pays to the unwarped one, belongs to the model: see
``models.diffusion``. Its few steps of a consistency model are left out, since they need one.

Ours are: that a pull goes without a mask, and what the noise of empty cells is, see ``FastDrag``; and that a target
that is moved later is warped to from where its pull began, so that a pull that follows a pointer is one warp as well.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.engines.base import Bound, Engine, Step, Verdict
from draggan_widget.engines.edit import XY, Edit
from draggan_widget.engines.fastdrag import formulas
from draggan_widget.engines.fastdrag.settings import FastDrag
from draggan_widget.models import Diffusion

if TYPE_CHECKING:
    from draggan_widget.models import Generator

INCOMPLETE = "what the engine remembers is incomplete, or of another edit"
ARRIVED = 1e-6
"""Pixels from a target at which a handle is there: a warp sets it there."""
EDITABLE = 0.5
"""How much of a cell a mask must cover for it to be warped."""


@dataclasses.dataclass(frozen=True, eq=False)
class Memory:
    """What is remembered between two warps: where they begin."""

    base: Tensor
    """The latent (1, 2·C, h, w) that is warped."""
    handles: Mapping[int, XY]
    """Point → where its handle is in the picture of ``base``."""


class BoundFastDrag(Bound[Memory]):
    """FastDrag on one model."""

    model: Diffusion
    settings: FastDrag

    def place(self, handle: XY) -> XY:
        """Return the handle, moved between the middles of the picture's outermost pixels."""
        height, width = self.model.resolution
        return min(max(handle[0], 0.0), width - 1.0), min(max(handle[1], 0.0), height - 1.0)

    def begin(self, edit: Edit) -> Memory:
        """Return the memory of an edit whose latent is the one that is warped next."""
        return Memory(edit.latent, {point.id: point.handle for point in edit.points})

    def adapt(self, before: Edit, after: Edit, memory: Memory) -> Memory:
        """Return the memory for ``after``: where only targets were moved, the warp begins where it began."""
        same = after.latent is before.latent and after.mask is before.mask and after.ids == before.ids
        if same and all(point.stays(before.point(point.id)) for point in after.points):
            return memory
        return self.begin(after)

    def advance(self, edit: Edit, memory: Memory, at_most: int | None = 1) -> list[Step[Memory]]:  # noqa: ARG002
        """Return the only step. :raises ValueError: without points, or for a mask that leaves no cell to warp."""
        if not edit.points:
            raise ValueError("there are no points to drag; add a handle and its target first")
        with torch.no_grad():
            return [self._advance(edit, memory)]

    def verdict(self, edit: Edit, memory: Memory) -> Verdict | None:  # noqa: ARG002
        """Return "arrived" once it has warped, which sets handles at their targets; else None."""
        return "arrived" if edit.points and float(edit.distances.max()) <= ARRIVED else None

    # --- the warp ----------------------------------------------------------------------------------------------------

    def _advance(self, edit: Edit, memory: Memory) -> Step[Memory]:
        handles = self._cells(np.array([memory.handles[number] for number in edit.ids]))
        targets = self._cells(edit.targets)
        region, circles = self._region(edit.mask, handles, targets)
        rows, columns = np.nonzero(region)
        cells = np.stack([columns, rows], axis=1)
        ways, strength = formulas.moves(cells, handles, targets, circles)
        found = formulas.relocated(region, cells, ways, strength)
        latent = self.model.paired(self._warped(self.model.moving(memory.base), found), self.model.source(memory.base))
        points = tuple(dataclasses.replace(point, handle=point.target) for point in edit.points)
        report = {"warped": int((found != np.arange(found.size).reshape(found.shape)).sum())}
        report["filled"] = int((found == formulas.EMPTY).sum())
        return Step(dataclasses.replace(edit, latent=latent, points=points, step=edit.step + 1), memory, {}, report)

    def _warped(self, noisy: Tensor, found: np.ndarray) -> Tensor:
        """Return a noisy picture (1, C, h, w) with its cells where ``found`` says."""
        empty = found == formulas.EMPTY
        warped = formulas.filled(noisy, found)
        if self.settings.holes == "interpolated" or not empty.any():
            return warped
        model = self.model
        picture, noise = model.schedule.split(noisy, model.said(noisy, model.level), model.level)
        plain = model.schedule.join(formulas.filled(picture, found), noise, model.level)
        return torch.where(torch.from_numpy(empty).to(noisy.device), plain, warped)

    def _region(
        self, mask: np.ndarray | None, handles: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, list[formulas.Circle]]:
        """Return the cells (h, w) that are warped, and each handle's circle."""
        height, width = self.model.side
        if mask is not None:
            covered = F.adaptive_avg_pool2d(torch.from_numpy(np.asarray(mask, np.float64))[None, None], (height, width))
            region = covered[0, 0].numpy() >= EDITABLE
            if not region.any():
                raise ValueError(
                    f"the mask lets nothing move: no cell of {self._cell()} pixels is half inside it; paint more, or "
                    "choose dragdiffusion"
                )
            return region, [formulas.circle_around(region)] * len(handles)
        reach = self.settings.reach * max(height, width)
        circles = [(handle, math.dist(handle, target) + reach) for handle, target in zip(handles, targets, strict=True)]
        places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=2)
        inside = [np.hypot(*(places - middle).transpose(2, 0, 1)) <= radius for middle, radius in circles]
        return np.any(inside, axis=0), circles

    def _cell(self) -> int:
        return self.model.resolution[0] // self.model.side[0]

    def _cells(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels (N, 2) of the picture in cells of the noisy picture."""
        (height, width), (rows, columns) = self.model.resolution, self.model.side
        return np.asarray((pixels + 0.5) * [columns / width, rows / height] - 0.5)

    # --- files -------------------------------------------------------------------------------------------------------

    def pack(self, memory: Memory) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the latent that is warped, and where handles are in it."""
        return {"base": memory.base}, {
            "handles": [[number, *handle] for number, handle in sorted(memory.handles.items())]
        }

    def unpack(self, edit: Edit, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Memory:
        """Return the memory again. :raises ValueError: if something is missing or does not fit edit or model."""
        if set(values) != {"handles"} or set(tensors) != {"base"} or not isinstance(values["handles"], list):
            raise ValueError(INCOMPLETE)
        handles: dict[int, XY] = {}
        for each in values["handles"]:
            good = isinstance(each, list) and len(each) == 3 and type(each[0]) is int
            if not good or not all(type(place) in (int, float) and math.isfinite(place) for place in each[1:]):
                raise ValueError(INCOMPLETE)
            handles[each[0]] = (float(each[1]), float(each[2]))
        if set(handles) != {*edit.ids}:
            raise ValueError(INCOMPLETE)
        return Memory(self.model.space.check(tensors["base"]), handles)

    def content(self, edit: Edit, memory: Memory, number: int) -> Any:
        """Return where a point was put, the same object until it is put elsewhere; None until that was looked at."""
        return edit.point(number).start if number in memory.handles else None


class FastDragEngine(Engine):
    """Zhao et al., *FastDrag*, NeurIPS 2024."""

    name = "fastdrag"
    help = "Warps a noisy picture once, for diffusion models: quick, without gradients (Zhao et al. 2024)"
    Settings = FastDrag
    family = "diffusion"
    needs = (*Engine.needs, "moving", "paired", "schedule")

    def bind(self, model: Generator, settings: FastDrag) -> BoundFastDrag:
        """Return FastDrag on a model. :raises ValueError: for a model of another kind."""
        self.check_model(model)
        return BoundFastDrag(model, settings)
