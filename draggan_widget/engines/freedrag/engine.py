"""FreeDrag as an engine (Ling et al., *FreeDrag: Feature Dragging for Reliable Point-based Image Editing*, CVPR 2024).

Nothing is tracked. Each handle has a template ``T``, the features on a grid of 3×3 around it, and an aim ``h`` on the
line to its target. A motion of a few steps brings the features at ``h`` nearer to ``T``; how near they came says how
much of the template is renewed from there, and whether the aim goes on, stays, or goes back.

Ours are: the expected change ``l`` measured at each handle, since the paper's number holds for one network's features
only; grids across the border, which read the border; and an end where no handle came nearer for several motions.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common.geometry import Frame, lengths
from draggan_widget.engines.descent import BoundDescent, DescentEngine, Memory, Read, Spot, blocks_of
from draggan_widget.engines.edit import Edit, EditPoint
from draggan_widget.engines.freedrag.settings import FreeDrag

if TYPE_CHECKING:
    from draggan_widget.models import Generator

NEAR, FAR = 0.25, 0.5
"""Of ``l``: a loss below the first is near enough to end a motion and to have arrived, below the second the aim may go
on."""
TRIED = 10
"""Places on the line that are looked at for the next aim."""
STEEPNESS, HALF = math.log(9) / 0.6, 0.2
"""The share of the template that is renewed is a half at a loss of 0.2·l and a tenth at 0.8·l: 1 / (1 + exp(a(e - b)))
with a = ln 9 / (0.6·l) and b = 0.2·l."""
GRID = np.array([[x, y] for y in (-1.0, 0.0, 1.0) for x in (-1.0, 0.0, 1.0)])
ROUND = np.array([[math.cos(angle), math.sin(angle)] for angle in np.arange(8) * (math.pi / 4)])
TINY = 1e-9


@dataclasses.dataclass(frozen=True, eq=False)
class Line(Spot):
    """What FreeDrag knows of a point."""

    template: Tensor
    """T (9, C)."""
    expected: float
    """l."""
    began: float = 0.0
    """The loss at the aim before the first step of the last motion, L_ini."""
    ended: float = 0.0
    """The loss there after its last one, L_end."""
    sure: bool = False
    """Whether it had arrived then: near its target, and its features near the template."""


class BoundFreeDrag(BoundDescent[Line]):
    """FreeDrag on one model."""

    settings: FreeDrag
    Spot = Line

    def __init__(self, model: Generator, settings: FreeDrag) -> None:
        self._stride = settings.stride * model.resolution[0] / 512
        spacing = (
            settings.grid * model.resolution[0] / max(model.map_size(block)[0] for block in blocks_of(model, settings))
        )
        self._grid = spacing * GRID
        super().__init__(model, settings, Frame.of(model.resolution, 1, settings.stride), 2 * self._stride + spacing)

    def shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a spot's tensors."""
        return {"template": (len(GRID), channels)}

    def grab(self, edit: Edit, points: list[EditPoint], read: Read) -> list[Line]:  # noqa: ARG002
        """Return templates taken at the handles, and how much a stride changes them there."""
        handles = np.array([point.handle for point in points])
        templates = self._grids(handles, read).detach()
        expected = [self.settings.expected] * len(points)
        if self.settings.expected is None:
            around = self._grids(handles[:, None] + self._stride * ROUND, read).detach()
            losses = self.mean_change(around - templates[:, None]).mean(dim=2).double()
            expected = losses.quantile(0.5, dim=1).clamp(min=TINY).tolist()
        return [Line(template.clone(), float(each or TINY)) for template, each in zip(templates, expected, strict=True)]

    def aim(self, edit: Edit, memory: Memory[Line], read: Read) -> tuple[Edit, Memory[Line]]:
        """Return the edit with its handles at the aims of the next motion, when one begins."""
        if memory.turn:
            return edit, memory
        spots = [memory.spots[number] for number in edit.ids]
        aims = self._aims(edit, spots, read)
        edit = self.moved_to(edit, aims)
        began = self._losses(edit, spots, read).tolist()
        return edit, _with(edit, memory, [{"began": loss} for loss in began])

    def pull(self, edit: Edit, memory: Memory[Line], read: Read) -> tuple[Tensor, Memory[Line]]:
        """Return Σ_i mean |F(h_i + grid) - T_i|. ``ended`` holds the loss of each until the motion ends."""
        losses = self._losses(edit, [memory.spots[number] for number in edit.ids], read)
        return losses.sum(), _with(edit, memory, [{"ended": loss} for loss in losses.detach().tolist()])

    def follow(self, edit: Edit, memory: Memory[Line], read: Read) -> tuple[Edit, Memory[Line]]:
        """Return the memory with templates renewed, if the motion ends with this step."""
        spots = [memory.spots[number] for number in edit.ids]
        near = all(spot.ended < NEAR * spot.expected for spot in spots)
        if not near and memory.turn < self.settings.motions:
            return edit, memory
        found = self._grids(edit.handles, read).detach()
        changes = []
        for spot, now, left in zip(spots, found, edit.distances, strict=True):
            ended = float(self.mean_change(now - spot.template).mean())
            sure = bool(left <= self.settings.tolerance) and ended <= NEAR * spot.expected
            share = 1.0 if sure else renewed(ended, spot.expected)
            changes.append({"template": spot.template.lerp(now, share), "ended": ended, "sure": sure})
        return edit, _with(edit, dataclasses.replace(memory, turn=0), changes)

    def sure(self, memory: Memory[Line]) -> bool:
        """Return whether the last motion has ended with all features near their templates, at their targets."""
        return memory.turn == 0 and all(spot.sure for spot in memory.spots.values())

    def confidence(self, edit: Edit, memory: Memory[Line]) -> dict[int, float]:
        """Return how near each aim's features came to its template: 1 for no loss, 0 for ``l`` and more."""
        known = {number: memory.spots[number] for number in edit.ids if number in memory.spots}
        return {number: max(0.0, 1 - spot.ended / spot.expected) for number, spot in known.items()}

    def _aims(self, edit: Edit, spots: list[Line], read: Read) -> np.ndarray:
        """Return where each content is to be next (N, 2)."""
        handles, to_go = edit.handles, edit.targets - edit.handles
        ways = lengths(to_go)
        units = to_go / np.maximum(ways, TINY)[:, None]
        onward = [spot.ended < FAR * spot.expected for spot in spots]
        stay = [not on and spot.ended < spot.began for on, spot in zip(onward, spots, strict=True)]
        starts, reaches = handles.copy(), np.minimum(self._stride, ways)
        for n, (on, still) in enumerate(zip(onward, stay, strict=True)):
            if not on and not still:
                starts[n] = self.frame.clamp(handles[n] - units[n] * reaches[n])
                reaches[n] = min(2 * self._stride, float(np.linalg.norm(edit.targets[n] - starts[n])))
        tried = starts[:, None] + units[:, None] * (reaches[:, None] * np.arange(1, TRIED + 1) / TRIED)[:, :, None]
        templates = torch.stack([spot.template for spot in spots])
        found = self._grids(tried, read).detach()  # (N, 10, 9, C)
        losses = self.mean_change(found - templates[:, None]).mean(dim=2).double().cpu()
        aims = handles.copy()
        for n, spot in enumerate(spots):
            if not stay[n]:
                off = (losses[n] - spot.expected).abs() if onward[n] else losses[n]
                aims[n] = tried[n, int(off.argmin())]
        return np.asarray(aims)

    def _grids(self, middles: np.ndarray, read: Read) -> Tensor:
        """Return the features (…, 9, C) of the grids around places (…, 2)."""
        return read(middles[..., None, :] + self._grid)

    def _losses(self, edit: Edit, spots: list[Line], read: Read) -> Tensor:
        """Return the mean difference of each aim's features from its template, (N,)."""
        templates = torch.stack([spot.template for spot in spots])
        return self.mean_change(self._grids(edit.handles, read) - templates).mean(dim=1)


def renewed(loss: float, expected: float) -> float:
    """Return the share λ of a template that is renewed where the loss was ``loss`` and ``l`` is ``expected``."""
    return 1 / (1 + math.exp(min(700.0, STEEPNESS * (loss / expected - HALF))))


def _with(edit: Edit, memory: Memory[Line], changes: list[dict[str, Any]]) -> Memory[Line]:
    """Return the memory with changes of each point's spot."""
    spots = {
        number: dataclasses.replace(memory.spots[number], **change)
        for number, change in zip(edit.ids, changes, strict=True)
    }
    return dataclasses.replace(memory, spots=spots)


class FreeDragEngine(DescentEngine[FreeDrag]):
    """Ling et al., *FreeDrag*, CVPR 2024."""

    name = "freedrag"
    help = "Templates that change slowly and a search on the line to the target, without tracking (Ling et al. 2024)"
    Settings = FreeDrag

    def bind(self, model: Generator, settings: FreeDrag) -> BoundFreeDrag:
        """Return FreeDrag on a model. :raises ValueError: if the model cannot serve it, or lacks a block."""
        self.check_model(model)
        return BoundFreeDrag(model, settings)
