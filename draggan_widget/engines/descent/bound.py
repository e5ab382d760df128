"""One Adam step after the other: reading the latent, the loss of what is to stay, the step, the course of the run.

An engine says how a point is known (``grab``), which loss pulls it (``pull``) and where it is afterwards (``follow``).
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.base import Bound, Step, Verdict, checked_places
from draggan_widget.engines.common.formulas import adam, held
from draggan_widget.engines.common.geometry import Frame, lengths, surroundings
from draggan_widget.engines.common.regularising import check_regularised, held_back, near_the_start
from draggan_widget.engines.common.running import Anchor, Course, Moments, progress
from draggan_widget.engines.common.sampling import DivergedError, Kept, channel_count
from draggan_widget.engines.common.scaling import Scales, scales_of
from draggan_widget.engines.common.staying import MaskTensors, kept
from draggan_widget.engines.descent.engine import blocks_of, mask_weight_of, rate_of
from draggan_widget.engines.descent.memory import Memory, Spot
from draggan_widget.engines.draggan.engine import texture_of
from draggan_widget.engines.edit import XY, Edit, EditPoint

if TYPE_CHECKING:
    from draggan_widget.engines.descent.settings import DescentSettings
    from draggan_widget.models import Generator

S = TypeVar("S", bound=Spot)
Read = Callable[[np.ndarray], Tensor]
"""Picture positions (…, 2) → features (…, C) there, differentiable; outside the picture its border is read."""
MARGIN = 3
"""Pixels beyond what is read for sure: around a place between pixels."""


class BoundDescent(Bound[Memory[S]], abc.ABC):
    """A method on one model. Subclasses set ``Spot`` and implement what is abstract here."""

    settings: DescentSettings
    Spot: ClassVar[type[Spot]]
    """What the method knows of a point."""

    def __init__(self, model: Generator, settings: DescentSettings, frame: Frame, reach: float) -> None:
        """Bind the method. :param reach: pixels around a handle that one step may read.

        :raises ValueError: if the model lacks a block, or ``truncate`` asks for a mean of latents that do not differ.
        """
        super().__init__(model, settings)
        self.frame = frame
        self.blocks = blocks_of(model, settings)
        self.rows = min(settings.edit_layers, model.num_ws)
        self.rate, self._mask_weight = rate_of(model, settings), mask_weight_of(model, settings)
        check_regularised(model, settings)
        self._reach = reach + MARGIN
        # All finer maps follow from that of the last block with an edited row of its own, and stay where it does.
        self._held_block = min(max(self.blocks), model.block_of_row(self.rows - 1))
        self._masks = MaskTensors()
        self._anchor: tuple[Tensor, Anchor] | None = None
        self._scales: Scales | None = None  # of the edit whose step is being taken

    # --- what a method says ------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a spot's tensors, of features of so many channels."""

    @abc.abstractmethod
    def grab(self, edit: Edit, points: list[EditPoint], read: Read) -> list[S]:
        """Return what is to be known of ``points``, from the latent of ``edit``."""

    def aim(self, edit: Edit, memory: Memory[S], read: Read) -> tuple[Edit, Memory[S]]:  # noqa: ARG002
        """Return the edit and the memory as the next step begins, where that is not as the last one ended."""
        return edit, memory

    @abc.abstractmethod
    def pull(self, edit: Edit, memory: Memory[S], read: Read) -> tuple[Tensor, Memory[S]]:
        """Return the loss whose gradient moves the handles, and the memory."""

    @abc.abstractmethod
    def follow(self, edit: Edit, memory: Memory[S], read: Read) -> tuple[Edit, Memory[S]]:
        """Return the edit with its handles where they are after a step, and the memory.

        ``memory.turn`` counts that step; who looks for the handles sets it to 0.
        """

    def sure(self, memory: Memory[S]) -> bool:  # noqa: ARG002
        """Return whether handles that are at their targets are known to be there."""
        return True

    # --- what an engine does -----------------------------------------------------------------------------------------

    def place(self, handle: XY) -> XY:
        """Return the handle, moved between the middles of the picture's outermost pixels."""
        x, y = self.frame.clamp(np.array(handle, dtype=np.float64))
        return float(x), float(y)

    def begin(self, edit: Edit) -> Memory[S]:
        """Return the memory at the first step from ``edit``; what is known of points is yet to be taken."""
        return Memory(self.blocks, self._no_moments(edit), Course(edit.step), {}, {}, several=self._several)

    def adapt(self, before: Edit, after: Edit, memory: Memory[S]) -> Memory[S]:
        """Return the memory for ``after``. What was not touched stays known.

        Adam forgets where points came, went, were put elsewhere, or are pulled back: or it would go the old way on.
        """
        if after.latent is not before.latent or after.origin is not before.origin:
            return self.begin(after)
        same = {point.id for point in after.points if point.id in before.ids and point.follows(before.point(point.id))}
        spots = {number: spot for number, spot in memory.spots.items() if number in same and self._knows(memory, spot)}
        swapped = {*before.ids} != same or {*after.ids} != same
        back = any(_turned(before.point(number), after.point(number)) for number in same)
        fits = memory.moments.first.shape[1] == self.rows
        return Memory(
            self.blocks,
            self._no_moments(after) if swapped or back or not fits else memory.moments,
            Course(after.step),
            spots,
            {number: xy for number, xy in memory.seen.items() if number in same},
            memory.turn if len(spots) == len(after.points) else 0,
            several=self._several,
        )

    def advance(self, edit: Edit, memory: Memory[S], at_most: int | None = 1) -> list[Step[Memory[S]]]:  # noqa: ARG002
        """Return the next step. :raises ValueError: without points. :raises DivergedError: if it is not finite."""
        if not edit.points:
            raise ValueError("there are no points to drag; add a handle and its target first")
        with torch.inference_mode(mode=False), torch.enable_grad():
            return [self._advance(edit, memory)]

    def verdict(self, edit: Edit, memory: Memory[S]) -> Verdict | None:
        """Return "arrived", "stalled" or "capped", or None while the run goes on."""
        if not edit.points:
            return None
        settings, left = self.settings, float(edit.distances.max())
        if settings.tolerance and left <= settings.tolerance and self.sure(memory):
            return "arrived"
        return memory.course.over(edit.step, settings.stall_steps, settings.max_steps)

    def found(self, memory: Memory[S], step: Step[Memory[S]], handles: np.ndarray) -> Step[Memory[S]]:
        """Return a step with its handles where another tracker found them, if they were looked for."""
        places = checked_places(handles, len(step.edit.points))
        if step.memory.turn:
            return step
        before = np.array([step.memory.seen[number] for number in step.edit.ids])
        edit, course = self.moved_to(step.edit, places), memory.course
        nearest, idle = progress(course.nearest, course.idle, lengths(edit.targets - before), edit.distances)
        after = dataclasses.replace(step.memory, course=Course(course.first_step, nearest, idle))
        return dataclasses.replace(step, edit=edit, memory=after)

    # --- one step ----------------------------------------------------------------------------------------------------

    def _advance(self, edit: Edit, memory: Memory[S]) -> Step[Memory[S]]:
        self._scales = scales_of(self.model, edit.origin, self.blocks, self.settings.several_blocks)
        leaf, keep = self._leaf(edit, memory), self._kept(edit)
        ahead = self._ahead([memory.seen.get(point.id, point.handle) for point in edit.points], keep)
        read = self._reader(leaf, ahead)
        new = [point for point in edit.points if point.id not in memory.spots]
        if new:
            grabbed = self.grab(edit, new, read)
            added = {point.id: spot for point, spot in zip(new, grabbed, strict=True)}
            memory = dataclasses.replace(memory, spots={**memory.spots, **added})
        began = edit.distances
        edit, memory = self.aim(edit, memory, read)
        motion, memory = self.pull(edit, memory, read)
        staying = self._staying(edit, leaf, keep, ahead)
        total = motion if staying is None else motion + self._mask_weight * staying
        near = near_the_start(leaf, edit.origin, self.rows, self.settings)
        total = total if near is None else total + near
        gradient = torch.autograd.grad(total, leaf)[0] if total.requires_grad else torch.zeros_like(leaf)
        moved, moments = self._stepped(edit, gradient, memory.moments)
        loss = {"motion": float(motion.detach()), "mask": 0.0 if staying is None else float(staying.detach())}
        if not np.isfinite(list(loss.values())).all() or not bool(torch.isfinite(moved).all()):
            raise DivergedError(
                f"step {edit.step + 1} gave a loss of {float(total.detach())} and a latent that is not finite; the "
                "latent before it is kept. Lower learning_rate or mask_weight, or begin from another latent"
            )
        leaf = moved.detach().clone().requires_grad_()
        after = dataclasses.replace(edit, latent=moved, step=edit.step + 1)
        seen = {point.id: point.handle for point in after.points}
        read = self._reader(leaf, self._ahead([point.handle for point in after.points], keep))
        memory = dataclasses.replace(memory, moments=moments, seen=seen, turn=memory.turn + 1, leaf=leaf)
        after, memory = self.follow(after, memory, read)
        if memory.turn == 0:
            nearest, idle = progress(memory.course.nearest, memory.course.idle, began, after.distances)
            memory = dataclasses.replace(memory, course=Course(memory.course.first_step, nearest, idle))
        return Step(after, memory, loss)

    def moved_to(self, edit: Edit, handles: np.ndarray) -> Edit:
        """Return the edit with its handles at (N, 2). :raises DivergedError: if one is not finite."""
        if not np.isfinite(handles).all():
            raise DivergedError(
                f"the features after step {edit.step} are not finite; the latent before it is kept. Lower "
                "learning_rate or mask_weight, or begin from another latent"
            )
        points = tuple(
            dataclasses.replace(point, handle=(float(x), float(y)))
            for point, (x, y) in zip(edit.points, self.frame.clamp(handles), strict=True)
        )
        return dataclasses.replace(edit, points=points)

    def whole_maps(self, latent: Tensor) -> Tensor:
        """Return the features (h, w, C) of a latent at the cells of the finest map that is read, without a graph."""
        height, width = max(self.model.map_size(block) for block in self.blocks)
        y, x = np.mgrid[:height, :width]
        scale = np.array([self.frame.width / width, self.frame.height / height])
        middles = (np.stack([x, y], axis=2) + 0.5) * scale - 0.5
        with torch.no_grad():
            return self._reader(latent.detach().clone(), None)(middles)

    def _stepped(self, edit: Edit, gradient: Tensor, before: Moments) -> tuple[Tensor, Moments]:
        latent, count, rows = edit.latent, before.count + 1, self.rows
        moved, first, second = adam(latent[:, :rows], gradient[:, :rows], before.first, before.second, count, self.rate)
        moved = torch.cat([moved, latent[:, rows:]], dim=1)
        return held_back(self.model, moved, edit.origin, rows, self.settings), Moments(first, second, count)

    def _staying(self, edit: Edit, leaf: Tensor, keep: Kept | None, ahead: Mapping[int, Tensor]) -> Tensor | None:
        """Return the mean change of the cells outside the mask since it was set; None where there is none."""
        base = edit.below[-1].latent if edit.below else edit.origin
        if keep is None or torch.equal(edit.latent, base):
            return None  # at the very latent only rounding differs, which Adam would blow up to full steps
        if self._anchor is None or self._anchor[0] is not base:
            self._anchor = base, Anchor(base.detach().clone().requires_grad_())
        assert edit.mask is not None
        before = self._anchor[1].kept(self.model, self._held_block, self._masks.of(edit.mask, edit.origin), keep)
        now = self.model.sample_features(leaf, self._held_block, torch.from_numpy(keep.positions), ahead)
        return held(now, before, torch.from_numpy(keep.weights).to(now))

    def _kept(self, edit: Edit) -> Kept | None:
        """Return the cells that are to stay; None without a mask, or if everything may move.

        A mask that lets nothing move holds all of them.
        """
        if edit.mask is None or not self._mask_weight:
            return None
        cells = kept(self._masks.of(edit.mask, edit.origin), self.model.map_size(self._held_block))
        return cells if len(cells.numbers) else None

    def _leaf(self, edit: Edit, memory: Memory[S]) -> Tensor:
        """Return the latent as a tensor that takes gradients: the one that was read of, where it is there."""
        return edit.latent.detach().clone().requires_grad_() if memory.leaf is None else memory.leaf

    def _ahead(self, middles: list[XY], keep: Kept | None) -> dict[int, Tensor]:
        """Return what is read of a latent whose handles are about ``middles``, by block."""
        around = np.array(middles, dtype=np.float64)
        ahead = {
            block: torch.from_numpy(surroundings(around, self._reach, self.model.map_size(block), self.frame))
            for block in self.blocks
        }
        if keep is not None:
            block, positions = self._held_block, torch.from_numpy(keep.positions)
            ahead[block] = torch.cat([ahead[block], positions]) if block in ahead else positions
        return ahead

    def _reader(self, leaf: Tensor, ahead: Mapping[int, Tensor] | None) -> Read:
        def read(xy: np.ndarray) -> Tensor:
            places = torch.from_numpy(np.ascontiguousarray(self.frame.clamp(xy).reshape(-1, 2)))
            found = self.model.sample_features(leaf, self.blocks, places, ahead).view(*xy.shape[:-1], -1)
            return found if self._scales is None else found * self._scales.tracked

        return read

    @property
    def _several(self) -> str:
        """How several blocks are weighed, as a memory says it: of one block there is nothing to say."""
        return self.settings.several_blocks if len(self.blocks) > 1 else "joined"

    def mean_change(self, differences: Tensor) -> Tensor:
        """Return the mean over channels of |differences| (…, C), in which each block that is read counts alike if the
        settings want it so: (…).
        """
        away = differences.abs()
        return (away if self._scales is None else away * self._scales.pulled).mean(dim=-1)

    def _no_moments(self, edit: Edit) -> Moments:
        return Moments.zeros_like(edit.latent.detach()[:, : self.rows])

    def _knows(self, memory: Memory[S], spot: S) -> bool:
        """Return whether a spot, perhaps of other settings, is one of these."""
        if (memory.blocks, memory.several) != (self.blocks, self._several):
            return False
        return {name: tuple(each.shape) for name, each in spot.tensors().items()} == self.shapes(
            channel_count(self.model, self.blocks)
        )

    # --- what files, histories and people are told -------------------------------------------------------------------

    def pack(self, memory: Memory[S]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return Adam's moments, what is known of points, and the course of the run."""
        return memory.pack()

    def unpack(self, edit: Edit, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Memory[S]:
        """Return the memory again. :raises ValueError: if something is missing or does not fit edit or model."""
        kind: Any = self.Spot
        with torch.inference_mode(mode=False):
            shapes = self.shapes(channel_count(self.model, self.blocks))
            memory: Memory[S] = Memory.unpack(self.model, edit, self.blocks, self.rows, kind, shapes, tensors, values)
        if memory.several != self._several:
            raise ValueError("points are known by features that were weighed in another way")
        return memory

    def compact(self, memory: Memory[S]) -> Memory[S]:
        """Return the memory without the tensor that features were read of, which is the edit's latent once more."""
        return dataclasses.replace(memory, leaf=None)

    def texture(self, edit: Edit, memory: Memory[S], number: int) -> tuple[bool, XY | None]:  # noqa: ARG002
        """Return whether a handle sits where features are too even, and the nearest spot that is better."""
        return texture_of(self.model, edit, number)

    def content(self, edit: Edit, memory: Memory[S], number: int) -> Any:
        """Return where a point was put, the same object until it is put elsewhere; None until that was looked at."""
        return edit.point(number).start if number in memory.spots else None


def _turned(before: EditPoint, after: EditPoint) -> bool:
    """Return whether a point is pulled back from where it was going."""
    was, now = (np.subtract(point.target, point.handle) for point in (before, after))
    return bool(was @ now < 0)
