"""DragDiffusion as an engine (Shi et al., *DragDiffusion*, CVPR 2024).

A latent of a diffusion model is a noisy picture at one level of its way. Its features, of one block of the UNet, are
pulled and followed as in DragGAN, by Adam on the noisy picture itself. The identity that the paper learns before, and
the attention that the pulled picture pays to the unpulled one, belong to the model: see ``models.diffusion``.

Ours are: features read from the map itself at any place, where the paper first blows it up to half the picture's side,
which is the same at places of that grid and nearly so between them; a grid that goes by the cells of the noisy picture,
so that the paper's numbers mean the same where a cell is not eight pixels; and that a run ends when nothing comes
nearer.
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

from draggan_widget.engines.base import Bound, Engine, Step, Verdict, check_blocks
from draggan_widget.engines.common.formulas import adam
from draggan_widget.engines.common.running import Course, Moments, progress
from draggan_widget.engines.common.sampling import DivergedError
from draggan_widget.engines.dragdiffusion import formulas
from draggan_widget.engines.dragdiffusion.settings import DragDiffusion
from draggan_widget.engines.edit import XY, Edit
from draggan_widget.models import Diffusion, sample_map
from draggan_widget.settings import shown

if TYPE_CHECKING:
    from draggan_widget.models import Generator

INCOMPLETE = "what the engine remembers is incomplete, or of another edit"
FIRST, SECOND = "adam.first", "adam.second"
OF_PIXELS = DragDiffusion(learning_rate=0.005, supervision_radius=4, tracking_radius=6, stall_steps=8)
"""Settings for models of pixels: of larger steps on smaller squares their pictures break."""
VALUES = {"block", "first_step", "nearest", "idle", "adam_steps", "known"}


@dataclasses.dataclass(frozen=True, eq=False)
class Memory:
    """What is remembered between two steps."""

    moments: Moments
    """Of the noisy picture (1, C, h, w)."""
    course: Course
    references: Mapping[int, Tensor]
    """Point → features (C,) of its handle when it was put there."""


class BoundDragDiffusion(Bound[Memory]):
    """DragDiffusion on one model."""

    model: Diffusion
    settings: DragDiffusion

    def __init__(self, model: Diffusion, settings: DragDiffusion) -> None:
        super().__init__(model, settings)  # type: ignore[arg-type]
        block = model.default_block() if settings.block is None else settings.block
        check_blocks(model, (block,), f"block is {block}", ", or leave it None")
        self.block = block
        self.spacing = model.resolution[0] / model.side[0] / formulas.PER_CELL
        """Pixels between two places of the grid."""
        self._unpulled: tuple[Tensor, Tensor] | None = None

    def place(self, handle: XY) -> XY:
        """Return the handle, moved between the middles of the picture's outermost pixels."""
        height, width = self.model.resolution
        return min(max(handle[0], 0.0), width - 1.0), min(max(handle[1], 0.0), height - 1.0)

    def begin(self, edit: Edit) -> Memory:
        """Return the memory at the first step from ``edit``; features of handles are yet to be taken."""
        return Memory(Moments.zeros_like(self.model.moving(edit.latent.detach())), Course(edit.step), {})

    def adapt(self, before: Edit, after: Edit, memory: Memory) -> Memory:
        """Return the memory for ``after``. A point whose target alone was moved stays known.

        Adam forgets where points came, went, were put elsewhere, or turned back: or it would go the old way on.
        """
        if after.latent is not before.latent or after.origin is not before.origin:
            return self.begin(after)
        same, turned = set(), False
        for point in after.points:
            old = before.point(point.id) if point.id in before.ids else None
            if old is not None and (old.handle, old.start) == (point.handle, point.start):
                same.add(point.id)
                ways = [np.subtract(each.target, each.handle) for each in (old, point)]
                turned |= bool(ways[0] @ ways[1] < 0)
        swapped = {*before.ids} != same or {*after.ids} != same
        fits = memory.moments.first.shape == self.model.moving(after.latent).shape
        moments = memory.moments if fits and not swapped and not turned else self.begin(after).moments
        known = {number: each for number, each in memory.references.items() if number in same}
        return Memory(moments, Course(after.step), known)

    def advance(self, edit: Edit, memory: Memory, at_most: int | None = 1) -> list[Step[Memory]]:  # noqa: ARG002
        """Return the next step: one pass of the UNet, its gradient, and a pass that tracks.

        :raises ValueError: without points. :raises DivergedError: if it is not finite.
        """
        if not edit.points:
            raise ValueError("there are no points to drag; add a handle and its target first")
        with torch.inference_mode(mode=False), torch.enable_grad():
            return [self._advance(edit, memory)]

    def verdict(self, edit: Edit, memory: Memory) -> Verdict | None:
        """Return "arrived", "stalled" or "capped", or None while the run goes on."""
        if not edit.points:
            return None
        settings = self.settings
        if float(edit.distances.max()) <= self.spacing * settings.tolerance:
            return "arrived"
        return memory.course.over(edit.step, settings.stall_steps, settings.max_steps)

    # --- one step ----------------------------------------------------------------------------------------------------

    def _advance(self, edit: Edit, memory: Memory) -> Step[Memory]:
        model, settings = self.model, self.settings
        noisy = model.moving(edit.latent).detach().clone().requires_grad_()
        stay = self._stay(edit)
        if stay is None:
            (features,), onward = model.feature_maps(noisy, (self.block,)), None
        else:
            (features,), onward = model.features_and_step(noisy, (self.block,))
        read, references = self._reader(features), dict(memory.references)
        for point in edit.points:
            if point.id not in references:
                references[point.id] = read(np.array([point.handle]))[0].detach().clone()
        near = edit.distances <= self.spacing * settings.tolerance
        moving = ~near if not near.all() else ~np.zeros_like(near)
        motion = formulas.motion(
            read, edit.handles[moving], edit.targets[moving], settings.supervision_radius, self.spacing
        )
        kept = None if onward is None or stay is None else formulas.staying(onward, self._before(edit), stay)
        total = motion if kept is None else motion + settings.mask_weight * kept
        (gradient,) = torch.autograd.grad(total, noisy)
        count, before = memory.moments.count + 1, memory.moments
        moved, first, second = adam(
            noisy.detach(), gradient, before.first, before.second, count, settings.learning_rate
        )
        loss = {"motion": float(motion.detach()), "mask": 0.0 if kept is None else float(kept.detach())}
        if not all(math.isfinite(each) for each in loss.values()) or not bool(torch.isfinite(moved).all()):
            raise DivergedError(
                f"step {edit.step + 1} gave a loss of {float(total.detach())} and a latent that is not finite; the "
                "latent before it is kept. Lower learning_rate or mask_weight, or begin from another latent"
            )
        with torch.no_grad():
            (now,) = model.feature_maps(moved, (self.block,))
        after = self._tracked(edit, self._reader(now), references, near)
        latent = model.paired(moved, model.source(edit.latent))
        after = dataclasses.replace(after, latent=latent, step=edit.step + 1)
        nearest, idle = progress(memory.course.nearest, memory.course.idle, edit.distances, after.distances)
        course = Course(memory.course.first_step, nearest, idle)
        return Step(after, Memory(Moments(first, second, count), course, references), loss)

    def _tracked(self, edit: Edit, read: formulas.Read, references: Mapping[int, Tensor], near: np.ndarray) -> Edit:
        """Return the edit with its handles where their features are; those that are near stay."""
        wanted = torch.stack([references[number] for number in edit.ids])
        radius, size = self.settings.tracking_radius, self.model.resolution
        seen = formulas.tracked(read, edit.handles, wanted, radius, size, self.spacing)
        found = np.where(near[:, None], edit.handles, seen)
        points = tuple(
            dataclasses.replace(point, handle=(float(x), float(y)))
            for point, (x, y) in zip(edit.points, found, strict=True)
        )
        return dataclasses.replace(edit, points=points)

    def _reader(self, features: Tensor) -> formulas.Read:
        """Return what reads places (…, 2) of a map (1, C, h, w)."""
        height, width = self.model.resolution

        def read(places: np.ndarray) -> Tensor:
            inside = np.clip(places.reshape(-1, 2), 0, [width - 1, height - 1])
            found = sample_map(features, torch.from_numpy(inside), self.model.resolution)
            return found.view(*places.shape[:-1], -1)

        return read

    def _stay(self, edit: Edit) -> Tensor | None:
        """Return how firmly each place of a noisy picture is to stay (h, w); None if everything may move."""
        if edit.mask is None or not self.settings.mask_weight or bool((edit.mask >= 1).all()):
            return None
        mask = torch.from_numpy(np.asarray(edit.mask, np.float64))[None, None]
        return 1 - F.adaptive_avg_pool2d(mask, self.model.side)[0, 0].to(edit.latent)

    def _before(self, edit: Edit) -> Tensor:
        """Return the noisy picture one level on of the origin; the same tensor as long as it is the same origin."""
        if self._unpulled is None or self._unpulled[0] is not edit.origin:
            noisy = self.model.moving(edit.origin)
            with torch.no_grad():
                self._unpulled = edit.origin, self.model.down(noisy, self.model.level)
        return self._unpulled[1]

    # --- files -------------------------------------------------------------------------------------------------------

    def pack(self, memory: Memory) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return Adam's moments, what points are followed by, and the course of the run."""
        known = {f"reference.{number}": each for number, each in memory.references.items()}
        values = {
            "block": self.block,
            "first_step": memory.course.first_step,
            "nearest": list(memory.course.nearest),
            "idle": memory.course.idle,
            "adam_steps": memory.moments.count,
            "known": sorted(memory.references),
        }
        return {FIRST: memory.moments.first, SECOND: memory.moments.second, **known}, values

    def unpack(self, edit: Edit, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Memory:
        """Return the memory again. :raises ValueError: if something is missing or does not fit edit or model."""
        if set(values) != VALUES or values["block"] != self.block or not isinstance(values["known"], list):
            raise ValueError(INCOMPLETE)
        known = values["known"]
        if not all(type(number) is int and number in edit.ids for number in known):
            raise ValueError(INCOMPLETE)
        if set(tensors) != {FIRST, SECOND, *(f"reference.{number}" for number in known)}:
            raise ValueError(INCOMPLETE)
        shape, like = tuple(self.model.moving(edit.latent).shape), self.model.scale
        for name, tensor in tensors.items():
            fits = tuple(tensor.shape) == shape if name in (FIRST, SECOND) else tensor.ndim == 1
            if not fits or tensor.dtype != like.dtype or not bool(torch.isfinite(tensor).all()):
                raise ValueError(f"{name} has {tuple(tensor.shape)} numbers of {tensor.dtype}, or some not finite")
        if float(tensors[SECOND].min()) < 0:
            raise ValueError("a mean of squares is negative")
        first, idle, count = (_whole(name, values[name]) for name in ("first_step", "idle", "adam_steps"))
        nearest = values["nearest"]
        good = isinstance(nearest, list) and len(nearest) in (0, len(edit.points))
        if not good or not all(type(each) in (int, float) and math.isfinite(each) for each in nearest):
            raise ValueError("it has not one nearest distance for each point")
        if first > edit.step:
            raise ValueError("the run began after the step that it is at")
        moments = Moments(tensors[FIRST].to(like.device), tensors[SECOND].to(like.device), count)
        references = {number: tensors[f"reference.{number}"].to(like.device) for number in known}
        return Memory(moments, Course(first, tuple(map(float, nearest)), idle), references)

    def content(self, edit: Edit, memory: Memory, number: int) -> Any:
        """Return where a point was put, the same object until it is put elsewhere; None until that was looked at."""
        return edit.point(number).start if number in memory.references else None


def _whole(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {shown(value)}; it must be a whole number from 0 on")
    return value


class DragDiffusionEngine(Engine):
    """Shi et al., *DragDiffusion*, CVPR 2024."""

    name = "dragdiffusion"
    help = "Pulls a noisy picture on its way to a clean one, for diffusion models (Shi et al. 2024)"
    Settings = DragDiffusion
    family = "diffusion"
    needs = (*Engine.needs, "sample_features", "feature_maps", "features_and_step")

    def bind(self, model: Generator, settings: DragDiffusion) -> BoundDragDiffusion:
        """Return DragDiffusion on a model. :raises ValueError: for a model of another kind, or without that block."""
        self.check_model(model)
        assert isinstance(model, Diffusion)
        return BoundDragDiffusion(model, settings)

    def defaults(self, model: Generator) -> DragDiffusion:
        """Return the paper's settings, or ours for a model of pixels, whose noisy picture is finer than its content."""
        return OF_PIXELS if isinstance(model, Diffusion) and model.vae is None else DragDiffusion()

    def values(self, model: Generator, settings: DragDiffusion) -> dict[str, Any]:
        """Return the settings as they hold: the block is named even where the settings leave it open."""
        block = model.default_block() if settings.block is None else settings.block
        return {**settings.to_dict(), "block": block}
