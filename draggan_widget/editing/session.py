"""One edit over time: points, mask and latent, runs that pull, undo and redo; all of it on one worker thread.

Every method that changes the edit may be called from any thread: it leaves a job for the worker and returns its
future. The worker applies jobs in order, between two steps of a run, and publishes an immutable ``Snapshot`` after
every change and every step.

A session has its parts in files of their own, each built on the one before: ``core``, ``runs``, ``timeline``,
``beginnings``, and here points, mask and settings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from draggan_widget.editing.automask import suggest_mask
from draggan_widget.editing.beginnings import Beginnings
from draggan_widget.editing.settings import settings_for, with_settings
from draggan_widget.engines import XY, engine_of

READY = "Ready. Press Start and the picture follows."

FLOOD = 64
"""Waiting commands from which on also moves are taken together that are gestures of their own."""


@dataclasses.dataclass(frozen=True)
class _Move:
    number: int
    handle: XY | None
    target: XY | None
    pulling: bool


class Session(Beginnings):
    """An edit of one generator's pictures. See the module's docstring for threads.

    :param model: the generator whose latents are edited, or a ``Model``, which has a name; from now on only the worker
        uses it.
    :param seed: of the first picture. :param truncation: of the first picture. :param label: its class; None for the
        first one, where there are classes. :param config: settings of any engine; None for the generator's own.
    :param speed: largest number of steps a second; None for no limit.
    :param on_change: called in the worker thread with every new snapshot.
    :param on_notice: called in the worker thread with a sentence when a command could not be carried out.
    :param attended: whether anybody looks; asked in the worker thread. A run that a view started pauses when not.
    """

    # --- points ----------------------------------------------------------------------------------------------------

    def put_point(
        self, number: int, *, handle: XY | None = None, target: XY | None = None, pulling: bool = False
    ) -> Future[None]:
        """Set a point: a new one from ``handle`` and ``target``, or what is given of the one numbered ``number``.

        While ``pulling``, a run waits at the target instead of ending; all that happens from the first such call to
        the first one without it is one step of undo.
        """

        def put_point(move: _Move) -> None:
            number, handle, target, pulling = dataclasses.astuple(move)
            shown = self._now if self._look is None or self._gesture else self._look
            known = number in shown.drag.ids
            if not known and (handle is None or target is None):
                raise ValueError(f"there is no point {number}; give its handle and its target")
            if not self._gesture:
                self._begin_edit(_move_named(number, handle, known=known))
            self._look = None
            self._gesture = self._pulling = pulling
            self._apply_point(number, handle, target, known=known)
            self._say_ready()
            self._publish()
            self._end_if_over()

        given = _Move(number, handle, target, pulling)
        return self._command(put_point, kind=("edit", number), value=given, join=self._joined)

    def _joined(self, earlier: _Move, later: _Move) -> _Move | None:
        """Two moves of a point as one, where they are of one gesture, or where far too many wait."""
        if not earlier.pulling and (later.pulling or self._worker.waiting < FLOOD):
            return None
        return dataclasses.replace(later, handle=later.handle or earlier.handle, target=later.target or earlier.target)

    def remove_points(self, numbers: Iterable[int]) -> Future[None]:
        """Delete points; numbers that are not there are ignored."""

        def remove_points() -> None:
            gone = [number for number in numbers if number in (self._look or self._now).drag.ids]
            if not gone:
                return
            self._gesture = False
            self._begin_edit(f"removal of {f'point {gone[0]}' if len(gone) == 1 else f'{len(gone)} points'}")
            self._pulling = False
            self._drop_points(gone)
            self._publish()
            self._end_if_over()

        return self._command(remove_points)

    def set_points(self, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Future[None]:
        """Apply what differs between two lists of checked points; what is the same stays as it is tracked."""

        def set_points() -> None:
            old = {point["id"]: point for point in before}
            new = {point["id"]: point for point in after}
            if old == new:
                return
            self._begin_edit("points")
            self._drop_points([number for number in self._now.drag.ids if number not in new])
            for number, point in new.items():
                known = number in self._now.drag.ids
                same = old.get(number, {}) if known else {}
                handle, target = (
                    None if point[part] == same.get(part) else tuple(point[part]) for part in ("handle", "target")
                )
                self._apply_point(number, handle, target, known=known)
            self._say_ready()
            self._publish()
            self._end_if_over()

        return self._command(set_points)

    # --- mask and settings -----------------------------------------------------------------------------------------

    def set_mask(self, mask: np.ndarray | None) -> Future[None]:
        """Take a checked mask (H, W), 1 = may move; None = everything may."""
        return self._command(lambda: self._take_mask(mask, "mask" if mask is not None else "clearing of the mask"))

    def suggest_mask(self) -> Future[None]:
        """Take the mask that the points suggest. See ``automask``."""

        def suggest() -> None:
            drag = (self._look or self._now).drag
            if not drag.ids:
                raise ValueError("there are no points yet, so no mask can be suggested; set some first")
            starts = np.array([point.start for point in drag.points])
            self._take_mask(
                suggest_mask(starts, drag.handles, drag.targets, self.generator.resolution), "suggested mask"
            )

        return self._command(suggest)

    def set_config(self, config: Any) -> Future[None]:
        """Other settings, of this engine or another, from the next step on."""

        def set_config() -> None:
            self._take_config(config)
            self._publish()

        return self._command(set_config)

    def set_settings(self, values: Mapping[str, Any]) -> Future[None]:
        """Some settings by name, from the next step on; None is the generator's own. See ``settings``."""

        def set_settings(values: Mapping[str, Any]) -> None:
            config, speed = with_settings(self.generator, self._config, self._speed, values)
            self._take_config(config)
            self._speed = speed
            if self._run is not None:
                self._run.due = 0.0
                self._run.ends.clear()
            self._publish()

        def join(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Mapping[str, Any] | None:
            # What was asked for before another engine was chosen is not asked of that one.
            return None if "engine" in earlier or "engine" in later else {**earlier, **later}

        return self._command(set_settings, kind=("edit", "settings"), value=values, join=join)

    def reset_settings(self) -> Future[None]:
        """All settings as the generator has them."""
        return self.set_settings({name: None for name in settings_for(self._config) if name != "engine"})

    # --- in the worker thread --------------------------------------------------------------------------------------

    def _take_mask(self, mask: np.ndarray | None, done: str) -> None:
        self._begin_edit(done)
        self._change(("mask", mask), drag=self._now.drag.with_mask(mask), mask=mask)
        self._publish()

    def _take_config(self, config: Any) -> None:
        if engine_of(config) is not engine_of(self._config):
            drag = self._now.drag.with_config(config)  # before anything is stopped, since it may refuse
            self._stop()
            self._begin_edit(f"engine {engine_of(config).name}")
        drag = self._now.drag.with_config(config)
        if config != self._config or drag is not self._now.drag:
            self._change(("config", config), drag=drag)
        self._config = config

    def _apply_point(self, number: int, handle: XY | None, target: XY | None, *, known: bool) -> None:
        drag = self._now.drag
        if not known:
            assert handle is not None
            assert target is not None
            self._change(
                ("add", number, handle, target),
                drag=drag.add_point(number, handle, target),
            )
            return
        if handle is not None:
            drag = drag.move_handle(number, handle)
            self._change(("handle", number, handle), drag=drag)
        if target is not None:
            self._change(("target", number, target), drag=drag.move_target(number, target))

    def _say_ready(self) -> None:
        """Points were set, and nothing runs: what a run before came to is no longer what matters."""
        if self._now.drag.ids and not self._running() and self._status not in ("error", "paused"):
            self._message = READY

    def _drop_points(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._change(("remove", number), drag=self._now.drag.remove_point(number))
        if not self._now.drag.ids:
            self._stop()


def _move_named(number: int, handle: XY | None, *, known: bool) -> str:
    """What a gesture does to a point, as undo names it."""
    if not known:
        return f"pull of point {number}"
    return f"move of handle {number}" if handle is not None else f"move of target {number}"
