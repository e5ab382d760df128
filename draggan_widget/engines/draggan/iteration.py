"""The drag as an iterative method: ``init``, ``step``, ``terminate`` over immutable states.

State n holds the latent after n steps and the handles tracked in its picture. A step supervises there and takes one
Adam step (Pan et al. 2023, equation 1), then tracks in the new picture (equation 2). The features that tracking reads
and those that the next step supervises are of the same latent, so a step costs one forward and one backward pass.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common.formulas import held, step_rows
from draggan_widget.engines.common.geometry import surroundings
from draggan_widget.engines.common.regularising import held_back, near_the_start
from draggan_widget.engines.common.running import MARKED, Anchor, Course, Moments, progress
from draggan_widget.engines.common.sampling import DivergedError
from draggan_widget.engines.common.scaling import Scales, scales_of
from draggan_widget.engines.draggan.edits import make_points, mask_tensor
from draggan_widget.engines.draggan.methods import blocks_of, frame_of, has_arrived, mask_block_of, method_of
from draggan_widget.engines.draggan.state import DragState, Pace
from draggan_widget.models import guarded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from draggan_widget.config import DragConfig
    from draggan_widget.engines.common.sampling import Kept, Reader
    from draggan_widget.engines.draggan.methods import Method
    from draggan_widget.engines.projection import Projection
    from draggan_widget.models import Generator

C = TypeVar("C", Course, Pace)
MARGIN = 3
"""Pixels beyond the disc that supervision may read: a step ahead, and the pixels around a place between pixels."""
IDLE = 4
"""Trackings that brought no handle nearer, after which ``on_stall`` halves the rate if one was lost in them."""


@guarded
def init(
    generator: Generator,
    ws: Tensor | np.ndarray,
    points: Sequence[tuple[int, Any, Any]] = (),
    mask: Any = None,
    config: DragConfig | None = None,
) -> DragState:
    """Return the state before the first step. Nothing is computed yet.

    :param ws: (1, num_ws, w_dim). :param points: ``(id, handle, target)`` each, positions (x, y) in picture pixels;
        there may be none as yet. :param mask: (H, W) bools or numbers 0 … 1, 1 = may move; None: everything may.
    :param config: None for the generator's own.
    :raises ValueError: for what cannot be worked with; the message says what and how to mend it. :raises TypeError:
        for a ``ws`` or ``mask`` that holds no numbers.
    """
    config = generator.drag_config if config is None else config
    blocks_of(generator, config)
    with torch.inference_mode(mode=False):
        w0 = generator.space.check(ws)
        latent = w0.clone().requires_grad_()
        return DragState(
            config=config,
            resolution=generator.resolution,
            points=make_points(points, config, generator.resolution),
            mask=mask_tensor(mask, generator.resolution, w0),
            latent=latent,
            w0=w0,
            anchor=Anchor(latent),
            moments=Moments.zeros_like(w0),
        )


@guarded
def step(generator: Generator, state: DragState, allowed: Projection | None = None) -> DragState:
    """Take one step from ``state``, which stays as it is.

    :param allowed: has the step go as latents differ, and takes out of it what it may not change; after Adam: of the
        gradient, Adam would scale it up.
    :raises ValueError: without points. :raises DivergedError: if the loss, its gradient, the new latent or its
        features are not finite.
    """
    if not state.points:
        raise ValueError("there are no points to drag; add a handle and its target first")
    with torch.inference_mode(mode=False), torch.enable_grad():
        scales = scales_in(generator, state)
        state, latent, moments, loss = _supervise(generator, eased(state), allowed, scales)
        handles = _track(generator, state, latent, scales)
    points = tuple(
        dataclasses.replace(point, handle=(float(x), float(y)), seen=point.handle)
        for point, (x, y) in zip(state.points, handles, strict=True)
    )
    after = dataclasses.replace(state, points=points, latent=latent, moments=moments, step=state.step + 1, loss=loss)
    return follow(state, after)


def terminate(state: DragState) -> Literal["arrived", "stalled", "capped"] | None:
    """Why the run is over: "arrived", "stalled" or "capped"; None while it is not."""
    if not state.points:
        return None
    config, course = state.config, state.course
    if has_arrived(state.distances, config, state.resolution):
        return "arrived"
    return course.over(state.step, config.stall_steps, config.max_steps)


def _reader(
    generator: Generator, state: DragState, latent: Tensor, ahead: dict[int, Tensor], scales: Scales | None
) -> Reader:
    """Return what reads features as tracking compares them."""
    blocks = blocks_of(generator, state.config)

    def read(xy: np.ndarray) -> Tensor:
        found = generator.sample_features(latent, blocks, torch.from_numpy(np.ascontiguousarray(xy)), ahead)
        return found if scales is None else found * scales.tracked

    return read


def _for_loss(read: Reader, scales: Scales | None) -> Reader:
    """Return what reads features as the loss, a mean over channels, compares them."""
    if scales is None:
        return read
    weights = scales.pulled
    return lambda xy: read(xy) * weights


def scales_in(generator: Generator, state: DragState) -> Scales | None:
    """Return what features of several blocks are multiplied by; None where they stay as they are."""
    return scales_of(generator, state.w0, blocks_of(generator, state.config), state.config.several_blocks)


def _mask_of(state: DragState) -> Tensor | None:
    """Return the mask, if there is one that is to be obeyed."""
    return state.mask if state.config.mask_weight > 0 else None


def _kept(generator: Generator, state: DragState) -> tuple[int, Kept] | None:
    """Return the block and its cells that the mask keeps; None if there is no mask, or if whole maps are compared."""
    mask = _mask_of(state)
    if mask is None:
        return None
    block = mask_block_of(generator, state.config)
    kept = method_of(state.config).kept(mask, generator.map_size(block))
    return None if kept is None else (block, kept)


def _ahead(generator: Generator, state: DragState, middles: np.ndarray) -> dict[int, Tensor]:
    """Block → positions (n, 2): all that tracking from ``middles`` (N, 2), and supervision after it, may read."""
    frame, blocks = frame_of(state.config, state.resolution), blocks_of(generator, state.config)
    reach = frame.tracking + frame.supervision + MARGIN
    keep = _kept(generator, state)
    ahead = {
        block: torch.from_numpy(surroundings(middles, reach, generator.map_size(block), frame)) for block in blocks
    }
    if keep is not None and len(keep[1].numbers):
        block, positions = keep[0], torch.from_numpy(keep[1].positions)
        ahead[block] = torch.cat([ahead[block], positions]) if block in ahead else positions
    return ahead


def _with_references(state: DragState, read: Reader) -> DragState:
    """Takes the references that are not there yet, from the latent and the handles of this state."""
    missing = [point for point in state.points if point.reference is None]
    if not missing:
        return state
    features = read(np.array([point.handle for point in missing])).detach()  # (n, C)
    taken = {point.id: feature.clone() for point, feature in zip(missing, features, strict=True)}
    points = tuple(dataclasses.replace(point, reference=taken.get(point.id, point.reference)) for point in state.points)
    return dataclasses.replace(state, points=points)


def _supervise(
    generator: Generator, state: DragState, allowed: Projection | None, scales: Scales | None
) -> tuple[DragState, Tensor, Moments, dict[str, float]]:
    """Return the state with all references, the latent after one Adam step, the moments, and the terms of the loss."""
    config, latent = state.config, state.latent
    method, frame, blocks = method_of(config), frame_of(config, state.resolution), blocks_of(generator, config)
    mask, keep = _mask_of(state), _kept(generator, state)
    if mask is not None and keep is None:
        # The generator remembers the maps of one latent: so the anchor's first, then those that both terms read.
        bases = state.anchor.maps(generator, blocks)
        maps = generator.maps(latent, blocks)
    ahead = _ahead(generator, state, np.array([point.seen for point in state.points]))
    read = _reader(generator, state, latent, ahead, scales)
    state = _with_references(state, read)
    motion = method.motion_loss(_for_loss(read, scales), state.handles, state.targets, frame)
    keeping: Tensor | None = None
    if mask is not None and keep is None:
        keeping = _mask_loss(method, maps, bases, mask)
    elif mask is not None and keep is not None and len(keep[1].numbers) and latent is not state.anchor.latent:
        # At the anchor itself nothing has changed, but for rounding, which Adam would blow up to full steps.
        block, kept = keep
        now = generator.sample_features(latent, block, torch.from_numpy(kept.positions), ahead)
        keeping = held(now, state.anchor.kept(generator, block, mask, kept), torch.from_numpy(kept.weights).to(now))
    terms = [motion, None if keeping is None else config.mask_weight * keeping]
    rows = edited_rows(config, latent.shape[1])
    terms.append(near_the_start(latent, state.w0, rows, config))
    total = sum((term for term in terms if term is not None), start=latent.new_zeros(()))
    loss = {"motion": _value(motion), "mask": _value(keeping)}
    gradient = torch.autograd.grad(total, latent)[0] if total.requires_grad else torch.zeros_like(latent)
    moved, moments = _step_rows(latent.detach(), gradient, state.moments, config, rate_of(state))
    if allowed is not None:
        moved = latent.detach() + allowed.along(moved - latent.detach(), rows)
    moved = held_back(generator, moved, state.w0, rows, config)
    if allowed is not None:
        moved = latent.detach() + allowed(moved - latent.detach())
    if not np.isfinite(list(loss.values())).all() or not bool(torch.isfinite(moved).all()):
        raise DivergedError(
            f"step {state.step + 1} gave a loss of {_value(total)} and a latent that is not finite; the latent before "
            "it is kept. Lower learning_rate or mask_weight, or begin from another latent"
        )
    return state, moved.requires_grad_(), moments, loss


def _mask_loss(method: Method, maps: list[Tensor], bases: list[Tensor], mask: Tensor) -> Tensor | None:
    """Return the method's term over the channels of all ``maps`` (1, C, h, w), each of which counts the same."""
    channels = sum(now.shape[1] for now in maps)
    terms = [(method.mask_loss(now, base, mask), now.shape[1]) for now, base in zip(maps, bases, strict=True)]
    parts = [term * (count / channels) for term, count in terms if term is not None]
    return torch.stack(parts).sum() if parts else None


def _step_rows(
    ws: Tensor, gradient: Tensor, moments: Moments, config: DragConfig, rate: float
) -> tuple[Tensor, Moments]:
    """Return ``step_rows`` with what the settings ask for."""
    rows, count = edited_rows(config, ws.shape[1]), moments.count + 1
    stepped, first, second = step_rows(ws, gradient, moments.first, moments.second, count, rate, rows)
    return stepped, Moments(first, second, count)


def edited_rows(config: DragConfig, rows: int) -> int | None:
    """Return how many of a latent's rows are edited each for itself; None: all as one."""
    return None if config.space == "w" else min(config.edit_layers, rows)


def _track(generator: Generator, state: DragState, latent: Tensor, scales: Scales | None) -> np.ndarray:
    """Return where the handles are in the picture of ``latent``, one step on from ``state``."""
    references = [point.reference for point in state.points if point.reference is not None]
    frame = frame_of(state.config, state.resolution)
    # Read with a graph, though tracking needs none, and with what the next supervision will read: so the generator
    # computes it once for both.
    if _mask_of(state) is not None and _kept(generator, state) is None:
        generator.maps(latent, blocks_of(generator, state.config))
    read = _reader(generator, state, latent, _ahead(generator, state, state.handles), scales)
    return method_of(state.config).track(read, state.handles, references, frame)


def with_handles(before: DragState, after: DragState, handles: np.ndarray) -> DragState:
    """Return ``after``, one step on from ``before``, with its handles (N, 2) where another tracker found them.

    What is outside the picture is moved to its border. :raises ValueError: for another number of handles, or for NaN.
    """
    found = np.asarray(handles, dtype=np.float64)
    if found.shape != (len(after.points), 2) or not np.isfinite(found).all():
        raise ValueError(f"the tracker gave {found.tolist()}; it must give {len(after.points)} finite (x, y)")
    places = frame_of(after.config, after.resolution).clamp(found)
    points = tuple(
        dataclasses.replace(point, handle=(float(x), float(y)))
        for point, (x, y) in zip(after.points, places, strict=True)
    )
    return follow(eased(before), dataclasses.replace(after, points=points))


def follow(before: DragState, after: DragState) -> DragState:
    """Return ``after``, one tracking on from ``before``, with how the run has gone so far."""
    course = _followed(before.course, before.distances, after.distances)
    if after.config.on_stall != "halve":
        return dataclasses.replace(after, course=course)
    pace = _followed(before.pace, before.distances, after.distances)
    receded = bool((after.distances >= np.array(pace.nearest) + MARKED).any())
    pace = dataclasses.replace(pace, lost=pace.idle > 0 and (pace.lost or receded))
    return dataclasses.replace(after, course=course, pace=pace)


def _followed(course: C, before: np.ndarray, after: np.ndarray) -> C:
    """Return ``course`` after one more tracking, which took the handles' distances (N,) from ``before`` to
    ``after``.
    """
    nearest, idle = progress(course.nearest, course.idle, before, after)
    return dataclasses.replace(course, nearest=nearest, idle=idle)


def eased(state: DragState) -> DragState:
    """Return ``state`` as the next step takes it: at half the rate and without moments, where none came nearer and one
    swung or went away.

    Where handles only creep or rest, smaller steps would not help: the rate is too low already, or nothing pulls.
    """
    if state.config.on_stall != "halve":
        return state
    if state.pace.of != state.pull:
        return dataclasses.replace(state, pace=Pace(state.pull))
    if state.pace.idle < IDLE or not state.pace.lost:
        return state
    pace = dataclasses.replace(state.pace, idle=0, lost=False, halvings=state.pace.halvings + 1)
    return dataclasses.replace(state, moments=Moments.zeros_like(state.w0), pace=pace)


def rate_of(state: DragState) -> float:
    """Return the rate of the next step."""
    return state.config.learning_rate * 0.5**state.pace.halvings


def _value(term: Tensor | None) -> float:
    return 0.0 if term is None else float(term.detach())
