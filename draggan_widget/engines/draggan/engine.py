"""DragGAN as an engine: Adam on the rows of a StyleGAN latent, in the reading of the paper that ``method`` names.

What it remembers is a ``DragState``, the whole of what its formulas need; the points, the mask and the latent in it are
always those of the edit it goes with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.config import DragConfig
from draggan_widget.engines.base import Bound, Engine, Step, Verdict
from draggan_widget.engines.common.regularising import check_regularised
from draggan_widget.engines.common.running import Anchor, Course
from draggan_widget.engines.common.sampling import channel_count
from draggan_widget.engines.common.staying import MaskTensors
from draggan_widget.engines.draggan.captured_steps import stride
from draggan_widget.engines.draggan.compact import Compact
from draggan_widget.engines.draggan.edits import (
    add_point,
    begin_run,
    move_handle,
    move_target,
    place,
    remove_point,
    with_config,
    with_mask,
)
from draggan_widget.engines.draggan.iteration import init, step, terminate, with_handles
from draggan_widget.engines.draggan.methods import blocks_of
from draggan_widget.engines.draggan.state import VERSION, DragState
from draggan_widget.engines.draggan.texture import confidence, texture
from draggan_widget.engines.edit import XY, Edit, EditPoint, check_mask, check_xy
from draggan_widget.engines.projection import Holding

if TYPE_CHECKING:
    from draggan_widget.models import Generator

MOMENTS = ("adam.first", "adam.second")
REMEMBERED = {"seen", "adam_steps", "course"}
"""Values of any memory; with ``on_stall="halve"`` there is its pace as well."""


class BoundDragGAN(Bound[DragState]):
    """DragGAN on one generator."""

    model: Generator
    settings: DragConfig

    def __init__(self, model: Generator, settings: DragConfig) -> None:
        super().__init__(model, settings)
        self.blocks = blocks_of(model, settings)
        self._masks = MaskTensors()
        self._anchors: dict[int, tuple[Tensor, Anchor]] = {}
        self._checked: dict[tuple[str, int], Tensor] = {}
        self._holding = Holding(model)

    # --- what an engine does -----------------------------------------------------------------------------------------

    def begin(self, edit: Edit) -> DragState:
        """Return the memory at the first step from ``edit``: references, moments and the anchor are yet to be taken.

        What the mask keeps is the picture of ``edit.origin``.
        """
        points = [(point.id, point.handle, point.target) for point in edit.points]
        state = init(self.model, edit.latent, points, edit.mask, self.settings)
        if edit.latent is edit.origin or torch.equal(edit.latent, edit.origin):
            anchor, w0 = state.anchor, state.w0
        else:
            with torch.inference_mode(mode=False):
                w0 = edit.origin.detach().clone()
                anchor = Anchor(w0.clone().requires_grad_())
        starts = tuple(
            dataclasses.replace(mine, start=point.start) for mine, point in zip(state.points, edit.points, strict=True)
        )
        course = Course(first_step=edit.step)
        return dataclasses.replace(state, w0=w0, anchor=anchor, points=starts, step=edit.step, course=course)

    def place(self, handle: XY) -> XY:
        """Return the handle itself, or the whole pixel nearest to it, as the method wants it."""
        return place(handle, self.settings, self.model.resolution)

    def advance(self, edit: Edit, memory: DragState, at_most: int | None = 1) -> list[Step[DragState]]:
        """Return the next steps: one, or several that were taken on a GPU without a look in between."""
        allowed = self._holding.of(edit)
        states = stride(self.model, memory, at_most) if allowed is None else [step(self.model, memory, allowed)]
        return [self._step(edit, state) for state in states]

    def verdict(self, edit: Edit, memory: DragState) -> Verdict | None:  # noqa: ARG002 - the memory has its points
        """Return "arrived", "stalled" or "capped" by ``tolerance``, ``stall_steps`` and ``max_steps``."""
        return terminate(memory)

    def adapt(self, before: Edit, after: Edit, memory: DragState) -> DragState:
        """Return the memory for ``after``. What was not touched keeps its reference, and Adam its moments."""
        if after.latent is not before.latent or after.origin is not before.origin:
            return self.begin(after)
        state = with_config(self.model, memory, self.settings)
        if after is before:
            return begin_run(state)
        old = {point.id: point for point in before.points}
        new = {point.id for point in after.points}
        for number in [number for number in old if number not in new]:
            state = remove_point(self.model, state, number)
        for point in after.points:
            was = old.get(point.id)
            if was is None:
                state = add_point(self.model, state, point.id, point.handle, point.target)
                continue
            if point is was:
                continue
            # A handle that was put where it is already is on other content all the same: the content moved on.
            if point.handle != was.handle or point.target == was.target:
                state = move_handle(self.model, state, point.id, point.handle)
            if point.target != was.target:
                state = move_target(state, point.id, point.target)
        return state if after.mask is before.mask else with_mask(state, after.mask)

    def found(self, memory: DragState, step: Step[DragState], handles: np.ndarray) -> Step[DragState]:
        """Return a step with its handles where another tracker found them; see ``Bound.found``."""
        return self._step(step.edit, with_handles(memory, step.memory, handles))

    # --- what files and histories keep -------------------------------------------------------------------------------

    def pack(self, memory: DragState) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return anchor, references, the edited rows of Adam's moments, and the course of the run."""
        parts, values = memory.to_parts()
        tensors = {name: parts[name] for name in parts if name == "anchor" or name.startswith("reference.")}
        for name in MOMENTS:
            edited = torch.nonzero((parts[name] != 0).any(dim=2).any(dim=0))
            tensors[name] = parts[name][:, : int(edited[-1]) + 1 if len(edited) else 0]
        seen = [point["seen"] for point in values["points"]]
        pace = {"pace": values["pace"]} if "pace" in values else {}
        return tensors, {"seen": seen, "adam_steps": values["adam_steps"], "course": values["course"], **pace}

    def unpack(self, edit: Edit, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> DragState:
        """Return the memory again. :raises ValueError: if something is missing or does not fit edit or model."""
        least = {"anchor", *MOMENTS}
        named = least <= set(tensors) <= least | {f"reference.{point.id}" for point in edit.points}
        paced = REMEMBERED | ({"pace"} if self.settings.on_stall == "halve" else set())
        if not named or set(values) != paced or not isinstance(values["seen"], list):
            raise ValueError("what the engine remembers is incomplete, or of another edit")
        if len(values["seen"]) != len(edit.points):
            raise ValueError("what the engine remembers is of another edit")
        stored = tensors["anchor"]
        self._check_kind(stored)
        parts = {**tensors, "anchor": stored.detach(), "ws": edit.latent.detach().clone(), "w0": edit.origin}
        for name in MOMENTS:
            parts[name] = self._whole(name, tensors, edit.origin)
        if edit.mask is not None:
            parts["mask"] = self._masks.of(edit.mask, edit.origin)
        description = {
            **values,
            "version": VERSION,
            "config": self.settings.to_dict(),
            "resolution": list(self.model.resolution),
            "points": [
                {"id": p.id, "handle": list(p.handle), "target": list(p.target), "start": list(p.start), "seen": seen}
                for p, seen in zip(edit.points, values["seen"], strict=True)
            ],
            "step": edit.step,
            "loss": {},
        }
        state = DragState.from_parts(parts, description)
        # States of one anchor share its features, and at the start it and the latent are one tensor as well.
        _, anchor = self._anchors.setdefault(id(stored), (stored, state.anchor))
        latent = anchor.latent if torch.equal(anchor.latent, state.latent) else state.latent
        return self.check(dataclasses.replace(state, anchor=anchor, latent=latent))

    def compact(self, memory: DragState) -> Compact:
        """Return the memory without its latent, and of the moments those rows that were edited."""
        return Compact.of(memory)

    def expand(self, edit: Edit, kept: Compact) -> DragState:
        """Return the memory again."""
        return kept.state(edit.latent)

    def check(self, state: DragState) -> DragState:
        """Return a state out of a file. What states share is checked once.

        :raises ValueError: if it is not one of this generator's.
        """
        if state.resolution != tuple(self.model.resolution):
            raise ValueError(f"it is for pictures of {state.resolution}, not {tuple(self.model.resolution)}")
        moments = state.moments
        for tensor in (state.latent, state.w0, state.anchor.latent, moments.first, moments.second):
            self._check_kind(tensor)
            if ("ws", id(tensor)) not in self._checked:
                self.model.space.check(tensor)
        if moments.second.min() < 0:
            raise ValueError("a mean of squares is negative")
        if state.mask is not None:
            self._check_kind(state.mask)
            if ("mask", id(state.mask)) not in self._checked:
                check_mask(state.mask, state.resolution)
        counted = [state.course.nearest, *([state.pace.nearest] if state.pace.of == state.pull else [])]
        if any(nearest and len(nearest) != len(state.points) for nearest in counted):
            raise ValueError("it has not one nearest distance for each point")
        for point in state.points:
            for part in ("handle", "target", "start", "seen"):
                check_xy(f"the {part} of point {point.id}", getattr(point, part), state.resolution)
            if point.reference is not None and ("reference", id(point.reference)) not in self._checked:
                self._check_reference(point.reference)
        references = [("reference", point.reference) for point in state.points]
        for role, shared in (("ws", state.w0), ("ws", state.anchor.latent), ("mask", state.mask), *references):
            if shared is not None:
                self._checked[role, id(shared)] = shared  # held, or another could come to have its id
        return state

    # --- what is known of points -------------------------------------------------------------------------------------

    def confidence(self, edit: Edit, memory: DragState) -> dict[int, float]:  # noqa: ARG002
        """Return how near in features each handle's content is to what is looked for; see ``texture.confidence``."""
        return confidence(self.model, memory)

    def texture(self, edit: Edit, memory: DragState, number: int) -> tuple[bool, XY | None]:  # noqa: ARG002
        """Return whether a handle sits where features are too even, and the nearest spot that is better."""
        return texture(self.model, memory, number)

    def content(self, edit: Edit, memory: DragState, number: int) -> Tensor | None:  # noqa: ARG002
        """Return the features (C,) that a point is followed by; None until they are taken."""
        return memory.point(number).reference

    def adopt(self, state: DragState, mask: np.ndarray | None) -> Step[DragState]:
        """Return a state of DragGAN's own as an edit and its memory. :param mask: (H, W) as it was given."""
        edit = Edit(state.ws, state.w0, (), mask)
        return self._step(edit, state)

    # --- in parts ----------------------------------------------------------------------------------------------------

    def _step(self, edit: Edit, state: DragState) -> Step[DragState]:
        points = tuple(EditPoint(point.id, point.handle, point.target, point.start) for point in state.points)
        moved = dataclasses.replace(edit, latent=state.ws, points=points, step=state.step)
        return Step(moved, state, dict(state.loss))

    def _whole(self, name: str, tensors: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Return all rows of a moment, of which the first ones are stored."""
        rows = tensors[name]
        whole = torch.zeros_like(like)
        if rows.ndim != 3 or rows.dtype != whole.dtype or rows.shape != whole[:, : rows.shape[1]].shape:
            raise ValueError(f"{name} has rows {tuple(rows.shape)} of {rows.dtype}")
        whole[:, : rows.shape[1]] = rows
        return whole

    def _check_kind(self, tensor: Tensor) -> None:
        wanted = next(self.model.parameters()).dtype
        if tensor.dtype != wanted:
            raise ValueError(f"it holds {tensor.dtype} where {wanted} is needed")

    def _check_reference(self, reference: Tensor) -> None:
        self._check_kind(reference)
        channels = channel_count(self.model, blocks_of(self.model, self.settings))
        if tuple(reference.shape) != (channels,) or not torch.isfinite(reference).all():
            raise ValueError("the features of a point are not those of this generator")


class DragGAN(Engine):
    """Pan et al., *Drag Your GAN*, SIGGRAPH 2023."""

    name = "draggan"
    help = "Motion supervision and point tracking by features, many small steps (Pan et al. 2023)"
    Settings = DragConfig
    takes_trackers = True
    needs = (*Engine.needs, "sample_features", "feature_maps", "maps", "map_size", "blocks", "default_block", "num_ws")

    def bind(self, model: Generator, settings: DragConfig) -> BoundDragGAN:
        """Return DragGAN on a generator.

        :raises ValueError: for a model that has no features or rows, or lacks a block that the settings name.
        """
        self.check_model(model)
        check_regularised(model, settings)
        return BoundDragGAN(model, settings)

    def values(self, model: Generator, settings: DragConfig) -> dict[str, Any]:
        """Return the settings as they hold: a block is named even where the settings leave it open."""
        block = model.default_block() if settings.block is None else settings.block
        rows = min(settings.edit_layers, model.num_ws)
        named = block if isinstance(block, int) else list(block)
        return {**settings.to_dict(), "edit_layers": rows, "block": named}

    def defaults(self, model: Generator) -> DragConfig:
        """Return the settings that the generator carries, if it carries some."""
        return getattr(model, "drag_config", None) or DragConfig()


def texture_of(model: Generator, edit: Edit, number: int) -> tuple[bool, XY | None]:
    """Return ``Bound.texture`` of a point for engines whose own features say the same as those that DragGAN follows."""
    engine = DragGAN()
    looker = engine.bind(model, engine.defaults(model))
    return looker.texture(edit, looker.begin(edit), number)
