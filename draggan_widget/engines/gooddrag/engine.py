"""GoodDrag's supervision as an engine (Zhang et al., *GoodDrag*, ICLR 2025), on the latent of a GAN.

The method was made for diffusion, where it takes turns with denoising. A GAN has no time steps, so what remains is the
loss: the patch of 9×9 places as it was *grabbed* is the target, not the one of the step before, so that nothing adds
up; the content is asked to go several pixels at once; and a few steps are taken before it is tracked.

Ours are: the mean over the patch without the paper's factor (2·r1)², to which Adam is blind; the weight of the mask;
tracking to a fraction of a pixel by the L2 norm, as ``draggan`` does; and the tolerance, the same as of other engines.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common.geometry import Frame, lengths
from draggan_widget.engines.descent import BoundDescent, DescentEngine, Memory, Read, Spot
from draggan_widget.engines.draggan import default
from draggan_widget.engines.edit import Edit, EditPoint
from draggan_widget.engines.gooddrag.settings import GoodDrag

if TYPE_CHECKING:
    from draggan_widget.models import Generator

SIDE = 9
"""Places of a patch, each way."""
_LINE = np.linspace(-1, 1, SIDE)
PATCH = np.array([[x, y] for y in _LINE for x in _LINE])
"""(81, 2), in r1; the middle one is the handle."""
MIDDLE = len(PATCH) // 2
TINY = 1e-9


@dataclasses.dataclass(frozen=True, eq=False)
class Patch(Spot):
    """What GoodDrag knows of a point."""

    patch: Tensor
    """Features (81, C) around the handle as they were grabbed."""
    counted: Tensor
    """(81,), 1 for places that were in the picture, 0 for others."""


class BoundGoodDrag(BoundDescent[Patch]):
    """GoodDrag's supervision on one model."""

    settings: GoodDrag
    Spot = Patch

    def __init__(self, model: Generator, settings: GoodDrag) -> None:
        pixel = model.resolution[0] / 512
        self._stride, self._patch = settings.stride * pixel, settings.supervision_radius * pixel * PATCH
        frame = Frame.of(model.resolution, settings.supervision_radius, settings.tracking_radius)
        super().__init__(model, settings, frame, frame.tracking + settings.supervision_radius * pixel + self._stride)

    def shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a spot's tensors."""
        return {"patch": (len(PATCH), channels), "counted": (len(PATCH),)}

    def grab(self, edit: Edit, points: list[EditPoint], read: Read) -> list[Patch]:  # noqa: ARG002
        """Return the patches around the handles."""
        places = np.array([point.handle for point in points])[:, None] + self._patch
        found, inside = read(places).detach(), self._inside(places)
        return [
            Patch(features.clone(), counts.to(features).clone()) for features, counts in zip(found, inside, strict=True)
        ]

    def pull(self, edit: Edit, memory: Memory[Patch], read: Read) -> tuple[Tensor, Memory[Patch]]:
        """Return Σ_i mean over the patch of |F(p_i + q + β_i) - F0(start_i + q)|.

        Places that are not in the picture, or were not when the patch was grabbed, do not count.
        """
        spots = [memory.spots[number] for number in edit.ids]
        to_go = edit.targets - edit.handles
        ahead = to_go * np.minimum(1, self._stride / np.maximum(lengths(to_go), TINY))[:, None]
        places = edit.handles[:, None] + self._patch
        if self.settings.toward == "first":
            wanted, counted = torch.stack([spot.patch for spot in spots]), torch.stack([spot.counted for spot in spots])
            counted = counted * self._inside(places).to(counted)
        else:
            wanted = read(places).detach()
            counted = self._inside(places).to(wanted)
        differences = self.mean_change(read(places + ahead[:, None]) - wanted)
        return (differences * counted / counted.sum(dim=1, keepdim=True)).sum(), memory

    def follow(self, edit: Edit, memory: Memory[Patch], read: Read) -> tuple[Edit, Memory[Patch]]:
        """Return the edit with its handles where their features are found, every few steps."""
        if memory.turn < self.settings.pulls:
            return edit, memory
        references = [memory.spots[number].patch[MIDDLE] for number in edit.ids]
        found = default.track(read, edit.handles, references, self.frame)
        return self.moved_to(edit, found), dataclasses.replace(memory, turn=0)

    def _inside(self, places: np.ndarray) -> Tensor:
        flat = self.frame.contains(places.reshape(-1, 2))
        return torch.from_numpy(flat.reshape(places.shape[:-1]))


class GoodDragEngine(DescentEngine[GoodDrag]):
    """Zhang et al., *GoodDrag*, ICLR 2025."""

    name = "gooddrag"
    help = "Pulls towards the patch as it was grabbed, several steps to a tracking (after Zhang et al. 2025)"
    Settings = GoodDrag
    takes_trackers = True

    def bind(self, model: Generator, settings: GoodDrag) -> BoundGoodDrag:
        """Return GoodDrag's supervision on a model.

        :raises ValueError: if the model cannot serve it, or lacks a block.
        """
        self.check_model(model)
        return BoundGoodDrag(model, settings)
