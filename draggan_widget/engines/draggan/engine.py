"""DragGAN as an engine: Adam on the rows of a StyleGAN latent, in the reading of the paper that ``method`` names.

What it remembers is a ``DragState``, the whole of what its formulas need; the points, the mask and the latent in it are
always those of the edit it goes with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from draggan_widget.config import DragConfig
from draggan_widget.dragging import (
    DragState,
    add_point,
    begin_run,
    init,
    move_handle,
    move_target,
    remove_point,
    stride,
    terminate,
    with_config,
    with_mask,
)
from draggan_widget.dragging.methods import blocks_of
from draggan_widget.dragging.points import place
from draggan_widget.dragging.state import Anchor, Course
from draggan_widget.dragging.texture import confidence
from draggan_widget.engines.base import Bound, Engine, Step, Verdict
from draggan_widget.engines.draggan.compact import Compact
from draggan_widget.engines.edit import XY, Edit, EditPoint

if TYPE_CHECKING:
    from draggan_widget.generators import Generator

OF_THE_EDIT = ("ws", "w0", "mask")
"""Tensors of a ``DragState`` that the edit has as well."""


class BoundDragGAN(Bound[DragState]):
    """DragGAN on one generator."""

    model: Generator
    settings: DragConfig

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
        return [self._step(edit, state) for state in stride(self.model, memory, at_most)]

    def verdict(self, edit: Edit, memory: DragState) -> Verdict | None:  # noqa: ARG002 - the memory has its points
        """Return "arrived", "stalled" or "capped" by ``tolerance``, ``stall_steps`` and ``max_steps``."""
        return terminate(memory)

    def adapt(self, before: Edit, after: Edit, memory: DragState) -> DragState:
        """Return the memory for ``after``. What was not touched keeps its reference, and Adam its moments."""
        if after.latent is not before.latent or after.origin is not before.origin:
            return self.begin(after)
        state = with_config(self.model, memory, self.settings)
        for number in [number for number in before.ids if number not in after.ids]:
            state = remove_point(self.model, state, number)
        for point in after.points:
            if point.id not in before.ids:
                state = add_point(self.model, state, point.id, point.handle, point.target)
                continue
            old = before.point(point.id)
            if point is old:
                continue
            # A handle that was put where it is already is on other content all the same: the content moved on.
            if point.handle != old.handle or point.target == old.target:
                state = move_handle(self.model, state, point.id, point.handle)
            if point.target != old.target:
                state = move_target(state, point.id, point.target)
        if after.mask is not before.mask:
            state = with_mask(state, after.mask)
        return begin_run(state) if after is before else state

    def pack(self, memory: DragState) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return references, anchor and moments as tensors, and the course of the run."""
        tensors, values = memory.to_parts()
        return {name: tensor for name, tensor in tensors.items() if name not in OF_THE_EDIT}, values

    def unpack(self, edit: Edit, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> DragState:
        """Return the memory again. :raises ValueError: if something is missing or does not fit."""
        like = edit.latent
        mask = {} if edit.mask is None else {"mask": torch.as_tensor(edit.mask).to(like)}
        parts = {**tensors, "ws": edit.latent.detach().clone(), "w0": edit.origin, **mask}
        state = DragState.from_parts(parts, values)
        if state.config != self.settings or state.ids != edit.ids or state.step != edit.step:
            raise ValueError("what the engine remembers is of another edit")
        blocks_of(self.model, state.config)
        return state

    def compact(self, memory: DragState) -> Compact:
        """Return the memory without its latent, and of the moments those rows that were edited."""
        return Compact.of(memory)

    def expand(self, edit: Edit, kept: Compact) -> DragState:
        """Return the memory again."""
        return kept.state(edit.latent)

    def confidence(self, edit: Edit, memory: DragState) -> dict[int, float]:  # noqa: ARG002
        """Return how near in features each handle's content is to what is looked for; see ``texture.confidence``."""
        return confidence(self.model, memory)

    def _step(self, edit: Edit, state: DragState) -> Step[DragState]:
        points = tuple(EditPoint(point.id, point.handle, point.target, point.start) for point in state.points)
        moved = dataclasses.replace(edit, latent=state.ws, points=points, step=state.step)
        return Step(moved, state, dict(state.loss))


class DragGAN(Engine):
    """Pan et al., *Drag Your GAN*, SIGGRAPH 2023."""

    name = "draggan"
    help = "Motion supervision and point tracking by features, many small steps (Pan et al. 2023)"
    Settings = DragConfig

    def bind(self, model: Generator, settings: DragConfig) -> BoundDragGAN:
        """Return DragGAN on a generator.

        :raises ValueError: if the generator lacks one of the blocks or rows that the settings name.
        """
        blocks_of(model, settings)
        return BoundDragGAN(model, settings)

    def defaults(self, model: Generator) -> DragConfig:
        """Return the settings that the generator carries."""
        return model.drag_config
