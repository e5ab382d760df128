"""Several steps of the default method without looking at them in between: how an accelerator is kept busy.

A step of ``iteration`` looks at what it computed (where the nearest features are, whether all is finite), which makes a
GPU wait for the processor and the processor for the GPU, for longer than the step takes. Here positions, arg-minima and
moments stay on the device as tensors of fixed shapes; after some steps all of them are read back at once, and the
states are those that single steps would have led to. On CUDA the steps are captured once as a graph and replayed.

A cycle begins with a latent whose handles are yet to be tracked: features, tracking, supervision, Adam. So it needs one
forward and one backward pass, as a step does.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common import formulas
from draggan_widget.engines.common.running import Moments
from draggan_widget.engines.common.sampling import DivergedError, unthinned
from draggan_widget.engines.draggan.default import follow as tracked
from draggan_widget.engines.draggan.iteration import eased, edited_rows, follow, rate_of, step, terminate
from draggan_widget.engines.draggan.methods import blocks_of, frame_of, mask_block_of, method_of
from draggan_widget.models import captured, guarded, sample_map

if TYPE_CHECKING:
    from collections.abc import Callable

    from draggan_widget.engines.draggan.state import DragState
    from draggan_widget.models import Generator

AT_ONCE = 10
"""Steps between two looks."""


@guarded
def stride(generator: Generator, state: DragState, at_most: int | None = None) -> list[DragState]:
    """Return the next states, at least one and up to ``at_most``, the last of them the first at which the run is over.

    None is as many as are worth it on the device.
    On a processor, for other methods than the default, where the latent is held back, and where several blocks are
    weighed, that is one step. So it is where there are so many points or such wide radii that not every pixel is looked
    at.

    :raises ValueError: without points. :raises DivergedError: if the very next step is not finite.
    """
    worth_it = state.latent.device.type != "cpu" and state.config.method == "default" and bool(state.points)
    worth_it = worth_it and not state.config.stay_near and not state.config.truncate and state.config.typical is None
    worth_it = worth_it and state.config.several_blocks == "joined"
    worth_it = worth_it and unthinned(len(state.points), frame_of(state.config, state.resolution))
    if at_most == 1 or not worth_it or any(point.reference is None for point in state.points):
        return [step(generator, state)]
    return walk(generator, state, at_most or AT_ONCE)


@guarded
def walk(generator: Generator, state: DragState, steps: int) -> list[DragState]:
    """Return ``stride`` of the default method on any device. All points must have their references."""
    state = eased(state)
    with torch.inference_mode(mode=False):
        cycles = _cycles_for(generator, state)
        cycles.begin(state)
        trail = [cycles.go(first=number == 0) for number in range(steps + 1)]
        handles, losses, finite = (
            torch.stack(kind).cpu().double().numpy() for kind in zip(*(look.brief for look in trail), strict=True)
        )
    states, now = [], state
    for number in range(1, steps + 1):
        if not (finite[number] and np.isfinite(losses[number - 1]).all()):
            break
        points = tuple(
            dataclasses.replace(point, handle=(float(x), float(y)), seen=point.handle)
            for point, (x, y) in zip(now.points, handles[number], strict=True)
        )
        loss = {"motion": float(losses[number - 1][0]), "mask": float(losses[number - 1][1])}
        after = dataclasses.replace(
            now,
            points=points,
            latent=trail[number].ws.requires_grad_(),
            moments=Moments(trail[number].first, trail[number].second, now.moments.count + 1),
            step=now.step + 1,
            loss=loss,
        )
        now = follow(now, after)
        states.append(now)
        if terminate(now) is not None or eased(now) is not now:
            break
    if not states:
        raise DivergedError(
            f"step {state.step + 1} is not finite; the latent before it is kept. Lower learning_rate or mask_weight, "
            "or begin from another latent"
        )
    return states


@dataclasses.dataclass(frozen=True)
class _Look:
    """What one cycle found and left, all of it still on the device."""

    ws: Tensor
    """The latent it began with, (1, num_ws, w_dim), and the moments of Adam there."""
    first: Tensor
    second: Tensor
    brief: tuple[Tensor, Tensor, Tensor]
    """Where the handles are in its picture (N, 2), the terms of the loss there (2,), whether all is finite."""


class _Cycles:
    """Cycles of one kind: of one number of points, one mask, one anchor and one config."""

    def __init__(self, generator: Generator, state: DragState) -> None:
        config, device = state.config, state.latent.device
        self._generator = weakref.ref(generator)
        self._config = config
        self._frame = frame_of(config, state.resolution)
        self._blocks = blocks_of(generator, config)
        # Where a device knows no 64 bits, 32 place a handle to a ten-thousandth of a pixel.
        precise = torch.float32 if device.type == "mps" else torch.float64
        like: dict[str, Any] = {"dtype": precise, "device": device}
        self._keep: tuple[int, Tensor, Tensor, Tensor] | None = None
        if state.mask is not None and config.mask_weight > 0:
            block = mask_block_of(generator, config)
            kept = method_of(config).kept(state.mask, generator.map_size(block))
            if kept is not None and len(kept.numbers):
                with torch.no_grad():
                    (base,) = generator.feature_maps(state.anchor.latent, [block])
                places, weights = (torch.from_numpy(each).to(device) for each in (kept.numbers, kept.weights))
                self._keep = block, places, weights.to(base.dtype), base[0].flatten(1).index_select(1, places).T
        self._handles, self._targets = (torch.zeros(len(state.points), 2, **like) for _ in range(2))
        self._references = torch.stack([p.reference for p in state.points if p.reference is not None])
        self._ws, self._first, self._second = (torch.zeros_like(state.w0) for _ in range(3))
        self._count, self._rate = (torch.zeros((), **like) for _ in range(2))
        self._at_start, self._at_anchor = (torch.zeros((), dtype=torch.bool, device=device) for _ in range(2))
        self._captured: tuple[Callable[[], None], tuple[Tensor, ...]] | None = None

    def begin(self, state: DragState) -> None:
        """Go on from ``state``."""
        for mine, given in (
            (self._handles, torch.from_numpy(state.handles)),
            (self._targets, torch.from_numpy(state.targets)),
            (self._references, torch.stack([p.reference for p in state.points if p.reference is not None])),
            (self._ws, state.ws),
            (self._first, state.moments.first),
            (self._second, state.moments.second),
            (self._count, torch.tensor(float(state.moments.count))),
            (self._rate, torch.tensor(rate_of(state), dtype=torch.float64)),
            (self._at_anchor, torch.tensor(torch.equal(state.ws, state.anchor.latent))),
        ):
            mine.copy_(given)

    def go(self, *, first: bool) -> _Look:
        """Do one cycle. In the ``first`` one the handles are where they were said to be."""
        self._at_start.fill_(first)
        ws, moment, square_moment = self._ws.clone(), self._first.clone(), self._second.clone()
        if self._ws.device.type == "cuda":
            if self._captured is None:
                self._captured = captured(self._cycle)
            replay, found = self._captured
            replay()
        else:
            found = self._cycle()
        handles, losses, finite, *after = found
        brief = handles.clone(), losses.clone(), finite.clone()
        for mine, new in zip((self._ws, self._first, self._second), after, strict=True):
            mine.copy_(new)
        self._handles.copy_(handles)
        self._count += 1
        self._at_anchor.fill_(False)
        return _Look(ws, moment, square_moment, brief)

    def _cycle(self) -> tuple[Tensor, ...]:
        """Return handles, terms of the loss, whether all is finite; the next latent and moments.

        Nothing is looked at.
        """
        generator = self._generator()
        assert generator is not None
        config = self._config
        with torch.enable_grad():
            latent = self._ws.detach().requires_grad_()
            blocks = self._blocks if self._keep is None else (*self._blocks, self._keep[0])
            maps = generator.feature_maps(latent, blocks)
            read = maps[: len(self._blocks)]
            still = [each.detach() for each in read]
            found = tracked(lambda xy: self._sample(still, xy), self._handles, self._references, self._frame)
            sound = torch.isfinite(found).all() | self._at_start
            # What is not is told of, and not read.
            handles = torch.where(self._at_start | ~sound, self._handles, found)
            here, counted = formulas.discs(handles, self._frame)
            ahead = here + formulas.no_longer_than_1(self._targets - handles)[:, None]
            now = self._sample(still, here)
            shares = formulas.shares(counted, here.dtype).to(now)
            motion = formulas.pulled(now, torch.cat([self._gather(each, ahead) for each in read], dim=-1), shares)
            kept = motion.new_zeros(())
            if self._keep is not None:
                _, places, weights, base = self._keep
                change = formulas.held(maps[-1][0].flatten(1).index_select(1, places).T, base, weights)
                kept = torch.where(self._at_anchor, torch.zeros_like(kept), change)
            (gradient,) = torch.autograd.grad(motion + config.mask_weight * kept, latent)
        with torch.no_grad():
            parts = self._ws, gradient, self._first, self._second
            rows = edited_rows(config, self._ws.shape[1])
            moved, first, second = formulas.step_rows(*parts, self._count + 1, self._rate, rows)
            finite = torch.isfinite(self._ws).all() & sound & torch.isfinite(motion)
            return handles, torch.stack([motion.detach(), kept.detach()]), finite, moved, first, second

    def _sample(self, maps: list[Tensor], xy: Tensor) -> Tensor:
        """Map (N, P, 2) → (N, P, C)."""
        flat = [sample_map(each, xy.reshape(-1, 2), (self._frame.height, self._frame.width)) for each in maps]
        return torch.cat(flat, dim=1).view(*xy.shape[:2], -1)

    def _gather(self, feature_map: Tensor, xy: Tensor) -> Tensor:
        """Return ``_sample`` of one map (1, C, h, w). Its gradient is added up by channels, not, as there, by
        positions.
        """
        height, width = feature_map.shape[2:]
        across = ((xy[..., 0] + 0.5) * (width / self._frame.width) - 0.5).clamp(0, width - 1)
        down = ((xy[..., 1] + 0.5) * (height / self._frame.height) - 0.5).clamp(0, height - 1)
        left, top = across.floor().clamp(max=max(0, width - 2)), down.floor().clamp(max=max(0, height - 2))
        right, bottom = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)
        x, y = across - left, down - top
        corners = torch.stack([top * width + left, top * width + right, bottom * width + left, bottom * width + right])
        weights = torch.stack([(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x]).to(feature_map)
        cells = feature_map[0].permute(1, 2, 0).flatten(0, 1)  # (h · w, C)
        read = cells.index_select(0, corners.flatten().long()).view(*weights.shape, -1)
        return (read * weights[..., None]).sum(dim=0)


_remembered: weakref.WeakKeyDictionary[Generator, tuple[tuple[object, ...], _Cycles]] = weakref.WeakKeyDictionary()


def _cycles_for(generator: Generator, state: DragState) -> _Cycles:
    """Return the cycles of the last call, with their graph, if they serve this state too; else new ones."""
    kind = state.config, len(state.points), getattr(generator, "operands", None)
    # What is kept is told by the mask and the latent it began with; without a mask, any two edits are of one kind.
    kept = (None, None) if state.mask is None else (state.mask, state.anchor)
    before = _remembered.get(generator)
    if before is not None and before[0][0] == kind and all(a is b for a, b in zip(before[0][1:], kept, strict=True)):
        return before[1]
    cycles = _Cycles(generator, state)
    _remembered[generator] = (kind, *kept), cycles
    return cycles
