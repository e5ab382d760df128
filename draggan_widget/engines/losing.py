"""The end of a run at a handle that is lost: an engine's settings say ``on_lost="stop"``.

Whatever follows a handle always finds some place. Its features are compared with those that were grabbed: as long as
the content is the same they differ little, and ever alike. A handle is astray when they differ by more than three times
the median of what they did so far; one that is astray for five trackings is lost. Then the run ends as ``stalled``, at
the best state that there was while no handle was astray, and what is lost is told.

All of it is ours. The first five trackings of a run are never astray: their differences are next to nothing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.around import Around
from draggan_widget.engines.base import Bound, Step, Verdict
from draggan_widget.engines.common.sampling import channel_count
from draggan_widget.engines.edit import XY, Edit, check_xy
from draggan_widget.engines.tracked import without_tracker

TIMES = 3.0
"""Of the median of the differences so far: more than that is astray."""
PATIENCE = 5
"""Trackings in a row."""
LEAST, MOST = 5, 100
"""Differences that a median is taken of: fewer say nothing, and older ones are forgotten."""
VALUES, KNOWN = {"own", "watch"}, {"away", "astray", "lost", "best"}
BEST, REFERENCE = "watch.best", "watch.reference."
INCOMPLETE = "what is remembered of lost handles is incomplete, or of another edit"


@dataclasses.dataclass(frozen=True, eq=False)
class Best:
    """The best state of a run, while all handles were surely found."""

    latent: Tensor
    handles: Mapping[int, XY]
    left: float
    """Pixels to go, root mean square."""


@dataclasses.dataclass(frozen=True, eq=False)
class Watched:
    """What is remembered between two steps."""

    own: Any
    """What the engine itself remembers."""
    references: Mapping[int, Tensor] = dataclasses.field(default_factory=dict)
    """Point → the features (C,) that were grabbed."""
    away: Mapping[int, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    """Point → how much its features differed from these, of trackings that were not astray."""
    astray: Mapping[int, int] = dataclasses.field(default_factory=dict)
    """Point → trackings in a row that were."""
    best: Best | None = None
    """None before the first step of a run."""
    lost: tuple[int, ...] = ()
    """Points by which the run ended."""


class BoundWatched(Around[Watched]):
    """A bound engine whose run ends when a handle is lost.

    :param own: the engine, bound, perhaps with another tracker. :param blocks: whose features are compared.
    """

    def __init__(self, own: Bound[Any], blocks: tuple[int, ...]) -> None:
        super().__init__(own)
        self.blocks = blocks
        self._stored: tuple[Best, Best] | None = None

    # --- what an engine does -----------------------------------------------------------------------------------------

    def begin(self, edit: Edit) -> Watched:
        """Return the memory at the first step from ``edit``."""
        return Watched(self.own.begin(edit))

    def adapt(self, before: Edit, after: Edit, memory: Any) -> Watched:
        """Return the memory for ``after``, in which a new run begins: what was grabbed stays known, of points that are
        on the same content.
        """
        mine = isinstance(memory, Watched)
        own = self.own.adapt(before, after, memory.own if mine else memory)
        if not mine or after.latent is not before.latent or after.origin is not before.origin:
            return Watched(own)
        same = {point.id for point in after.points if point.id in before.ids and point.stays(before.point(point.id))}
        channels = channel_count(self.model, self.blocks)
        kept = {n: each for n, each in memory.references.items() if n in same and len(each) == channels}
        return Watched(own, kept)

    def advance(self, edit: Edit, memory: Watched, at_most: int | None = 1) -> list[Step[Watched]]:  # noqa: ARG002
        """Return the next step. :raises ValueError: as the engine does. :raises DivergedError: likewise."""
        memory = self._begun(edit, memory)
        (step,) = self.own.advance(edit, memory.own, 1)
        return [self._watched(memory, step)]

    def advance_by(self, edit: Edit, memory: Watched, look: Callable[[Tensor], np.ndarray]) -> Step[Watched]:
        """Return the next step, in which ``look`` finds the handles; see ``Bound.advance_by``."""
        memory = self._begun(edit, memory)
        return self._watched(memory, self.own.advance_by(edit, memory.own, look))

    def verdict(self, edit: Edit, memory: Watched) -> Verdict | None:
        """Return "stalled" once a handle is lost, and else what the engine says."""
        return "stalled" if memory.lost else self.own.verdict(edit, memory.own)

    def lost(self, edit: Edit, memory: Watched) -> tuple[int, ...]:  # noqa: ARG002
        """Return the points by which the run ended."""
        return memory.lost

    # --- who is lost -------------------------------------------------------------------------------------------------

    def _begun(self, edit: Edit, memory: Watched) -> Watched:
        if memory.lost:  # somebody goes on all the same
            memory = Watched(memory.own)
        new = [point for point in edit.points if point.id not in memory.references]
        if new:
            found = self._read(edit.latent, np.array([point.handle for point in new]))
            added = {point.id: each for point, each in zip(new, found, strict=True)}
            memory = dataclasses.replace(memory, references={**memory.references, **added})
        return memory if memory.best is not None else dataclasses.replace(memory, best=_state_of(edit))

    def _watched(self, memory: Watched, step: Step[Any]) -> Step[Watched]:
        if _looks_later(step.memory):
            return dataclasses.replace(step, memory=dataclasses.replace(memory, own=step.memory))
        edit, away, astray = step.edit, dict(memory.away), dict(memory.astray)
        for point, features in zip(edit.points, self._read(edit.latent, edit.handles), strict=True):
            before = away.get(point.id, ())
            now = float((features - memory.references[point.id]).norm())
            strays = is_astray(now, before)
            astray[point.id] = astray.get(point.id, 0) + 1 if strays else 0
            away[point.id] = before if strays else (*before, now)[-MOST:]
        best, here = memory.best, _state_of(edit)
        assert best is not None
        if not any(astray[number] for number in edit.ids) and here.left < best.left:
            best = here
        lost = tuple(number for number in edit.ids if astray[number] >= PATIENCE)
        if not lost:
            after = Watched(step.memory, memory.references, away, astray, best)
            return dataclasses.replace(step, memory=after)
        points = tuple(dataclasses.replace(point, handle=best.handles[point.id]) for point in edit.points)
        kept = dataclasses.replace(edit, latent=best.latent, points=points)
        own = self.own.adapt(edit, kept, step.memory)
        report = {**step.report, "lost": list(lost)}
        return dataclasses.replace(step, edit=kept, memory=Watched(own, lost=lost), report=report)

    def _read(self, latent: Tensor, xy: np.ndarray) -> Tensor:
        with torch.inference_mode(mode=False), torch.no_grad():
            places = torch.from_numpy(np.ascontiguousarray(xy))
            return self.model.sample_features(latent.detach().clone(), self.blocks, places)

    # --- what files, histories and people are told -------------------------------------------------------------------

    def pack(self, memory: Watched) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what the engine packs, what was grabbed, and the course of the run."""
        tensors, values = self.own.pack(memory.own)
        for number, reference in memory.references.items():
            tensors[f"{REFERENCE}{number}"] = reference
        best = None
        if memory.best is not None:
            tensors[BEST] = memory.best.latent
            best = [memory.best.left, [[number, *xy] for number, xy in sorted(memory.best.handles.items())]]
        watch = {
            "away": [[number, list(each)] for number, each in sorted(memory.away.items())],
            "astray": [[number, each] for number, each in sorted(memory.astray.items())],
            "lost": list(memory.lost),
            "best": best,
        }
        return tensors, {"own": values, "watch": watch}

    def unpack(self, edit: Edit, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Watched:
        """Return the memory again. :raises ValueError: if something is missing or does not fit edit or model."""
        watch = values.get("watch")
        if set(values) != VALUES or not isinstance(watch, Mapping) or set(watch) != KNOWN:
            raise ValueError(INCOMPLETE)
        mine = {name for name in tensors if name == BEST or name.startswith(REFERENCE)}
        own = self.own.unpack(edit, {name: each for name, each in tensors.items() if name not in mine}, values["own"])
        try:
            away = {number: tuple(_length(each) for each in found) for number, found in watch["away"]}
            astray = {number: _count(each) for number, each in watch["astray"]}
            lost = tuple(_count(each) for each in watch["lost"])
            best = None if watch["best"] is None else self._best(edit, tensors[BEST], *watch["best"])
            references = {int(name.removeprefix(REFERENCE)): tensors[name] for name in mine - {BEST}}
        except (LookupError, TypeError) as error:
            raise ValueError(INCOMPLETE) from error
        if not {*away, *astray, *lost, *references} <= set(edit.ids) or not set(away) <= set(references):
            raise ValueError(INCOMPLETE)
        channels, like = channel_count(self.model, self.blocks), edit.latent
        for each in references.values():
            if tuple(each.shape) != (channels,) or each.dtype != like.dtype or not torch.isfinite(each).all():
                raise ValueError("the features of a point are not those of this generator")
        references = {number: each.to(like.device) for number, each in references.items()}
        return Watched(own, references, away, astray, best, lost)

    def _best(self, edit: Edit, latent: Tensor, left: Any, handles: Any) -> Best:
        places = {number: check_xy("a handle", xy, self.model.resolution) for number, *xy in handles}
        if set(places) != set(edit.ids):
            raise ValueError(INCOMPLETE)
        return Best(self.model.space.check(latent), places, _length(left))

    def compact(self, memory: Watched) -> Watched:
        """Return the memory with the engine's in the form that a history keeps, and the best state off the device."""
        return dataclasses.replace(memory, own=self.own.compact(memory.own), best=self._off_the_device(memory.best))

    def expand(self, edit: Edit, kept: Any) -> Watched:
        """Return the memory again, its best state on the device."""
        memory = super().expand(edit, kept)
        best = memory.best
        if best is None or best.latent.device == edit.latent.device:
            return memory
        return dataclasses.replace(memory, best=dataclasses.replace(best, latent=best.latent.to(edit.latent.device)))

    def _off_the_device(self, best: Best | None) -> Best | None:
        """Return the best state with its latent in the processor's memory: once, for records of many steps share it."""
        if best is None or best.latent.device.type == "cpu":
            return best
        if self._stored is None or self._stored[0] is not best:
            self._stored = best, dataclasses.replace(best, latent=best.latent.cpu())
        return self._stored[1]


def is_astray(now: float, before: tuple[float, ...]) -> bool:
    """Return whether a difference of features is too large beside those ``before``."""
    return len(before) >= LEAST and now > TIMES * float(np.median(before))


def with_watch(bound: Bound[Any], engine: Bound[Any]) -> Bound[Any]:
    """Return a bound engine as its setting ``on_lost`` wants it. :param engine: the same without another tracker."""
    if getattr(bound.settings, "on_lost", "go_on") != "stop":
        return bound
    blocks: tuple[int, ...] = tuple(getattr(engine, "blocks", ())) or (bound.model.default_block(),)
    return BoundWatched(bound, blocks)


def bare(memory: Any, bound: Bound[Any]) -> Any:
    """Return a memory as ``bound``, of the same engine, can adapt it: without what it puts around the engine's own."""
    if not isinstance(bound, BoundWatched):
        return without_tracker(memory.own if isinstance(memory, Watched) else memory, bound)
    if isinstance(memory, Watched):
        return dataclasses.replace(memory, own=without_tracker(memory.own, bound.own))
    return without_tracker(memory, bound.own)


def _looks_later(memory: Any) -> bool:
    """Return whether handles were not looked for in the step that left this: some engines take several between."""
    while hasattr(memory, "own"):
        memory = memory.own
    return bool(getattr(memory, "turn", 0))


def _state_of(edit: Edit) -> Best:
    left = float(np.sqrt(np.square(edit.distances).mean()))
    return Best(edit.latent, {point.id: point.handle for point in edit.points}, left)


def _length(value: Any) -> float:
    if type(value) not in (int, float) or not (math.isfinite(value) and value >= 0):
        raise ValueError(INCOMPLETE)
    return float(value)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(INCOMPLETE)
    return value
