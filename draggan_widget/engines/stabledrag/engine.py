"""StableDrag as an engine (Cui et al., *StableDrag: Stable Dragging for Point-based Image Editing*, ECCV 2024).

Before the edit each handle gets a 1×1 filter that answers where the handle is and nowhere else in the picture. Tracking
listens to it and to the likeness of features. While its answer is weaker than at the start, the handle is not surely
found, and is pulled towards the patch as it was grabbed instead of the one at the handle.

The paper trains the filter; learning rate, steps, the share of the two in tracking and the threshold are not told. Ours
are: the filter in closed form, which needs neither; a quarter of the score for it, since its answer is a cell wide and
so tells less where within the cell the handle is; a threshold of four fifths of the first answer, found by pulling
landmarks of faces (docs/engines.md), with 0.1 of hysteresis so that the target does not flicker; and Adam's moments,
cleared when it changes.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common.formulas import no_longer_than_1
from draggan_widget.engines.common.geometry import Frame, disc
from draggan_widget.engines.common.running import Moments
from draggan_widget.engines.descent import BoundDescent, DescentEngine, Memory, Read, Spot
from draggan_widget.engines.edit import Edit, EditPoint
from draggan_widget.engines.stabledrag.filters import discriminative, found
from draggan_widget.engines.stabledrag.settings import StableDrag

if TYPE_CHECKING:
    from draggan_widget.models import Generator

HYSTERESIS = 0.1
"""Of the first response, above the threshold, from which a handle counts as surely found again."""
STUCK = 2
"""Trackings that brought no handle nearer, after which the patch as it is is pulled towards all the same: content that
a mask has bent cannot be as it was grabbed, and would be held where it is."""
DUMB = 0.05
"""Of the label 1: a filter that answers no more than so much at its own handle says nothing about sureness."""
FINEST = 6
"""Places of a disc to its radius: of larger discs every few pixels are pulled."""


@dataclasses.dataclass(frozen=True, eq=False)
class Known(Spot):
    """What StableDrag knows of a point."""

    reference: Tensor
    """Features (C,) at the handle as it was grabbed."""
    filter: Tensor
    """g (C,)."""
    patch: Tensor
    """Features (P, C) of the disc around it."""
    counted: Tensor
    """(P,), 1 for places of it that were in the picture, 0 for others."""
    first: float
    """The filter's response there, by which later ones are measured; 0 where it says nothing."""
    response: float
    """The response where the handle was found last."""
    sure: bool = True
    """Whether that is surely it."""


class BoundStableDrag(BoundDescent[Known]):
    """StableDrag on one model."""

    settings: StableDrag
    Spot = Known

    def __init__(self, model: Generator, settings: StableDrag) -> None:
        frame = Frame.of(model.resolution, settings.supervision_radius, settings.tracking_radius)
        self._disc = disc(frame.supervision, max(1, frame.supervision // FINEST))
        super().__init__(model, settings, frame, frame.tracking + frame.supervision + 1)

    def shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a spot's tensors."""
        places = len(self._disc)
        return {"reference": (channels,), "filter": (channels,), "patch": (places, channels), "counted": (places,)}

    def grab(self, edit: Edit, points: list[EditPoint], read: Read) -> list[Known]:
        """Return the filters and patches of the handles."""
        places = np.array([point.handle for point in points])[:, None] + self._disc
        patches, inside = read(places).detach(), self._inside(places)
        middle = int(np.square(self._disc).sum(axis=1).argmin())
        maps = self.whole_maps(edit.latent)
        scale = np.array([maps.shape[1] / self.frame.width, maps.shape[0] / self.frame.height])
        known = []
        for point, patch, counts in zip(points, patches, inside, strict=True):
            reference = patch[middle].clone()
            filter_ = discriminative(maps, (np.array(point.handle) + 0.5) * scale - 0.5)
            response = float(reference @ filter_)
            first = response if response > DUMB else 0.0
            known.append(Known(reference, filter_, patch.clone(), counts.to(patch).clone(), first, response))
        return known

    def pull(self, edit: Edit, memory: Memory[Known], read: Read) -> tuple[Tensor, Memory[Known]]:
        """Return Σ_i mean over the disc of |F(q + d_i) - P_i|.

        ``P_i`` is F(q) without a gradient while the handle is surely found, and else the patch as it was grabbed, until
        that has brought no handle nearer for some trackings.
        """
        spots = [memory.spots[number] for number in edit.ids]
        places = edit.handles[:, None] + self._disc
        steps = no_longer_than_1(torch.from_numpy(edit.targets - edit.handles)).numpy()
        both = read(np.stack([places, places + steps[:, None]]))  # (2, N, P, C)
        grabbed = torch.stack([spot.patch for spot in spots])
        stuck = memory.course.idle >= STUCK
        sure = torch.tensor([spot.sure or stuck for spot in spots], device=grabbed.device)[:, None]
        inside = self._inside(places).to(grabbed)
        counted = torch.where(sure, inside, inside * torch.stack([spot.counted for spot in spots]))
        wanted = torch.where(sure[:, :, None], both[0].detach(), grabbed)
        differences = self.mean_change(both[1] - wanted)
        return (differences * counted / counted.sum(dim=1, keepdim=True)).sum(), memory

    def follow(self, edit: Edit, memory: Memory[Known], read: Read) -> tuple[Edit, Memory[Known]]:
        """Return the edit with its handles where they score highest, and how surely they were found."""
        handles, spots = [], dict(memory.spots)
        for point in edit.points:
            spot, place = spots[point.id], np.array(point.handle)
            share = self.settings.filter_share if spot.first else 0.0
            place, response = found(read, place, spot.reference, spot.filter, share, self.frame)
            handles.append(place)
            spots[point.id] = dataclasses.replace(spot, response=response, sure=self._is_sure(spot, response))
        swapped = any(spots[number].sure != memory.spots[number].sure for number in edit.ids)
        moments = Moments.zeros_like(memory.moments.first) if swapped else memory.moments
        return self.moved_to(edit, np.stack(handles)), dataclasses.replace(memory, spots=spots, moments=moments, turn=0)

    def confidence(self, edit: Edit, memory: Memory[Known]) -> dict[int, float]:
        """Return the filter's response at each handle, as a part of the first one, at most 1."""
        known = {number: memory.spots[number] for number in edit.ids if number in memory.spots}
        return {
            number: min(1.0, max(0.0, spot.response / spot.first)) for number, spot in known.items() if spot.first > 0
        }

    def _is_sure(self, spot: Known, response: float) -> bool:
        if not spot.first:
            return True
        threshold = self.settings.sureness + (0 if spot.sure else HYSTERESIS)
        return response >= threshold * spot.first

    def _inside(self, places: np.ndarray) -> Tensor:
        flat = self.frame.contains(places.reshape(-1, 2))
        return torch.from_numpy(flat.reshape(places.shape[:-1]))


class StableDragEngine(DescentEngine[StableDrag]):
    """Cui et al., *StableDrag*, ECCV 2024."""

    name = "stabledrag"
    help = (
        "A tracker that learns what the handle is not, and pulls towards what was grabbed when unsure (Cui et al. 2024)"
    )
    Settings = StableDrag
    takes_trackers = True

    def bind(self, model: Generator, settings: StableDrag) -> BoundStableDrag:
        """Return StableDrag on a model. :raises ValueError: if the model cannot serve it, or lacks a block."""
        self.check_model(model)
        return BoundStableDrag(model, settings)

    def defaults(self, model: Generator) -> StableDrag:
        """Return the radii that the model carries, if it carries some: a disc is pulled as in DragGAN."""
        carried = getattr(model, "drag_config", None)
        if carried is None:
            return StableDrag()
        return StableDrag(supervision_radius=carried.supervision_radius, tracking_radius=carried.tracking_radius)
