"""The traits of an editor, kept equal to its session's edit from both sides.

What somebody assigns becomes a command of the session. What the session publishes is adopted into the traits, on the
thread that made the widget, because traits may only be set on one; without an event loop there, on the worker's.
"""

from __future__ import annotations

import asyncio
import copy
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import anywidget
import numpy as np
import traitlets

from draggan_widget.dragging import check_mask
from draggan_widget.editing import Session, Snapshot, check_label, check_points
from draggan_widget.editing.settings import NAMES as SETTINGS
from draggan_widget.editing.settings import settings_of, with_settings
from draggan_widget.generators.base import check_seed
from draggan_widget.widget.protocol import check_truncation

T = TypeVar("T")
ADOPT_EVERY = 0.1
"""Seconds between adoptions while a run is on: each is a message to the page, which nobody may be there to take."""
ALL = "*"


class EditTraits(anywidget.AnyWidget):
    """An anywidget with the traits of an edit. A subclass sets ``_session`` before this one's constructor runs, and
    calls ``_mirror`` with every snapshot.
    """

    points: Any = traitlets.List(help='[{"id": 1, "handle": [x, y], "target": [x, y]}, …]').tag(sync=True)
    status = traitlets.Unicode("idle", help="idle running paused arrived stalled capped stopped error").tag(sync=True)
    step = traitlets.Int(0, help="steps done since the edit began").tag(sync=True)
    shown = traitlets.Int(None, allow_none=True, help="the step that is looked at; None: the newest").tag(sync=True)
    seed = traitlets.Int(0, allow_none=True, help="of the picture the edit began with").tag(sync=True)
    truncation = traitlets.Float(0.7, help="of the picture the edit began with").tag(sync=True)
    label = traitlets.Int(None, allow_none=True, help="class of that picture; None without classes").tag(sync=True)
    classes = traitlets.Int(0, read_only=True, help="how many classes the model has; 0 for none")
    model = traitlets.Unicode("", read_only=True, help="name of the model; load_model takes another")
    learning_rate = traitlets.Float(2e-3, allow_none=True, help="step size; None: the model's own").tag(sync=True)
    edit_layers = traitlets.Int(6, allow_none=True, help="first so many rows are edited; None likewise").tag(sync=True)
    max_steps = traitlets.Int(300, allow_none=True, help="of a run; None likewise").tag(sync=True)
    mask_weight = traitlets.Float(20.0, allow_none=True, help="λ; None likewise").tag(sync=True)
    block: Any = traitlets.Any(None, help="whose features are read, one or several; None likewise").tag(sync=True)
    supervision_radius = traitlets.Float(3.0, allow_none=True, help="r1 at 512 px; None likewise").tag(sync=True)
    tracking_radius = traitlets.Float(12.0, allow_none=True, help="r2 at 512 px; None likewise").tag(sync=True)
    space = traitlets.Unicode("w_plus", allow_none=True, help="w_plus or w; None likewise").tag(sync=True)
    speed = traitlets.Float(None, allow_none=True, help="largest number of steps a second; None: any").tag(sync=True)
    provenance = traitlets.Bool(True, help="whether saved files say that they were made by a machine").tag(sync=True)
    settled = traitlets.Int(0, help="another number whenever a page sees the edit come to rest").tag(sync=True)
    still = traitlets.Bytes(b"", read_only=True, help="a PNG for pages without a kernel").tag(sync=True)
    mask = traitlets.Any(None, allow_none=True, help="(H, W), 1 = may move; None = everything may")

    _session: Session

    def __init__(self, **traits: Any) -> None:
        # Until the constructor is through, values are those the session has already.
        self._adopting: tuple[int, str] | None = (threading.get_ident(), ALL)
        self._loop = _running_loop()
        self._assignments: list[Future[None]] = []
        self._points_taken: list[dict[str, Any]] = []
        self._mask_taken: np.ndarray | None = None
        self._adoption_due = False
        self._adopted_at = 0.0
        known = {name for name, trait in self.traits().items() if not trait.read_only}
        if unknown := sorted(set(traits) - known):
            raise TypeError(f"{type(self).__name__} takes no {', '.join(unknown)}")
        super().__init__(**traits)
        self.set_trait("classes", self._session.latest.model.classes)
        self.set_trait("model", self._session.latest.model.name)
        self._adopting = None

    @property
    def _resolution(self) -> tuple[int, int]:
        return self._session.latest.moment.drag.resolution

    # --- from the user to the session ------------------------------------------------------------------------------

    @traitlets.validate("points")
    def _take_points(self, proposal: Any) -> list[dict[str, Any]]:
        points: list[dict[str, Any]] = proposal["value"]
        # Here and not in an observer: a list that was changed in place and set again equals itself.
        if self._by_user("points"):
            points = _trait_error(check_points, points, self._resolution)
            self._assign(self._session.set_points(self._points_taken, points))
        self._points_taken = copy.deepcopy(points)
        return points

    @traitlets.validate("mask")
    def _valid_mask(self, proposal: Any) -> Any:
        # What the session holds was checked when it got there.
        return (
            _trait_error(check_mask, proposal["value"], self._resolution)
            if self._by_user("mask")
            else proposal["value"]
        )

    @traitlets.observe("mask")
    def _take_mask(self, change: Any) -> None:
        if self._by_user("mask"):
            self._mask_taken = change["new"]
            self._assign(self._session.set_mask(change["new"]))

    @traitlets.validate("shown")
    def _valid_shown(self, proposal: Any) -> int | None:
        step: int | None = proposal["value"]
        if step is not None and step < 0:
            raise traitlets.TraitError(f"shown is {step}; it must be a step, from 0 on, or None for the newest")
        return step

    @traitlets.observe("shown")
    def _take_shown(self, change: Any) -> None:
        if self._by_user("shown"):
            self._assign(self._session.look(change["new"]))

    @traitlets.validate(*SETTINGS)
    def _valid_setting(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        if self._by_user(name):
            now = self._session.latest
            _trait_error(with_settings, now.model.generator, now.moment.drag.config, now.speed, {name: value})
        return value

    @traitlets.observe(*SETTINGS)
    def _take_setting(self, change: Any) -> None:
        if self._by_user(change["name"]):
            self._assign(self._session.set_settings({change["name"]: change["new"]}))

    @traitlets.validate("seed")
    def _valid_seed(self, proposal: Any) -> int:
        return _trait_error(check_seed, proposal["value"])

    @traitlets.validate("truncation")
    def _valid_truncation(self, proposal: Any) -> float:
        if self._by_user("truncation"):
            self._need_seed("truncation")
        return _trait_error(check_truncation, proposal["value"])

    @traitlets.validate("label")
    def _valid_label(self, proposal: Any) -> int | None:
        label: int | None = proposal["value"]
        if not self._by_user("label"):
            return label
        checked = _trait_error(check_label, label, self._session.latest.model.classes)
        self._need_seed("class")
        return checked

    def _need_seed(self, what: str) -> None:
        if self._session.latest.moment.seed is None:
            raise traitlets.TraitError(f"this picture did not come from a seed, so it has no {what}; set a seed first")

    @traitlets.observe("seed")
    def _take_seed(self, change: Any) -> None:
        if not self._by_user("seed"):
            return
        if change["new"] is None:
            self._adopt()
            raise traitlets.TraitError("seed is None; it must be a whole number; set editor.latent for other pictures")
        self._assign(self._session.new_image(seed=change["new"], truncation=self.truncation))

    @traitlets.observe("truncation")
    def _take_truncation(self, change: Any) -> None:
        if self._by_user("truncation"):
            self._assign(self._session.retruncate(change["new"]))

    @traitlets.observe("label")
    def _take_label(self, change: Any) -> None:
        if not self._by_user("label"):
            return
        if change["new"] is None:
            self._adopt()
            classes = self._session.latest.model.classes
            raise traitlets.TraitError(f"label is None; it must be a whole number from 0 to {classes - 1}")
        self._assign(self._session.relabel(change["new"]))

    def _by_user(self, name: str) -> bool:
        """Whether a trait is set by somebody else than ``_adopt``: in an observer, or on another thread meanwhile."""
        adopting = self._adopting
        return adopting is None or adopting[0] != threading.get_ident() or adopting[1] not in (name, ALL)

    def _assign(self, command: Future[None]) -> None:
        """Keep what was assigned until its command is carried out; then adopt what became of it."""
        self._assignments.append(command)
        schedule = weakly(self._schedule_adoption)
        command.add_done_callback(lambda _: schedule())

    # --- from the session to the user ------------------------------------------------------------------------------

    def _mirror(self, snapshot: Snapshot, way: float) -> None:
        """Have a snapshot adopted, in the worker's thread. Steps too fast for that are taken together.

        :param way: seconds to the page and back; what is adopted travels it, and must not queue up there.
        """
        if snapshot.settled or time.monotonic() - self._adopted_at >= max(ADOPT_EVERY, way):
            self._schedule_adoption()

    def _schedule_adoption(self) -> None:
        if self._loop is None or self._loop.is_closed():
            self._adopt()
        elif not self._adoption_due:
            self._adoption_due = True
            self._loop.call_soon_threadsafe(weakly(self._adopt))

    def _adopt(self) -> None:
        self._adoption_due = False
        self._assignments = [command for command in self._assignments if not command.done()]
        if self._assignments:
            return  # its end will adopt; now it would take back what was just assigned
        self._adopted_at = time.monotonic()
        snapshot = self._session.latest
        moment = snapshot.moment
        adopted: dict[str, Any] = {
            "points": [{key: point[key] for key in ("id", "handle", "target")} for point in snapshot.points()],
            "seed": moment.seed,
            "truncation": moment.truncation,
            "label": moment.label,
            "classes": snapshot.model.classes,
            "model": snapshot.model.name,
            "step": snapshot.step,
            "shown": snapshot.shown,
            "status": snapshot.status,
            **settings_of(snapshot.model.generator, moment.drag.config, snapshot.speed),
        }
        if moment.mask is not self._mask_taken:
            self._mask_taken = adopted["mask"] = moment.mask
        with self.hold_sync():
            for name, value in adopted.items():
                self._adopting = (threading.get_ident(), name)
                try:
                    self.set_trait(name, value)
                finally:
                    self._adopting = None


def weakly(method: Callable[..., Any], otherwise: Any = None) -> Callable[..., Any]:
    """A function that calls a bound method without keeping its object alive, and does nothing once that is gone."""
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


def _trait_error(check: Callable[..., T], *arguments: Any) -> T:
    try:
        return check(*arguments)
    except (TypeError, ValueError) as error:
        raise traitlets.TraitError(str(error)) from None
