"""The traits of an editor, kept equal to its session's edit from both sides.

What somebody assigns becomes a command of the session. What the session publishes is adopted into the traits. Traits
may only be set on one thread: the one that made the widget, or the worker's where that one has no event loop.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import traitlets

from draggan_widget.editing import Session, Snapshot, check_label, check_points, check_truncation
from draggan_widget.engines import check_mask, engine_named, engine_names, engine_of
from draggan_widget.models import check_seed
from draggan_widget.settings import as_whole
from draggan_widget.settings import shown as in_short
from draggan_widget.widget.engine_settings import (
    ALL,
    SETTING_TRAITS,
    Mirrored,
    WithSettings,
    settings_told,
    trait_error,
)

log = logging.getLogger(__name__)
ADOPT_EVERY = 0.1
"""Seconds between adoptions while a run is on: each is a message to the page, which nobody may be there to take."""


class Told(Mirrored):
    """A trait that only the session sets.

    Reading it on the widget's own thread takes in what the session told last. So a loop in a cell that waits for it to
    change does end.

    :param instead: what to do where one would like to assign it.
    """

    def __init__(self, default: Any, instead: str, help: str) -> None:
        super().__init__(default, help=help)
        self._instead = instead

    def get(self, obj: Any, cls: Any = None) -> Any:
        """Return its value."""
        obj._refresh()
        return super().get(obj, cls)

    def set(self, obj: Any, value: Any) -> None:
        """Take what the session says."""
        if obj._by_user(self.name):
            raise traitlets.TraitError(f"{self.name} is read-only: {self._instead}")
        super().set(obj, value)


class EditTraits(WithSettings):
    """An anywidget with the traits of an edit. A subclass sets ``_session`` before this one's constructor runs, and
    calls ``_mirror`` with every snapshot.

    Assigned traits take effect or raise ``TraitError``. The settings of the drag, such as ``learning_rate``, are traits
    by their names; None takes the model's own again.
    """

    points: Any = traitlets.List(help='[{"id": 1, "handle": [x, y], "target": [x, y]}, …]').tag(sync=True)
    status = Told("idle", "use start() and stop()", "idle running paused arrived stalled capped stopped error")
    step = Told(0, "use start(), step_once() and branch(step)", "steps done since the edit began")
    shown = Mirrored(
        None,
        lambda value: None if value is None else _check_step(value),
        "the step that is looked at, or the nearest before it that is kept; None: the newest",
    )
    seed = Mirrored(0, check_seed, "of the picture the edit began with; None if it did not come from one")
    truncation = Mirrored(0.7, check_truncation, "of the picture the edit began with")
    label = Mirrored(None, help="class of that picture; None without classes")
    classes = traitlets.Int(0, read_only=True, help="how many classes the model has; 0 for none")
    model = traitlets.Unicode("", read_only=True, help="name of the model; load_model takes another")
    engine = Mirrored(engine_names()[0], lambda name: engine_named(name).name, "name of the method that pulls")
    first = Mirrored(None, help="name of the engine that makes the first step of a run, a jump; None: no jump")
    provenance = traitlets.Bool(True, help="whether saved files say that they were made by a machine").tag(sync=True)
    settled = traitlets.Int(0, help="another number whenever a page sees the edit come to rest").tag(sync=True)
    still = traitlets.Bytes(b"", read_only=True, help="a picture for pages without a kernel, JPEG or PNG").tag(
        sync=True
    )
    mask = traitlets.Any(None, allow_none=True, help="(H, W), 1 = may move; None = everything may")

    _session: Session

    def __init__(self, **traits: Any) -> None:
        # Until the constructor is through, values are those the session has already.
        self._adopting = (threading.get_ident(), ALL)
        self._adoption = 0
        self._adopted: Snapshot | None = None
        self._loop, self._thread = _running_loop(), threading.get_ident()
        self._assignments: list[Future[None]] = []
        self._points_taken: list[dict[str, Any]] = []
        self._mask_taken: np.ndarray | None = None
        self._adoption_due = False
        self._adopted_at = 0.0
        self._untraited: dict[str, Any] = {}
        known = {name for name, trait in self.traits().items() if not (trait.read_only or isinstance(trait, Told))}
        if unknown := sorted(set(traits) - (known - {"shown"})):
            raise TypeError(f"{type(self).__name__} takes no {', '.join(unknown)}")
        snapshot = self._session.latest
        told = _told(snapshot)
        fixed = {name: told.pop(name) for name in ("classes", "model")}
        told = {name: value for name, value in told.items() if self.has_trait(name)}
        super().__init__(**traits, **told)
        for name, value in fixed.items():
            self.set_trait(name, value)
        self._untraited = {name: value for name, value in settings_told(snapshot).items() if name not in SETTING_TRAITS}
        self._adopted = snapshot
        self._adopting = None

    @property
    def _resolution(self) -> tuple[int, int]:
        return self._session.latest.model.generator.resolution

    # --- from the user to the session ------------------------------------------------------------------------------

    @traitlets.validate("points")
    def _take_points(self, proposal: Any) -> list[dict[str, Any]]:
        points: list[dict[str, Any]] = proposal["value"]
        # Here and not in an observer: a list that was changed in place and set again equals itself.
        if self._by_user("points"):
            points = trait_error(check_points, points, self._resolution)
            self._assign(self._session.set_points(self._points_taken, points))
        self._points_taken = copy.deepcopy(points)
        return points

    @traitlets.validate("mask")
    def _valid_mask(self, proposal: Any) -> Any:
        # What the session holds was checked when it got there.
        return (
            trait_error(check_mask, proposal["value"], self._resolution) if self._by_user("mask") else proposal["value"]
        )

    @traitlets.observe("mask")
    def _take_mask(self, change: Any) -> None:
        if self._by_user("mask"):
            self._mask_taken = change["new"]
            self._assign(self._session.set_mask(change["new"]))

    @traitlets.validate("shown")
    def _valid_shown(self, proposal: Any) -> int | None:
        step: int | None = proposal["value"]
        last = self._session.latest.step
        if step is not None and step > last and self._by_user("shown"):
            raise traitlets.TraitError(f"shown is {step}; the edit has steps 0 to {last}; None shows the newest")
        return step

    @traitlets.observe("shown")
    def _take_shown(self, change: Any) -> None:
        if self._by_user("shown"):
            self._assign(self._session.look(change["new"]))

    @traitlets.validate(*SETTING_TRAITS)
    def _valid_setting(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        if value is None and self._by_user(name) and getattr(self, name) is None:
            # No change, and yet the model's own may be another: "no cap" and "the model's cap" are both None.
            self._assign(self._session.set_settings({name: None}))
        return value

    @traitlets.validate("engine")
    def _take_engine(self, proposal: Any) -> str:
        name: str = proposal["value"]
        if self._by_user("engine") and name != self._engine_there():
            # Carried out here, so that the next line of a cell finds the settings of the other engine.
            trait_error(self._carry_out, self._session.set_settings({"engine": name}))
        return name

    @traitlets.validate("first")
    def _take_first(self, proposal: Any) -> str | None:
        value = proposal["value"]
        if not self._by_user("first"):
            taken: str | None = value
            return taken
        trait_error(self._carry_out, self._session.set_first(value))
        return value if value is None or isinstance(value, str) else engine_of(value).name

    @traitlets.observe(*SETTING_TRAITS)
    def _take_setting(self, change: Any) -> None:
        if self._by_user(change["name"]):
            self._assign(self._session.set_settings({change["name"]: change["new"]}))

    @traitlets.validate("truncation")
    def _valid_truncation(self, proposal: Any) -> Any:
        if self._by_user("truncation"):
            self._need_seed("truncation")
        return proposal["value"]

    @traitlets.validate("label")
    def _valid_label(self, proposal: Any) -> int | None:
        label: int | None = proposal["value"]
        if not self._by_user("label"):
            return label
        classes = self._session.latest.model.classes
        if label is None and classes:
            raise traitlets.TraitError(f"label is None; it must be a whole number from 0 to {classes - 1}")
        checked = trait_error(check_label, label, classes)
        self._need_seed("class")
        return checked

    def _need_seed(self, what: str) -> None:
        if self._session.latest.document.seed is None:
            raise traitlets.TraitError(f"this picture did not come from a seed, so it has no {what}; set a seed first")

    @traitlets.observe("seed")
    def _take_seed(self, change: Any) -> None:
        if self._by_user("seed"):
            self._assign(self._session.new_image(seed=change["new"], truncation=self.truncation))

    @traitlets.observe("truncation")
    def _take_truncation(self, change: Any) -> None:
        if self._by_user("truncation"):
            self._assign(self._session.retruncate(change["new"]))

    @traitlets.observe("label")
    def _take_label(self, change: Any) -> None:
        if self._by_user("label"):
            self._assign(self._session.relabel(change["new"]))

    def _assign(self, command: Future[None]) -> None:
        """Keep what was assigned until its command is carried out; then adopt what became of it."""
        self._assignments.append(command)
        schedule = weakly(self._schedule_adoption)
        command.add_done_callback(lambda _: schedule())

    # --- from the session to the user ------------------------------------------------------------------------------

    def observe(self, handler: Callable[..., Any], names: Any = traitlets.All, type: Any = "change") -> None:
        """Have ``handler`` called with changes of traits, as in traitlets. What it raises while the traits follow the
        session is logged: neither the run nor other observers suffer from it.
        """
        of_class = isinstance(handler, traitlets.EventHandler)
        super().observe(handler if of_class else _Guarded(handler, weakref.ref(self)), names, type)

    def _mirror(self, snapshot: Snapshot, way: float) -> None:
        """Have a snapshot adopted; called in the worker's thread. Of steps that are too fast for that only the last is.

        :param way: seconds to the page and back; what is adopted travels it, and must not queue up there.
        """
        if snapshot.settled or time.monotonic() - self._adopted_at >= max(ADOPT_EVERY, way):
            self._schedule_adoption()

    @property
    def _looped(self) -> bool:
        """Whether there is an event loop, on whose thread traits are set; else they are on the worker's."""
        return self._loop is not None and not self._loop.is_closed()

    def _schedule_adoption(self) -> None:
        adopt = weakly(self._adopt)
        if not self._looped:
            self._session.soon(adopt)
        elif not self._adoption_due:
            self._adoption_due = True
            assert self._loop is not None
            self._loop.call_soon_threadsafe(adopt)

    def _refresh(self, *, assigning: bool = False) -> None:
        """Adopt what the session has told, if this is the thread that may set traits.

        :param assigning: whether somebody is about to assign a trait, which is then compared with what holds.
        """
        mine = self._adopting is None and self._looped and threading.get_ident() == self._thread
        if mine and (self._adoption_due or (assigning and self._adopted is not self._session.latest)):
            self._adopt()

    def _carry_out(self, command: Future[None]) -> None:
        """Wait until a command is carried out and the traits show its effect. Raise what it raised.

        The worker's thread, where observers run that have no event loop, cannot wait for itself.
        """
        if not self._session.wait_for(command):
            return
        if not self._looped:
            self._session.read(self._adopt)
        elif threading.get_ident() == self._thread:
            self._adopt()

    def _adopt(self) -> None:
        self._adoption_due = False
        self._assignments = [command for command in self._assignments if not command.done()]
        if self._assignments:
            return  # its end will adopt; now it would take back what was just assigned
        self._adopted_at = time.monotonic()
        self._adoption += 1
        mine = self._adoption
        snapshot = self._adopted = self._session.latest
        adopted = _told(snapshot)
        if snapshot.document.mask is not self._mask_taken:
            adopted["mask"] = snapshot.document.mask
        with self.hold_sync():
            for name, value in adopted.items():
                if self._adoption != mine:
                    return  # an observer had newer ones adopted
                if name == "mask":
                    self._mask_taken = value
                before, self._adopting = self._adopting, (threading.get_ident(), name)
                try:
                    if self.has_trait(name):
                        self.set_trait(name, value)
                    else:
                        self._say_changed(name, value)
                except Exception:  # the others are to follow all the same
                    log.exception("the trait %s could not be set", name)
                finally:
                    self._adopting = before


class _Guarded:
    """An observer whose exceptions are logged while its widget adopts what the session says."""

    def __init__(self, handler: Callable[..., Any], widget: weakref.ref[EditTraits]) -> None:
        self._handler, self._widget = handler, widget

    # So that it is found by the handler itself when that is to be taken off again.
    def __eq__(self, other: object) -> bool:
        return bool(self._handler == (other._handler if isinstance(other, _Guarded) else other))

    def __hash__(self) -> int:
        return hash(self._handler)

    def __call__(self, change: Any) -> Any:
        widget = self._widget()
        if widget is None or widget._by_user(change["name"]):
            return self._handler(change)
        try:
            return self._handler(change)
        except KeyboardInterrupt:
            if threading.current_thread() is threading.main_thread():
                raise  # somebody interrupts the cell
            log.exception("an observer of %s was interrupted; the edit goes on", change["name"])
        except (Exception, SystemExit):
            log.exception("an observer of %s failed; the edit goes on", change["name"])
        return None


def _told(snapshot: Snapshot) -> dict[str, Any]:
    """Return the traits as a snapshot has them, without the mask."""
    document = snapshot.document
    return {
        "points": [{key: point[key] for key in ("id", "handle", "target")} for point in snapshot.points()],
        "seed": document.seed,
        "truncation": document.truncation,
        "label": document.label,
        "classes": snapshot.model.classes,
        "model": snapshot.model.name,
        "step": snapshot.step,
        "shown": snapshot.shown,
        "status": snapshot.status,
        **settings_told(snapshot),
        "engine": engine_of(document.drag.config).name,
        "first": None if document.first is None else engine_of(document.first).name,
    }


def _check_step(value: Any) -> int:
    step = as_whole(value)
    if step is None or step < 0:
        raise ValueError(f"shown is {in_short(value)}; it must be a step, from 0 on, or None for the newest")
    return step


def weakly(method: Callable[..., Any], otherwise: Any = None) -> Callable[..., Any]:
    """Return a function that calls a bound method, but does not keep its object alive; later it does nothing."""
    reference = weakref.WeakMethod(method)
    del method  # or the function would hold it after all

    def call(*arguments: Any) -> Any:
        alive = reference()
        return otherwise if alive is None else alive(*arguments)

    return call


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
