"""Predictors as an engine: a step is a jump, which a network answers in one pass.

The network says how the latent changes; handles are then looked for where it should have brought them. A jump that does
not bring them a good part of their way nearer is dropped: the latent stays, and the run is over. ``usercontrollable``
jumps once. ``autodraggan`` looks where the handles came to and goes on from there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.base import Bound, Engine, Step, Verdict
from draggan_widget.engines.common.following import find_spots, read_spots, spot
from draggan_widget.engines.common.geometry import Frame, lengths, surroundings
from draggan_widget.engines.common.sampling import DivergedError, Reader
from draggan_widget.engines.draggan.engine import texture_of
from draggan_widget.engines.edit import XY, Edit
from draggan_widget.engines.predicted.network import MOST_PIECES
from draggan_widget.engines.predicted.predictor import About, Predictor, predictor_for, told_of_predictor
from draggan_widget.engines.predicted.settings import AUTO, METHODS, Predicted
from draggan_widget.engines.projection import Holding

if TYPE_CHECKING:
    from draggan_widget.models import Generator

LOOKS = 10
"""Jumps of a run of ``autodraggan``, unless told otherwise."""
NEAR = 0.01
"""Of the picture's height: what is left when it counts as near."""
EXPECTED = 0.7
"""Of the way that was asked for: where a handle is looked for first. Jumps fall short rather than go too far."""
MARGIN = 2
"""Pixels beyond what is read for sure."""
INCOMPLETE = "what the engine remembers is incomplete, or of another edit"


@dataclasses.dataclass(frozen=True, eq=False)
class Memory:
    """What is remembered between two jumps."""

    references: Mapping[int, Tensor]
    """Point → the features (K, C) of the spot it is followed by; taken at the first jump after it was put."""
    first_step: int
    """Of the edit, at which the run began."""
    over: bool = False
    """Whether the last jump was dropped."""


class BoundPredicted(Bound[Memory]):
    """A predictor on one model."""

    settings: Predicted

    def __init__(self, model: Generator, settings: Predicted, predictor: Predictor) -> None:
        super().__init__(model, settings)
        self.predictor = predictor
        self._blocks = predictor.about.blocks
        self._frame = Frame.of(model.resolution, 1, settings.tracking_radius)
        height, width = model.resolution
        cell = height / max(model.map_size(block)[0] for block in self._blocks)
        self._spot = spot(round(cell))
        self._grid = np.stack(np.meshgrid((np.arange(6) + 0.5) / 6 * width, (np.arange(6) + 0.5) / 6 * height), 2)
        self._holding = Holding(model)

    @property
    def most(self) -> int:
        """Jumps of a run, at most."""
        own = LOOKS if self.settings.method == AUTO else 1
        return own if self.settings.max_steps is None else self.settings.max_steps

    # --- what an engine does -----------------------------------------------------------------------------------------

    def begin(self, edit: Edit) -> Memory:
        """Return the memory before the first jump."""
        return Memory({}, edit.step)

    def adapt(self, before: Edit, after: Edit, memory: Memory) -> Memory:
        """Return the memory for ``after``: a point whose target alone has moved is followed by what it was."""
        if after.latent is not before.latent:
            return self.begin(after)
        same = {point.id for point in after.points if point.id in before.ids and point.stays(before.point(point.id))}
        return Memory({number: each for number, each in memory.references.items() if number in same}, after.step)

    def verdict(self, edit: Edit, memory: Memory) -> Verdict | None:
        """Return "arrived", "near", "stalled" or "capped", or None before the first jump and between two."""
        if not edit.points:
            return None
        left, jumps = float(edit.distances.max()), edit.step - memory.first_step
        zoomed = self.settings.zoom is None or jumps > 0
        if zoomed and left <= self.settings.tolerance:
            return "arrived"
        if memory.over or (jumps >= self.most and self.settings.max_steps is None):
            return "near" if left <= NEAR * self.model.resolution[0] else "stalled"
        return "capped" if jumps >= self.most else None

    def advance(self, edit: Edit, memory: Memory, at_most: int | None = 1) -> list[Step[Memory]]:  # noqa: ARG002
        """Return the next jump. One that is dropped leaves the latent as it is; its report says so.

        :raises ValueError: without points, or with more than the predictor was trained for.
        :raises DivergedError: if it is not finite.
        """
        if not edit.points:
            raise ValueError("there are no points to drag; add a handle and its target first")
        most = self.predictor.about.points
        if len(edit.points) > most:
            raise ValueError(
                f"there are {len(edit.points)} points, and this predictor was trained for {most} at most; remove some, "
                f"choose another engine, or train one with --points {len(edit.points)}"
            )
        with torch.inference_mode(mode=False), torch.no_grad():
            return [self._advance(edit, memory)]

    # --- one jump ----------------------------------------------------------------------------------------------------

    def _advance(self, edit: Edit, memory: Memory) -> Step[Memory]:
        handles, to_go = edit.handles, edit.targets - edit.handles
        before = edit.latent.detach().clone()
        asked = self._no_longer(to_go)
        read = self._reader(before, self._ahead(handles, 0))  # nobody is looked for here, so little is read
        new = [point for point in edit.points if point.id not in memory.references]
        if new:
            spots = read_spots(read, np.array([point.handle for point in new]), self._spot, self._frame)
            added = {point.id: each.clone() for point, each in zip(new, spots, strict=True)}
            memory = dataclasses.replace(memory, references={**memory.references, **added})
        changes = self._stops(self._changes(edit, before, asked), asked)
        pieces = len(changes)
        found, latest, latent = handles, [memory.references[number] for number in edit.ids], before
        for change in changes:
            latent = edit.latent + change
            if not bool(torch.isfinite(latent).all()):
                raise DivergedError(
                    f"step {edit.step + 1} gave a latent that is not finite; the one before it is kept. Begin from "
                    "another latent, or choose another engine"
                )
            found, latest = self._followed(edit, memory, latent.clone(), found, asked / pieces, latest)
        left, was = edit.targets - found, float(edit.distances.mean())
        gain = 1 - float(lengths(left).mean()) / max(was, 1e-9)
        report = {"gain": gain, "pieces": pieces, "dropped": False}
        # A jump that only zooms may leave the handles at their targets.
        still = self.settings.zoom is not None and was <= self.settings.tolerance
        if gain < self.settings.nearer and not (still and float(lengths(left).max()) <= self.settings.tolerance):
            stayed = dataclasses.replace(memory, over=True)
            return Step(
                dataclasses.replace(edit, step=edit.step + 1), stayed, {"left": was}, {**report, "dropped": True}
            )
        points = tuple(
            dataclasses.replace(point, handle=(float(x), float(y)))
            for point, (x, y) in zip(edit.points, found, strict=True)
        )
        moved = dataclasses.replace(edit, latent=latent.detach(), points=points, step=edit.step + 1)
        return Step(moved, memory, {"left": float(lengths(left).mean())}, report)

    def _stops(self, changes: Tensor, asked: np.ndarray) -> Tensor:
        """Return changes (m, num_ws, w_dim) between which handles go no farther than they are looked for."""
        count = int(np.ceil(float(lengths(asked).max()) / self.predictor.unit - 1e-6))
        if len(changes) > 1 or count < 2:
            return changes
        shares = torch.arange(1, min(count, MOST_PIECES) + 1, dtype=changes.dtype, device=changes.device)
        return shares[:, None, None] / len(shares) * changes

    def _changes(self, edit: Edit, latent: Tensor, asked: np.ndarray) -> Tensor:
        """Return the changes (n, num_ws, w_dim) along the way by ``asked`` (N, 2)."""
        places, motions = edit.handles, asked
        growth = None
        if self.settings.zoom is not None:
            growth = np.full(len(places), self.settings.zoom)
        anchors = self._anchors(edit)
        if len(anchors):
            places, motions = np.concatenate([places, anchors]), np.concatenate([motions, np.zeros_like(anchors)])
            growth = None if growth is None else np.concatenate([growth, np.full(len(anchors), np.nan)])
        where = torch.from_numpy(np.ascontiguousarray(self._frame.clamp(places)))
        features = self.model.sample_features(latent, self._blocks, where)
        changes = self.predictor.jump(latent, features, places, motions, growth)
        allowed = self._holding.of(edit)
        return changes if allowed is None else allowed(changes)

    def _anchors(self, edit: Edit) -> np.ndarray:
        """Return places (n, 2) outside the mask, of a grid, of which the network is told that they stay."""
        room = min(self.settings.anchors, self.predictor.about.points - len(edit.points))
        if edit.mask is None or room < 1:
            return np.zeros((0, 2))
        places = self._grid.reshape(-1, 2)
        columns, rows = places.astype(int).T
        outside = places[edit.mask[rows, columns] < 0.5]
        chosen = np.linspace(0, len(outside) - 1, min(room, len(outside))).round().astype(int)
        return np.asarray(outside[chosen])

    def _no_longer(self, to_go: np.ndarray) -> np.ndarray:
        """Return the ways (N, 2), no longer than the network goes in one go: all shortened alike."""
        longest = float(lengths(to_go).max())
        reach = self.predictor.network.pieces * self.predictor.unit
        if self.settings.method != AUTO:
            return to_go  # it answers in proportion, however far
        return to_go * min(1.0, reach / max(longest, 1e-9))

    # --- features ----------------------------------------------------------------------------------------------------

    def _ahead(self, middles: np.ndarray, reach: float) -> dict[int, Tensor]:
        """Return what is read of a latent in which spots are up to ``reach`` pixels from the middles (N, 2)."""
        reach += float(self._spot.max()) + MARGIN
        return {
            block: torch.from_numpy(surroundings(middles, reach, self.model.map_size(block), self._frame))
            for block in self._blocks
        }

    def _reader(self, latent: Tensor, ahead: Mapping[int, Tensor]) -> Reader:
        def read(xy: np.ndarray) -> Tensor:
            places = torch.from_numpy(np.ascontiguousarray(xy))
            return self.model.sample_features(latent, self._blocks, places, ahead).detach()

        return read

    def _followed(
        self,
        edit: Edit,
        memory: Memory,
        latent: Tensor,
        before: np.ndarray,
        piece: np.ndarray,
        latest: list[Tensor],
    ) -> tuple[np.ndarray, list[Tensor]]:
        """Return where the handles are (N, 2) a piece of the way on from ``before``, and their spots there.

        :raises DivergedError: if features are not finite.
        """
        expected = self._frame.clamp(before + EXPECTED * piece)
        read = self._reader(latent, self._ahead(expected, self._frame.tracking))
        references = [memory.references[number] for number in edit.ids]
        try:
            found = find_spots(read, expected, references, latest, self._spot, self._frame, lengths(piece))
        except DivergedError as error:
            raise DivergedError(
                f"the features after step {edit.step + 1} are not finite; the latent before it is kept. Begin from "
                "another latent, or choose another engine"
            ) from error
        return found, [each.clone() for each in read_spots(read, found, self._spot, self._frame)]

    # --- what files, histories and people are told -------------------------------------------------------------------

    def pack(self, memory: Memory) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the references, and the course of the run."""
        tensors = {str(number): each for number, each in memory.references.items()}
        return tensors, {"first_step": memory.first_step, "over": memory.over}

    def unpack(self, edit: Edit, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Memory:
        """Return the memory again. :raises ValueError: if something is missing or does not fit edit or model."""
        if set(values) != {"first_step", "over"} or not set(tensors) <= set(map(str, edit.ids)):
            raise ValueError(INCOMPLETE)
        first, over = values["first_step"], values["over"]
        if type(first) is not int or not 0 <= first <= edit.step or type(over) is not bool:
            raise ValueError(INCOMPLETE)
        shape = (len(self._spot), self.predictor.shape.channels)
        for tensor in tensors.values():
            fits = tuple(tensor.shape) == shape and tensor.dtype == edit.latent.dtype
            if not fits or not bool(torch.isfinite(tensor).all()):
                raise ValueError("the features of a point are not those of this generator")
        return Memory({int(name): tensor.to(edit.latent.device) for name, tensor in tensors.items()}, first, over)

    def texture(self, edit: Edit, memory: Memory, number: int) -> tuple[bool, XY | None]:  # noqa: ARG002
        """Return whether a handle sits where features are too even, and the nearest spot that is better."""
        return texture_of(self.model, edit, number)

    def content(self, edit: Edit, memory: Memory, number: int) -> Tensor | None:  # noqa: ARG002
        """Return the features (K, C) of the spot that a point is followed by; None until they are taken."""
        return memory.references.get(number)


class PredictedEngine(Engine):
    """UserControllableLT (Endo 2022) and Auto DragGAN (Cai et al. 2024)."""

    name = "predicted"
    help = "A trained network answers at once (after Endo 2022 and Cai et al. 2024); coarse, good as a first jump"
    Settings = Predicted
    jumps = True
    needs = (*Engine.needs, "sample_features", "map_size", "blocks", "num_ws", "w_dim", "mapped")

    def bind(self, model: Generator, settings: Predicted) -> BoundPredicted:
        """Return a predictor on a model. :raises ValueError: if there is none for it, or it does not know of growth."""
        self.check_model(model)
        predictor = predictor_for(model, settings.method)
        _check_zoom(settings, predictor.about)
        return BoundPredicted(model, settings, predictor)

    def check(self, model: Generator, settings: Predicted) -> None:
        """See ``Engine``. No predictor is loaded for it."""
        self.check_model(model)
        _check_zoom(settings, told_of_predictor(model, settings.method))

    def variants(self, settings: Predicted) -> dict[str, Any]:
        """Return the settings with each of the methods, by what it is called."""
        return {label: settings.replace(method=method) for method, label in METHODS.items()}

    def values(self, model: Generator, settings: Predicted) -> dict[str, Any]:  # noqa: ARG002
        """Return the settings as they hold: the number of jumps is named even where it is left open."""
        own = LOOKS if settings.method == AUTO else 1
        return {**settings.to_dict(), "max_steps": own if settings.max_steps is None else settings.max_steps}


def _check_zoom(settings: Predicted, about: About) -> None:
    if settings.zoom is not None and not about.zooms:
        raise ValueError(
            f"zoom is {settings.zoom}; this predictor was trained on drags, which do not tell how content grows: "
            "leave it None, or train one on the motion of a renderer"
        )
