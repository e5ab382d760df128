"""One edit over time: points, mask and latent, runs that pull, undo and redo; all of it on one worker thread.

Every method that changes the edit may be called from any thread: it leaves a task for the worker and returns its
future. The worker does tasks in order, between two steps of a run, and publishes an immutable ``Snapshot`` after
every change and every step.

A session has a worker (``worker``), an edit that goes on in its thread (``live_edit``, which has an undo stack and a
runner), long work beside it (``jobs``), and a painter of pictures (``pictures``). What is done to an edit are functions
of documents: ``changes``, ``beginnings`` and ``timeline``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from draggan_widget.editing import beginnings
from draggan_widget.editing.asking import Asking
from draggan_widget.editing.beginnings import tuned_further
from draggan_widget.editing.changes import Move, first_of
from draggan_widget.editing.commands import Commands
from draggan_widget.editing.comparison import Pulled, pulled_by
from draggan_widget.editing.document import Document, Snapshot
from draggan_widget.editing.dragfile import DragFile
from draggan_widget.editing.fitting import Fitting, Placing
from draggan_widget.editing.jobs import COMPARING, Jobs, Progress, Work, finish
from draggan_widget.editing.live_edit import LiveEdit
from draggan_widget.editing.model import Model, OnProgress
from draggan_widget.editing.own_picture import instructed, knowing
from draggan_widget.editing.pictures import Glimpse, Layers, Studio
from draggan_widget.editing.prompting import PROMPT, check_prompt, prompted
from draggan_widget.editing.worker import Worker
from draggan_widget.engines import XY, DragResult
from draggan_widget.inversion import Inversion, Opened, Square, open_photo
from draggan_widget.models import Diffusion, Generator

if TYPE_CHECKING:
    from draggan_widget.models.diffusion import Identity, Instructing

T = TypeVar("T")
PREPARING = "preparing"
"""What a job makes, and the name of its lane, that must be done before a model is pulled for the first time."""
PREPARED = "finding how this model moves, once"
"""What is told of it."""
UNTOLD = 0.3
"""Seconds that this may take before people are told of it."""


class Session:
    """An edit of a model's pictures. See the module's docstring for threads.

    :param model: the generator whose latents are edited, or a ``Model``, which has a name; from now on only the worker
        uses it.
    :param seed: of the first picture. :param truncation: of the first picture. :param label: its class; None for the
        first one, where there are classes. :param config: settings of any engine; None for
        ``default_config`` of the model. :param first: who makes the first jump of runs: an engine's name, settings of
        it, or None.
    :param speed: largest number of steps a second; None for no limit.
    :param on_change: called in the worker thread with every new snapshot.
    :param on_notice: called in the worker thread with a sentence when a command could not be carried out.
    :param attended: whether anybody looks; asked in the worker thread. A run that a view started pauses when not.
    """

    def __init__(
        self,
        model: Generator | Model,
        *,
        seed: int = 0,
        truncation: float = 0.7,
        label: int | None = None,
        config: Any = None,
        first: Any = None,
        speed: float | None = None,
        on_change: Callable[[Snapshot], None] = lambda snapshot: None,
        on_notice: Callable[[str], None] = lambda text: None,
        attended: Callable[[], bool] = lambda: True,
    ) -> None:
        model = Model.of(model)
        first = first_of(model.generator, first)
        document = beginnings.first_document(model, config, seed, truncation, label, first)
        self._worker = Worker(self._work, "draggan")
        self._jobs = Jobs(self._wake)
        self._live = LiveEdit(
            document,
            speed=speed,
            on_change=on_change,
            attended=attended,
            jobs=self._jobs.running,
        )
        self._commands = Commands(self._worker, self._live, self._jobs, on_notice)
        self._studio = Studio(lambda: self._worker.waiting > 0)
        self._stops = self._looks = 0
        self._preparation: tuple[Generator, Future[None]] | None = None
        """What must be done before the model can be pulled for the first time, while it is done beside the edit."""
        self.inversion: Inversion | None = None
        """With which photographs are fitted that come without settings; None: as they come."""
        self.identity: Identity | None = None
        """With which a diffusion model learns pictures that come without settings; None: as it does."""

    # --- reading -----------------------------------------------------------------------------------------------------

    @property
    def latest(self) -> Snapshot:
        """The newest snapshot, for any thread to read."""
        return self._live.latest

    @property
    def generator(self) -> Generator:
        """Whose latents are edited."""
        return self._live.now.model.generator

    @property
    def config(self) -> Any:
        """The settings of the engine that pulls."""
        return self._live.now.config

    @property
    def resting(self) -> bool:
        """Whether the session holds no thread at the moment."""
        return self._worker.resting

    @property
    def waiting(self) -> int:
        """How many commands wait to be carried out."""
        return self._worker.waiting

    @property
    def closed(self) -> bool:
        """Whether nothing can be done with the session any more."""
        return self._worker.closed

    def now(self) -> Document:
        """Return the edit as it is when all commands given so far are carried out; waits for them."""
        return self._worker.call(lambda: self._live.now)

    def newest(self) -> Snapshot:
        """Return the newest snapshot when all commands given so far are carried out; waits for them."""
        return self._worker.call(lambda: self._live.latest)

    def finished(self) -> Future[DragResult]:
        """Return a future of the time when no run is on: the result so far, or the exception that ended the last run.

        While somebody waits for it, a run goes on though no view looks.
        """
        return self._commands.finished()

    def wait_for(self, command: Future[T]) -> bool:
        """Wait until a command is carried out. False in the worker's own thread, which must not wait for itself.

        :raises Exception: the one that the command raised.
        """
        if self._worker.here:
            return False
        command.result()
        return True

    def close(self) -> None:
        """Stop, and give the thread back. Nothing can be done with the session afterwards."""
        self._worker.close(timeout=5)
        self._jobs.close("the editor was closed")
        self._live.audience.close(RuntimeError("the editor was closed"))

    # --- pictures ----------------------------------------------------------------------------------------------------

    def picture(self, document: Document | None = None, *, bare: bool = False) -> Image.Image:
        """Return the picture of a document, by default now; waits for commands given so far.

        :param bare: before its finish, as the model makes it.
        """
        return self._worker.call(lambda: self._studio.picture(document or self._live.now, bare=bare))

    def before(self) -> Image.Image:
        """Return the picture that the edit began with."""
        return self._worker.call(lambda: self._studio.before(self._live.now))

    def glimpse(self, document: Document, quick: bool) -> Glimpse:
        """Return the picture of a document, one of half the side where it is to be ``quick`` and would be late."""
        return self._worker.call(lambda: self._studio.glimpse(document, quick))

    def thumbnail(self, document: Document, layers: Layers | None = None) -> Image.Image:
        """Return a small picture of a document. :param layers: of another moment of it; None: as it is there."""
        return self._worker.call(lambda: self._studio.thumbnail(document, layers))

    # --- work in the worker's thread ---------------------------------------------------------------------------------

    def read(self, question: Callable[[], T]) -> T:
        """Return what ``question`` answers in the worker's thread, after the commands given so far."""
        return self._worker.call(question)

    def turn(self, task: Callable[[], T]) -> T:
        """Return what ``task`` returns, which has nothing to do with the edit itself.

        It is done in the worker's thread, or in this one once the session is closed.
        """
        return task() if self._worker.closed else self._worker.call(task)

    def soon(self, task: Callable[[], None]) -> None:
        """Run a task in the worker's thread: at once if this is that thread, or after the commands given so far."""
        if self._worker.closed or self._worker.here:
            task()
        else:
            self._worker.submit(task)

    def show(self, task: Callable[[], None], what: str | None = None) -> Future[None]:
        """Run a task that shows the edit, between two steps in the worker thread; its exceptions are published.

        :param what: it shows: of tasks that wait and show the same the newest is done.
        """
        return self._commands.show(task, what)

    def beside(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, done with as many threads as steps are. To be called in the worker thread."""
        return self._live.runner.beside(work)

    def run_job(self, job: Work[T], *, lane: str | None = None, what: str = "", name: str = "") -> Future[T]:
        """Have long work done in the worker's thread, in slices between which the edit goes on; see ``jobs``.

        :param lane: jobs of one lane are done one after another; None: a lane of its own. :param what: it makes, with
            which snapshots tell of it while it goes. :param name: of what, for people. The future may be cancelled,
            whereupon it ends at once.
        """
        return self._commands.work(job, lane=lane, what=what, name=name) if what else self._jobs.add(job, lane=lane)

    def cancel(self, number: int) -> None:
        """Cancel the long work of that id, as snapshots have it; what is over already is ignored."""
        self._commands.cancel(number)

    def finish_job(self, job: Work[T], *, lane: str | None = None) -> T:
        """Return the result of long work; in the worker's own thread, which must not wait for itself, done at once."""
        if self._worker.here:
            return finish(job)
        done = self.run_job(job, lane=lane)
        try:
            return done.result()
        finally:
            done.cancel()  # where somebody interrupted the cell

    # --- runs --------------------------------------------------------------------------------------------------------

    def start(self, *, by_view: bool = False) -> Future[None]:
        """Pull the handles to their targets until arrived, stalled, capped or stopped."""
        stops = self._stops

        def start() -> None:
            self._live.start(by_view=by_view)
            if self._stops != stops:
                self._live.stop()  # it was asked for later, and came first

        return self._commands.submit(start)

    def stop(self) -> Future[None]:
        """End the run after the step in hand, whatever else waits to be done: also one that was to start before."""
        self._stops += 1
        return self._commands.submit(self._live.stop, of_any_model=True, first=True)

    def resume(self) -> Future[None]:
        """Go on with a run that paused because nobody looked."""
        return self._commands.submit(self._live.resume)

    def step_once(self) -> Future[None]:
        """Take one step, whether or not the handles have arrived."""
        return self._commands.submit(self._live.step_once)

    def let_go(self) -> Future[None]:
        """Take it that the pointer that was down is no longer there."""
        return self._commands.submit(self._live.let_go, of_any_model=True)

    # --- the timeline ------------------------------------------------------------------------------------------------

    def undo(self) -> Future[None]:
        """Go back by one gesture, one run, or one change of model."""
        return self._commands.submit(self._live.go_back, of_any_model=True)

    def redo(self) -> Future[None]:
        """Go forward again by one gesture, one run, or one change of model."""
        return self._commands.submit(self._live.go_forward, of_any_model=True)

    def look(self, step: int | None) -> Future[None]:
        """Show the picture and the handles after that step, or the nearest before it that is kept; None: the newest."""
        self._looks += 1
        mine = self._looks

        def look(_: Any) -> None:
            if self._looks == mine:  # else somebody scrubs, and is elsewhere by now
                self._live.look(step)

        return self._commands.submit(look, kind=("look",))

    def branch(self, to: int) -> Future[None]:
        """Go on from the moment after that step, 0 or more; what came after it stays reachable by undo."""
        return self._commands.submit(lambda: self._live.branch(to))

    def pull_by(
        self, begun: Document, engine: str, tell: Callable[[Pulled], Any] = lambda pulled: None
    ) -> Future[Pulled]:
        """Do a pull with an engine beside the edit, which it leaves as it is; one after another. See ``comparison``.

        :param begun: the edit at the beginning of the pull. :param tell: called in the worker's thread after a step.
        """
        job = pulled_by(begun, engine, self._live.runner.beside, tell)
        return self.run_job(job, lane=COMPARING, what=COMPARING, name=engine)

    def take(self, pulled: Pulled) -> Future[None]:
        """Go on from what an engine has come to in a comparison, with that engine; undo leads back.

        :raises ValueError: by the future, if another model has come meanwhile.
        """

        def taken(now: Document) -> tuple[Document, str]:
            if not pulled.document.model.goes_on_as(now.model):
                raise ValueError("that comparison is of another model's picture; compare again")
            document = pulled.document
            if document.model is not now.model:  # a photograph, which was tuned further meanwhile
                document = tuned_further(document, now.model)
            return document, f"pull by {pulled.engine}"

        return self._replace(taken, f"Going on from the pull by {pulled.engine}; Undo leads back.")

    # --- beginnings --------------------------------------------------------------------------------------------------

    def reset(self, *, keep_points: bool = True) -> Future[None]:
        """Go back to the latent the edit began with; the mask stays.

        Points go, or if ``keep_points`` keep their targets, and handles go back to where they were.
        """
        return self._replace(
            lambda now: (beginnings.started_over(now, keep_points=keep_points), "reset"),
            "Back at the start; Undo brings the edit back.",
        )

    def new_image(self, *, seed: int, truncation: float) -> Future[None]:
        """Begin a new edit with the picture of ``seed``, of the same class; undo brings the old one back."""
        return self._replace(lambda now: (beginnings.new_image(now, seed, truncation), f"new image (seed {seed})"))

    def retruncate(self, truncation: float) -> Future[None]:
        """Begin a new edit with the same seed at another truncation."""
        return self._replace(lambda now: (beginnings.retruncated(now, truncation), f"truncation {truncation:g}"))

    def relabel(self, label: int) -> Future[None]:
        """Begin a new edit with the same seed in another class."""

        def relabelled(now: Document) -> tuple[Document, str]:
            document = beginnings.relabelled(now, label)
            return document, f"class {document.label}"

        return self._replace(relabelled)

    def set_latent(self, ws: Tensor) -> Future[None]:
        """Begin a new edit with the picture of ``ws`` (1, num_ws, w_dim)."""
        return self._replace(lambda now: (beginnings.with_latent(now, ws), "new latent"))

    def restore(self, document: Document) -> Future[None]:
        """Go on with a document of elsewhere as if the session had begun with it; its model comes with it.

        Where its run had come to an end of its own, the status says which: "arrived", "stalled" or "capped".
        """
        return self._commands.submit(lambda: self._live.restore(document))

    def open(self, file: DragFile) -> Future[None]:
        """Go on with the edit of a file, made with the present model, as if the session had begun with it.

        :raises DragFileError: by the future, if it cannot be taken.
        """
        return self._commands.submit(lambda: self._live.restore(file.document(self._live.now.model)))

    def load(
        self,
        name: str,
        read: Callable[[OnProgress], Model],
        device: torch.device | None = None,
        note: str = "",
    ) -> Future[None]:
        """Go on with another model, and a new edit, as soon as it is read; undo leads back to the model before.

        It is read in a thread of its own, beside the edit, which goes on till then, a run included; then it takes its
        place between two steps. The edit begins with the same seed, truncation and class as the present one, where the
        new model has them, and keeps settings that somebody chose, where it has their blocks. Whatever goes wrong, and
        where the future is cancelled, the present model and edit stay as they are; the exception comes by the future,
        its text with snapshots.

        :param name: what the new model is called while it is not there yet. :param read: makes it, and may call what it
            is given with how much is done, which raises ``CancelledError`` once nobody wants it. :param device: where
            it is put then; None: it stays where it is. :param note: what is done meanwhile, in a few words for people.
        """
        return self._commands.load(name, read, device, note)

    def prompt(self, text: str) -> Future[None]:
        """Go on with another prompt, and a new edit of the same seed; undo leads back. See ``load``.

        :raises ValueError: for a model that reads no prompts, or a prompt that it cannot read; nothing changes then.
        """
        model = self.latest.model
        check_prompt(model, text)
        return self.load(PROMPT, lambda _: prompted(model, text), note="Reading the prompt")

    def learn(self, picture: Any, name: str = "", settings: Identity | None = None) -> Future[None]:
        """Go on with a picture that the diffusion model learns first; undo leads back. See ``load`` and ``knowing``.

        Its steps are told of as those of any long work, and between any two of them it can be cancelled.

        :param picture: as ``inversion.open_photo`` takes it. :param name: what people call it.
        :raises ValueError: for another model than a diffusion model.
        """
        model = self.latest.model
        generator = model.generator
        if not isinstance(generator, Diffusion):
            raise ValueError(f"{model.name} is no diffusion model; open_photo(…) fits a photograph to it")
        name, settings = name or "the picture", settings or self.identity

        def learnt(progress: OnProgress) -> Model:
            opened = picture if isinstance(picture, Opened) else open_photo(picture)
            return knowing(model, generator, opened.flat, progress, settings)

        return self.load(name, learnt, note=f"Learning {name}")

    def instruct(
        self, object_: Any, by: Sequence[float], prompt: str | None = None, settings: Instructing | None = None
    ) -> Future[None]:
        """Go on with a picture in which an object was moved and other words were said of it; undo leads back.

        It is computed in a thread of its own, and can be cancelled within a step of denoising. See ``instructing``.

        :raises ValueError: for another model than a diffusion model, or a prompt that it cannot read; what else cannot
            be comes by the future.
        """
        document = self.latest.document
        model, latent = document.model, document.drag.ws
        if prompt or not isinstance(model.generator, Diffusion):
            check_prompt(model, prompt or "")

        def done(progress: OnProgress) -> Model:
            return instructed(model, latent, object_, by, prompt, progress, settings)

        return self.load("the instruction", done, note="Following the instruction")

    def open_photo(
        self, photo: Any, *, name: str = "", ask: Callable[[Placing], None] | None = None, **how: Any
    ) -> Future[None]:
        """Go on with a photograph; undo leads back to what was there before, as long as undo can hold it.

        It is there at once, as the model's nearest guess, and is fitted and tuned in slices in the worker's thread,
        between which the edit of it goes on; see ``fitting``. A model that was tuned for another photograph counts as
        what it was before. Whatever goes wrong, and where the future is cancelled, the edit is again as it was before;
        the exception comes by the future, its text with snapshots.

        :param photo: as ``inversion.open_photo`` takes it. :param name: what people call it. :param ask: called in the
            worker thread with where the square may be placed. :param how: ``square``, ``face`` and ``settings``, as
            ``invert`` takes them, and ``wait``: whether ``place`` is waited for unless just one face was found.
        """
        how = {**how, "settings": how.get("settings") or self.inversion}
        name = name or (photo.name if isinstance(photo, Opened) else "photograph")
        return self._commands.open_photo(photo, name, ask, how)

    def open_own(
        self, picture: Any, *, name: str = "", ask: Callable[[Placing], None] | None = None, wait: bool = False
    ) -> Future[None]:
        """Go on with somebody's own picture in the way of the present model: ``open_photo``, or ``learn`` for a
        diffusion model, which places no square but takes the middle.
        """
        if isinstance(self.latest.model.generator, Diffusion):
            return self.learn(picture, name or (picture.name if isinstance(picture, Opened) else ""))
        return self.open_photo(picture, name=name, ask=ask, wait=wait)

    @property
    def fitting(self) -> Fitting | None:
        """The photograph that is being fitted; any thread may ask."""
        return self._commands.fitting

    def place(self, square: Square) -> bool:
        """Fit the photograph that is being opened in that square; False where none is."""
        fitting = self._commands.fitting
        if fitting is not None:
            fitting.place(square)
        return fitting is not None

    def enough(self, stage: str = "") -> None:
        """Take it that the fit ("pivot") or the tuning ("tuning") of the photograph is good enough; "": both."""
        fitting = self._commands.fitting
        if fitting is not None:
            fitting.enough(stage)

    # --- points ------------------------------------------------------------------------------------------------------

    def put_point(
        self, number: int, *, handle: XY | None = None, target: XY | None = None, pulling: bool = False
    ) -> Future[None]:
        """Set a point: a new one from ``handle`` and ``target``, or what is given of the one numbered ``number``.

        While ``pulling``, a run waits at the target instead of ending; all that happens from the first such call to
        the first one without it is one step of undo.
        """

        move = Move(number, handle, target, pulling)
        both = lambda earlier, later: earlier.joined(later, self._worker.waiting)  # noqa: E731
        return self._commands.submit(self._live.put_point, kind=("edit", number), value=move, join=both)

    def remove_points(self, numbers: Iterable[int]) -> Future[None]:
        """Delete points; numbers that are not there are ignored."""
        return self._commands.submit(lambda: self._live.remove_points(numbers))

    def set_points(self, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Future[None]:
        """Apply what differs between two lists of checked points; what is the same stays as it is tracked."""
        return self._commands.submit(lambda: self._live.set_points(before, after))

    # --- attributes --------------------------------------------------------------------------------------------------

    def change(self, asking: Asking, *, sliding: bool = False) -> Future[tuple[str, ...]]:
        """Change attributes; the future has sentences about what could not be had.

        :param asking: makes the change, in the worker's thread. :param sliding: whether a slider is still held: what
            is asked till it is let go counts from where the edit was before, and is one step of undo.
        """
        if not sliding:
            return self._commands.submit(lambda: self._live.change(asking))
        slide = lambda newest: self._live.change(newest, sliding=True)  # noqa: E731
        return self._commands.submit(slide, kind=("slide",), value=asking)  # of those that wait the newest counts

    def hold_as(self, asking: Callable[[Document], tuple[tuple[str, ...], np.ndarray | None]]) -> Future[None]:
        """Hold what ``asking`` makes of the edit in the worker's thread: names, and ``Edit.held`` of these."""
        return self._commands.submit(lambda: self._live.hold(*asking(self._live.now)))

    def hold(self, names: Sequence[str], held: np.ndarray | None) -> Future[None]:
        """Hold attributes, and no others, from the next step on. :param held: ``Edit.held``; None for none."""
        return self._commands.submit(lambda: self._live.hold(tuple(names), held))

    # --- mask and settings -------------------------------------------------------------------------------------------

    def set_mask(self, mask: np.ndarray | None) -> Future[None]:
        """Take a checked mask (H, W), 1 = may move; None = everything may."""
        done = "mask" if mask is not None else "clearing of the mask"
        return self._commands.submit(lambda: self._live.set_mask(mask, done))

    def suggest_mask(self) -> Future[None]:
        """Take the mask that the points suggest. See ``automask``."""
        return self._commands.submit(self._live.suggest_mask)

    def set_config(self, config: Any) -> Future[None]:
        """Take other settings, of this engine or another, from the next step on."""
        return self._commands.submit(lambda: self._live.set_config(config))

    def set_first(self, first: Any) -> Future[None]:
        """Take who makes the first jump of runs: an engine's name, settings of it, or None for nobody."""
        return self._commands.submit(lambda: self._live.set_first(first))

    def set_settings(self, values: Mapping[str, Any]) -> Future[None]:
        """Take some settings by name, from the next step on; None is the generator's own. See ``settings``."""

        def join(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Mapping[str, Any] | None:
            # What was asked for before another engine was chosen is not asked of that one.
            return None if "engine" in earlier or "engine" in later else {**earlier, **later}

        return self._commands.submit(self._live.set_settings, kind=("edit", "settings"), value=values, join=join)

    def reset_settings(self) -> Future[None]:
        """Take all settings as the generator has them, and no first jump."""
        return self._commands.submit(self._live.reset_settings)

    # --- in parts ----------------------------------------------------------------------------------------------------

    def _replace(self, beginning: Callable[[Document], tuple[Document, str]], message: str = "") -> Future[None]:
        """Go on with the edit that ``beginning`` makes of the present one; it says as well what undo calls that."""
        return self._commands.submit(lambda: self._live.replace(*beginning(self._live.now), message))

    def _work(self) -> float | None:
        """Do a slice of a job, and a step of the run if one is on. Return when to ask again, as ``Worker`` wants it."""
        busy = self._jobs.advance()
        pause = None if self._prepares() else self._live.pull()
        return 0.0 if busy else pause

    def _prepares(self) -> bool:
        """Return whether the run waits for what is done once a model. It is begun here, and told of if it takes long.

        Who cancels it stops the run.
        """
        if not self._live.runner.on:
            return False
        model = self._live.now.model.generator
        if self._preparation is not None:
            of, done = self._preparation
            if of is model and not done.done():
                return True
            done.cancel()
            self._preparation = None
            if of is model and done.cancelled():
                self._live.stop()
                return False
        parts = self._live.now.drag.preparing()
        if parts is None:
            return False
        began = time.monotonic()
        for share in parts:
            if time.monotonic() - began > UNTOLD and share < 1:
                first = Progress(share, PREPARED)
                job = (Progress(share, PREPARED) for share in parts)
                self._preparation = model, self._commands.work(job, lane=PREPARING, what=PREPARING, first=first)
                return True
        return False

    def _wake(self) -> None:
        """Have the worker look at the jobs: there is something to do for one again."""
        with contextlib.suppress(RuntimeError):  # closed, and all jobs given up
            self._worker.submit(lambda: None)
