"""A method whose handles another tracker looks for: any engine that takes trackers, with the setting ``tracker``.

What the method remembers is carried along with the trackers. Points whose content was taken from one picture share one
tracker; a point that is put elsewhere is taken anew, by another.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.config import DragConfig
from draggan_widget.engines.around import Around
from draggan_widget.engines.base import Bound, Step, Verdict
from draggan_widget.engines.trackers import Sight, Tracker, make
from draggan_widget.settings import OWN

if TYPE_CHECKING:
    from draggan_widget.engines.edit import Edit
    from draggan_widget.models import Generator

VALUES = {"own", "tracker", "tracks"}
PREFIX = "tracker."
SEARCH = ("tracking_radius", "window", "several_blocks")
"""Settings by which a tracker of features searches for whatever engine."""
INCOMPLETE = "what the tracker remembers is incomplete, or of another edit"


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """A tracker, and whose handles it follows."""

    ids: tuple[int | None, ...]
    """Of its handles, in their order; None for a point that was put elsewhere since, or taken away."""
    tracker: Tracker | None
    """None in a history, which keeps only what it has seen."""
    seen: tuple[Sight, ...] = ()
    """What it goes on from, where there is no tracker."""


@dataclasses.dataclass(frozen=True, eq=False)
class Tracked:
    """What is remembered between two steps."""

    name: str
    """Which tracker."""
    own: Any
    """What the method itself remembers."""
    tracks: tuple[Track, ...] = ()


class BoundTracked(Around[Tracked]):
    """A bound engine whose handles a tracker looks for.

    :param own: the engine, bound. :param tracker: one that has not begun; copies of it are used.
    """

    def __init__(self, own: Bound[Any], name: str, tracker: Tracker) -> None:
        super().__init__(own)
        self._name, self._tracker = name, tracker

    # --- what an engine does -----------------------------------------------------------------------------------------

    def begin(self, edit: Edit) -> Tracked:
        """Return the memory at the first step from ``edit``; what the tracker follows is taken with that step."""
        return Tracked(self._name, self.own.begin(edit))

    def adapt(self, before: Edit, after: Edit, memory: Any) -> Tracked:
        """Return the memory for ``after``; content that nobody touched is followed on.

        :param memory: may be that of the engine by itself, or with another tracker.
        """
        mine = isinstance(memory, Tracked)
        own = self.own.adapt(before, after, memory.own if mine else memory)
        if not mine or memory.name != self._name:
            return Tracked(self._name, own)
        if after.latent is not before.latent or after.origin is not before.origin:
            return Tracked(self._name, own)
        same = {point.id for point in after.points if point.id in before.ids and point.follows(before.point(point.id))}
        kept = [
            dataclasses.replace(
                self._as_set(track), ids=tuple(number if number in same else None for number in track.ids)
            )
            for track in memory.tracks
        ]
        return Tracked(
            self._name, own, tuple(track for track in kept if any(number is not None for number in track.ids))
        )

    def advance(self, edit: Edit, memory: Tracked, at_most: int | None = 1) -> list[Step[Tracked]]:  # noqa: ARG002
        """Return the next step. :raises ValueError: as the engine does, or for a tracker that gives no places."""
        with torch.inference_mode(mode=False):
            followed = self._begun(edit, memory.tracks)
            tracks = [dataclasses.replace(track, tracker=copy.copy(track.tracker)) for track in followed]
            asked = []

            def look(latent: Tensor) -> np.ndarray:
                asked.append(latent)
                return self._found(edit.ids, tracks, latent)

            step = self.own.advance_by(edit, memory.own, look)
            moved = step.edit.latent is not edit.latent
            if moved and not asked:  # the engine knew where its handles are; the tracker sees the picture all the same
                look(step.edit.latent)
        # A step that was not taken leaves the tracker where it was.
        left = tuple(tracks if moved else followed)
        return [dataclasses.replace(step, memory=Tracked(self._name, step.memory, left))]

    def verdict(self, edit: Edit, memory: Tracked) -> Verdict | None:
        """Return the engine's."""
        return self.own.verdict(edit, memory.own)

    def found(self, memory: Tracked, step: Step[Any], handles: np.ndarray) -> Step[Any]:
        """Return the step with its handles elsewhere still."""
        inner = self.own.found(memory.own, dataclasses.replace(step, memory=step.memory.own), handles)
        return dataclasses.replace(inner, memory=dataclasses.replace(step.memory, own=inner.memory))

    # --- who follows what --------------------------------------------------------------------------------------------

    def _begun(self, edit: Edit, tracks: Sequence[Track]) -> list[Track]:
        """Return the tracks, awake, and one more for points that nobody follows yet."""
        awake = [track if track.tracker is not None else self._resumed(track.ids, track.seen) for track in tracks]
        known = {number for track in awake for number in track.ids}
        new = [point for point in edit.points if point.id not in known]
        if not new:
            return awake
        tracker = copy.copy(self._tracker)
        tracker.begin(self.model, edit.latent, np.array([point.handle for point in new]))
        return [*awake, Track(tuple(point.id for point in new), tracker)]

    def _as_set(self, track: Track) -> Track:
        """Return a track that goes on by the settings of now: a tracker of others is made anew when it is asked."""
        if track.tracker is None or _search(track.tracker) == _search(self._tracker):
            return track
        return dataclasses.replace(track, tracker=None, seen=_seen(track))

    def _resumed(self, ids: tuple[int | None, ...], seen: Sequence[Sight]) -> Track:
        tracker = copy.copy(self._tracker)
        tracker.resume(self.model, seen)
        return Track(ids, tracker)

    def _found(self, ids: Sequence[int], tracks: Sequence[Track], latent: Tensor) -> np.ndarray:
        """Return where the handles of points (N,) are in the picture of a latent, (N, 2)."""
        found: dict[int, np.ndarray] = {}
        for track in tracks:
            assert track.tracker is not None
            places = track.tracker.track(self.model, latent)
            found.update((number, place) for number, place in zip(track.ids, places, strict=True) if number is not None)
        return np.array([found[number] for number in ids])

    # --- what files, histories and people are told -------------------------------------------------------------------

    def pack(self, memory: Tracked) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what the engine packs, and of each tracker the latents and places that it goes on from."""
        tensors, values = self.own.pack(memory.own)
        tracks = []
        for number, track in enumerate(memory.tracks):
            seen = _seen(track)
            tensors[f"{PREFIX}{number}"] = torch.stack([latent for latent, _ in seen])
            tracks.append([list(track.ids), [handles.tolist() for _, handles in seen]])
        return tensors, {"own": values, "tracker": self._name, "tracks": tracks}

    def unpack(self, edit: Edit, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Tracked:
        """Return the memory again. :raises ValueError: if something is missing or does not fit edit or model."""
        if set(values) != VALUES or values["tracker"] != self._name or not isinstance(values["own"], Mapping):
            raise ValueError(INCOMPLETE)
        if not isinstance(values["tracks"], list):
            raise ValueError(INCOMPLETE)
        names = [f"{PREFIX}{number}" for number in range(len(values["tracks"]))]
        rest = {name: tensor for name, tensor in tensors.items() if not name.startswith(PREFIX)}
        if {name for name in tensors if name.startswith(PREFIX)} != set(names):
            raise ValueError(INCOMPLETE)
        own = self.own.unpack(edit, rest, values["own"])
        tracks = tuple(
            self._track(edit, entry, tensors[name]) for entry, name in zip(values["tracks"], names, strict=True)
        )
        followed = [number for track in tracks for number in track.ids if number is not None]
        if len(set(followed)) < len(followed):
            raise ValueError(INCOMPLETE)
        return Tracked(self._name, own, tracks)

    def _track(self, edit: Edit, entry: Any, latents: Tensor) -> Track:
        """Return a track out of a file. :raises ValueError: if it is none."""
        if not isinstance(entry, list) or len(entry) != 2 or not all(isinstance(part, list) for part in entry):
            raise ValueError(INCOMPLETE)
        ids, places = entry
        if not all(number is None or (type(number) is int and number in edit.ids) for number in ids):
            raise ValueError(INCOMPLETE)
        if latents.shape[1:] != edit.latent.shape or len(latents) != len(places):
            raise ValueError(INCOMPLETE)
        seen = []
        for latent, handles in zip(latents, places, strict=True):
            self.model.space.check(latent)
            try:
                where = np.array(handles, dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise ValueError(INCOMPLETE) from error
            if where.shape != (len(ids), 2) or not np.isfinite(where).all():
                raise ValueError(INCOMPLETE)
            seen.append((latent.detach(), where))
        with torch.inference_mode(mode=False):
            return self._resumed(tuple(ids), seen)

    def compact(self, memory: Tracked) -> Tracked:
        """Return the memory with what trackers have seen in the place of their pictures and features."""
        tracks = tuple(Track(track.ids, None, _seen(track)) for track in memory.tracks)
        return Tracked(memory.name, self.own.compact(memory.own), tracks)


def with_tracker(own: Bound[Any], takes_trackers: bool) -> Bound[Any]:
    """Return a bound engine as its settings want it: as it is, or with the tracker that they name.

    :raises ValueError: in one sentence, if that tracker cannot be had, or cannot serve the model.
    """
    name = getattr(own.settings, "tracker", OWN) if takes_trackers else OWN
    if name == OWN and getattr(own.settings, "window", "fixed") == "adaptive":
        # These engines look for the nearest features by themselves, of the blocks that they read.
        name = f"features:{'+'.join(map(str, getattr(own, 'blocks', ())))}"
    if name == OWN:
        return own
    try:
        tracker = make(name, search_of(own.model, own.settings))
        tracker.check(own.model)
    except (ImportError, OSError, ValueError) as error:
        raise ValueError(f"tracker is {name}: {error}") from error
    return BoundTracked(own, name, tracker)


def without_tracker(memory: Any, bound: Bound[Any]) -> Any:
    """Return a memory as ``bound`` can adapt it: without trackers, if that engine tracks by itself."""
    return memory.own if isinstance(memory, Tracked) and not isinstance(bound, BoundTracked) else memory


def search_of(model: Generator, settings: Any) -> DragConfig:
    """Return the settings by whose method and radius a tracker of features searches for an engine."""
    if isinstance(settings, DragConfig):
        return settings
    carried = getattr(model, "drag_config", None) or DragConfig()
    return carried.replace(**{name: getattr(settings, name) for name in SEARCH if hasattr(settings, name)})


def searched_by(config: DragConfig) -> tuple[Any, ...]:
    """Return what a tracker of features goes by, of the settings that ``search_of`` gives."""
    return tuple(getattr(config, name) for name in ("method", "block", *SEARCH))


def _search(tracker: Tracker) -> tuple[Any, ...]:
    """Return what a tracker goes by, of the settings that it was made with; () where it goes by none."""
    config = getattr(tracker, "config", None)
    return () if config is None else searched_by(config)


def _seen(track: Track) -> tuple[Sight, ...]:
    return track.seen if track.tracker is None else track.tracker.seen()
