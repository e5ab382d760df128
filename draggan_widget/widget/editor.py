"""The notebook's face: a widget in which a person grabs points of a GAN image and pulls them where they should be."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from draggan_widget.editing import (
    NO_FEEDBACK,
    Document,
    DragFile,
    History,
    Kind,
    Model,
    Observer,
    OnProgress,
    Session,
    Snapshot,
    check_drag_path,
    drag_job,
    draw_points,
    read_mask,
    save_mask,
    settings_for,
    with_settings,
)
from draggan_widget.engines import blend_of, default_config, engine_of
from draggan_widget.files import write_whole
from draggan_widget.models import Generator, builtin_names, check_seed
from draggan_widget.texts import printable
from draggan_widget.widget import exports, protocol
from draggan_widget.widget.engine_settings import SETTING_TRAITS, owners_of
from draggan_widget.widget.hosts import answers, reruns
from draggan_widget.widget.model_list import ModelList
from draggan_widget.widget.outbox import Outbox
from draggan_widget.widget.static_preview import WIDTH, preview_png
from draggan_widget.widget.stream import FrameStream
from draggan_widget.widget.traits import EditTraits, weakly

if TYPE_CHECKING:
    from draggan_widget.engines import DragResult

log = logging.getLogger(__name__)
PREVIEW = 512
"""Longest side in pixels of a moving picture for views that ask, which are told everything over the network."""
OBSERVE_EVERY = 0.5
"""Seconds between looks at how points do while a run is on, and from its beginning to the first one at new points."""
MOST_WAITING = 1000
"""Commands that may wait; what a page asks for beyond that is not done, but for Stop."""
MOST_EXPORTS = 8
"""Files that are made for pages at a time."""
MOST_NOTICES = 20
"""In a second: nobody reads more."""
BUNDLE = Path(__file__).parent / "static" / "index.js"


@dataclasses.dataclass(frozen=True, eq=False)
class EditState:
    """The edit at one time, as ``Editor.states`` yields it."""

    status: str
    """See the trait of that name."""
    step: int
    ws: np.ndarray
    """(1, num_ws, w_dim)"""
    handles: np.ndarray
    """(N, 2) image pixels (x, y)."""
    distances: np.ndarray
    """(N,) image pixels still to go."""

    @classmethod
    def of(cls, snapshot: Snapshot) -> EditState:
        """Return the state of a snapshot."""
        drag = snapshot.document.drag
        return cls(snapshot.status, snapshot.step, drag.ws.cpu().numpy().copy(), drag.handles, drag.distances)


class Editor(EditTraits):
    """An editor for the pictures of a GAN, to be displayed in a notebook.

    Press on the picture and pull: the point under the pointer follows, and the rest of the picture with it. All of it
    can be done from Python as well, with or without a browser. Methods wait for a step in hand at most; ``await
    editor.finished()`` waits for the end. Positions are image pixels (x, y), x to the right and y down, pixel centres
    at integers.

    :param model: name of a built-in generator (``"faces"``), path of a checkpoint, or a ``Generator``.
    :param seed: of the first picture, 0 to 2³²-1. :param truncation: ψ, 0 to 2; nearer 0 is more ordinary.
    :param label: class of the first picture, for a model that has classes; None for the first of them.
    :param models: a folder; the page then offers its checkpoints and the built-in generators for choice.
    :param config: settings of an engine, which choose it; None for ``natural``, or the first engine that can serve the
        model.
    :param points: to begin with, as the trait takes them. :param mask: likewise.
    :param device: where it computes, as torch names it; None picks the best there is.
    :param layout: settings by name, such as ``learning_rate=0.003``, ``engine`` by its name, and further traits, such
        as ``layout``.
    :raises FileNotFoundError: for a name that is no file and no built-in generator.
    :raises CheckpointError: for a file that cannot be taken.
    :raises ValueError: for a seed, truncation, label or setting out of its range, which the text names.
    :raises NotADirectoryError: if ``models`` is no folder.
    """

    # ipywidgets 7 has one, which would leave out the picture, and what Colab needs to show any widget.
    _ipython_display_ = None
    # Text, because anywidget keeps every instance alive whose module is given as a path.
    _esm = BUNDLE if os.environ.get("ANYWIDGET_HMR") == "1" else BUNDLE.read_text(encoding="utf-8")

    def __init__(
        self,
        model: str | os.PathLike[str] | Generator | Model = "faces",
        *,
        seed: int = 0,
        truncation: float = 0.7,
        label: int | None = None,
        models: str | os.PathLike[str] | None = None,
        config: Any = None,
        points: list[dict[str, Any]] | None = None,
        mask: Any = None,
        device: str | None = None,
        **layout: Any,
    ) -> None:
        seed, truncation = check_seed(seed), protocol.check_truncation(truncation)
        self._model_list = None if models is None else ModelList(models)
        model = _read_model(model, self._model_list, device)
        own = config or default_config(model.generator, layout.get("engine"))
        chosen = {name: layout.pop(name) for name in list(layout) if self._is_setting(name, own)}
        config, speed = with_settings(model.generator, own, None, chosen)
        self._session = Session(
            model,
            seed=seed,
            truncation=truncation,
            label=label,
            config=config,
            speed=speed,
            on_change=weakly(self._publish),
            on_notice=weakly(self._notify),
            attended=weakly(self._attended, otherwise=False),
        )
        self._stream = FrameStream(
            weakly(self._tell), weakly(self._describe), weakly(self._glimpse), weakly(self._catch_up)
        )
        self._outbox = Outbox(weakly(self._send_now), self._stream.views)
        self._stream.offer(self._session.latest)
        self._noticed: list[float] = []
        self._exports: list[Future[bytes]] = []
        self._listeners: list[Callable[[], Any]] = []
        self._observer, self._feedback, self._observed_at = Observer(), NO_FEEDBACK, 0.0
        self._still_at = 0.0
        self._mask_on_page: np.ndarray | None = None
        self._model_on_page = self._session.latest.model
        self._schema_on_page = type(self._session.latest.document.drag.config)
        self._entry = self._entry_of(self._model_on_page)
        super().__init__(**layout)
        # ipykernel 7.4 answers on the shell a comm last sent from, which would queue Stop behind a blocking cell.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: default
        self.on_msg(weakly(self._receive))
        if points is not None:
            self.points = points
        if mask is not None:
            self.mask = mask
        reruns.note(self)

    @classmethod
    def _is_setting(cls, name: str, config: Any) -> bool:
        """Return whether a keyword is a setting, of the engine that ``config`` is of or of another."""
        if name == "engine" or name in settings_for(config):
            return True
        return bool(owners_of(name)) and (name in SETTING_TRAITS or not hasattr(cls, name))

    # --- the edit, from Python -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Pull the handles to their targets, to the end, whether or not anybody looks.

        :raises ValueError: if there are no points.
        """
        self._need_points()
        self._carry_out(self._session.start())

    def stop(self) -> None:
        """End the run after the step in hand."""
        self._carry_out(self._session.stop())

    def step_once(self) -> None:
        """Do one step. :raises ValueError: if there are no points."""
        self._need_points()
        self._carry_out(self._session.step_once())

    def reset(self, *, keep_points: bool = False) -> None:
        """Go back to the picture the edit began with; the mask stays. Undo brings the edit back.

        :param keep_points: whether points stay too, their handles where they were put: ``start()`` then goes the same
            way again, with other settings say. Else they go, and the next pull begins afresh.
        """
        self._carry_out(self._session.reset(keep_points=keep_points))

    def undo(self) -> None:
        """Go back by one gesture, run or change of model. :raises ValueError: if there is nothing to undo."""
        self._carry_out(self._session.undo())

    def redo(self) -> None:
        """Go forward by one gesture, run or change of model. :raises ValueError: if there is nothing to redo."""
        self._carry_out(self._session.redo())

    def branch(self, step: int) -> None:
        """Go on from the moment after that step. Undo brings back what came after it.

        :raises ValueError: if the edit has no such step. The edit and its status then stay as they are.
        """
        self._carry_out(self._session.branch(step))

    def suggest_mask(self) -> None:
        """Set the mask that the points suggest: soft, along the way of each handle. Undo takes it back.

        :raises ValueError: if there are no points.
        """
        self._carry_out(self._session.suggest_mask())

    def reset_settings(self) -> None:
        """Take all settings as the model has them, ``speed`` included; the edit stays."""
        self._carry_out(self._session.reset_settings())

    def load_mask(self, path: str | os.PathLike[str]) -> None:
        """Take a mask from a picture of any format and size: white may move, black must stay. Undo takes it back.

        Colours count by their brightness, what is transparent as black. Another size is scaled.

        :raises FileNotFoundError: if there is no such file.
        :raises ValueError: if it is no picture, of another shape than this one (4:3 for a square say), or all black.
        """
        self.mask = read_mask(path, self._resolution)

    def save_mask(self, path: str | os.PathLike[str]) -> None:
        """Write the mask as a grey PNG of the picture's size: white may move, black must stay.

        :raises ValueError: if there is no mask, or for a name that does not end in ``.png``.
        """
        save_mask(path, self._session.now().mask)

    def code(self) -> str:
        """Return Python code that makes this edit again and ends with its latent ``ws`` and its picture ``image``."""
        return self._made("code").decode()

    def export(self, path: str | os.PathLike[str], *, handles: bool = False) -> None:
        """Write the edit as ``.png``, ``.gif``, ``.mp4``, ``.drag``, ``.npz`` or ``.npy`` (latent), or ``.py`` (code).

        The files are those that the page saves. Pictures and films say in their metadata that they are AI-generated,
        and how, unless ``provenance`` is False; ``editor.image.save()`` writes the same pixels without that. A file is
        there whole or not at all, and an older one stays till then; ``~`` is the home folder, and a symbolic link is
        followed.

        :param handles: whether films show handles and targets.
        :raises ValueError: for another ending. :raises FileExistsError: if a file of another kind has that name.
        :raises OSError: if the file cannot be written; the text says why, and what helps.
        :raises ModuleNotFoundError: for an MP4 without its extra.
        """
        kind = exports.kind_of(path)  # before a film is made
        write_whole(path, self._made(kind, handles=handles, bare=Path(path).suffix.lower() == ".npy"))

    def _made(self, kind: Kind, *, handles: bool = False, bare: bool = False) -> bytes:
        session = self._session
        return session.finish_job(exports.make(session, kind, handles=handles, provenance=self.provenance, bare=bare))

    async def finished(self) -> DragResult:
        """Wait until no run is on; needs no browser.

        :returns: the result so far, with ``.reason``, ``.steps``, ``.image``, ``.ws``, ``.handles``.
        :raises Exception: the one that ended the last run, if one did.
        """
        return await asyncio.wrap_future(self._session.finished())

    async def states(self) -> AsyncIterator[EditState]:
        """Yield the newest state until the run ends: ``async for state in editor.states()``. Needs no browser.

        The first is the state now. Then comes the newest one each time something has changed: if you are slower than
        the steps, you miss some. The last is the one at which the run ended.

        :raises Exception: the one that ended the run, if one did.
        """
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        wake = lambda: loop.call_soon_threadsafe(changed.set)  # noqa: E731 - one object, to be taken off the list again
        session = self._session
        self._listeners.append(wake)
        try:
            end = asyncio.ensure_future(asyncio.wrap_future(session.finished()))
            end.add_done_callback(lambda _end: changed.set())
            seen: Snapshot | None = None
            while True:
                changed.clear()
                ended, newest = end.done(), session.latest
                if newest is not seen:
                    seen = newest
                    yield EditState.of(newest)
                elif ended:
                    end.result()
                    return
                else:
                    await changed.wait()
        finally:
            self._listeners.remove(wake)

    @property
    def image(self) -> Image.Image:
        """The picture as it is now, after all commands given so far."""
        return self._session.picture()

    @property
    def latent(self) -> np.ndarray:
        """The latent ``ws`` (1, num_ws, w_dim) as it is now. Set it to begin an edit there."""
        latent: np.ndarray = self._session.now().drag.ws.cpu().numpy().copy()
        return latent

    @latent.setter
    def latent(self, ws: Any) -> None:
        self._carry_out(self._session.set_latent(self.generator.space.check(ws)))

    @property
    def history(self) -> History:
        """The course of the edit, one record a step."""
        session = self._session
        newest = session.newest()
        return History(newest.document.records, newest.model.generator, session.turn, blend_of(newest.document.config))

    @property
    def config(self) -> Any:
        """The settings of the engine, as one value. The next step obeys; those of another engine choose it."""
        session = self._session
        return session.read(lambda: session.config)

    @config.setter
    def config(self, config: Any) -> None:
        engine_of(config)
        self._carry_out(self._session.set_config(config))

    @property
    def generator(self) -> Generator:
        """The generator whose pictures are edited."""
        return self._session.generator

    def load_model(self, model: str | os.PathLike[str] | Generator) -> None:
        """Go on with another model, and a new edit of the same seed, truncation and class, where it has them.

        Waits until it is loaded; what runs goes on till then. Points and mask go, and settings that you chose stay
        where the model has their blocks. Undo leads back to the model before and its edit, as long as it is one of the
        last two. If it cannot be loaded, or you interrupt the cell, everything stays as it is.

        :param model: name of a built-in generator, path of any checkpoint, name of a file in the folder that was given
            as ``models``, or a ``Generator``.
        :raises FileNotFoundError: if there is no such model. :raises CheckpointError: if it cannot be taken.
        """
        given = isinstance(model, Generator)
        name = printable(type(model).__name__ if isinstance(model, Generator) else Path(model).name)
        device = None if given else next(self.generator.parameters()).device
        # Not this editor's own method: while it is read, nothing else must keep the editor alive.
        listed = self._model_list
        loaded = self._session.load(name, lambda progress: _read_model(model, listed, "cpu", progress), device)
        try:
            self._carry_out(loaded)
        except KeyboardInterrupt:
            loaded.cancel()
            raise

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the edit as a `.drag` file, from which ``Editor.load`` goes on exactly where this one is.

        The file is there whole or not at all, and an older edit of that name stays till then, as do its permissions;
        ``~`` is the home folder, and a symbolic link is followed to the file that is replaced.

        :raises ValueError: if the name does not end in ``.drag``. :raises FileExistsError: if there is a file that is
            no edit. :raises OSError: if it cannot be written; the text says why, and what helps.
        """
        check_drag_path(path)  # before it is made
        now = self._session.now()
        write_whole(path, self._session.finish_job(drag_job(now, now.model.generator, now.model.source)))

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, model: str | Generator | None = None, **options: Any) -> Editor:
        """Return an editor that goes on with the edit of a `.drag` file.

        :param model: the generator, where it cannot be found by the name or path noted in the file.
        :raises FileNotFoundError: if there is no such file. :raises DragFileError: if it cannot be taken, a byte was
            changed since it was saved say. :raises ValueError: for one that needs ``model``.
        """
        file = DragFile.read(path)
        source = model if model is not None else file.source
        if source is None:
            raise ValueError(f"{file.name} was made with a generator given as an object; give it as model=…")
        try:
            device = options.pop("device", None)
            found = Model(source) if isinstance(source, Generator) else Model.load(source, device)
        except FileNotFoundError as error:
            said = f"{error}. {file.name} was made with it; where it is elsewhere now, give model=…"
            raise FileNotFoundError(said) from error
        editor = cls(found, **options)
        try:
            editor._carry_out(editor._session.open(file))
        except BaseException:
            editor.close()
            raise
        return editor

    def snapshot(self, size: int = 512) -> Image.Image:
        """Return the picture with its handles (dots), targets (rings) and the way between, ``size`` pixels wide."""
        return draw_points(self.image, self._session.latest.points(), size)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return the widget for a page with a kernel; for one without, a picture of it and words.

        The picture is a trait too: a page that keeps the widget's state, but no kernel, then has what to show.
        """
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        try:
            png = preview_png(self.snapshot(WIDTH))
            data["image/png"] = base64.b64encode(png).decode()
            self.set_trait("still", png)
        except Exception:  # what is shown for want of a kernel must not keep the widget from being shown
            log.exception("no picture for pages without a kernel")
        data["text/plain"] = f"{self._said()}. To pull its points, run this cell in a notebook."
        return data, metadata

    def __repr__(self) -> str:
        return f"<{self._said()}>" if "_session" in self.__dict__ else object.__repr__(self)

    def _said(self) -> str:
        now = self._session.latest
        seed = "" if now.document.seed is None else f", seed {now.document.seed}"
        return f"Editor of {now.model.name}{seed}: {now.status}, step {now.step}"

    def close(self) -> None:
        """Stop, give thread and memory back, and take the widget off the page. May be called twice."""
        if "_session" in self.__dict__:  # it is missing where the constructor raised
            self._session.close()
        super().close()

    def _need_points(self) -> None:
        if not self._session.now().drag.ids:
            raise ValueError('there are no points yet: set editor.points = [{"handle": [x, y], "target": [x, y]}]')

    # --- the worker's side -----------------------------------------------------------------------------------------

    def _publish(self, snapshot: Snapshot) -> None:
        try:
            if snapshot.model is not self._model_on_page:
                self._model_on_page = snapshot.model
                self._entry = self._entry_of(snapshot.model)
                self._send_classes()
                self._send_schema()
            elif type(snapshot.document.drag.config) is not self._schema_on_page:
                self._send_schema()
            self._stream.offer(snapshot)
            # After the state: what is being painted on a picture that is no more must be dropped before.
            if snapshot.document.mask is not self._mask_on_page:
                self._send_mask(snapshot.document.mask)
            self._look_closer(snapshot)
        finally:
            for wake in list(self._listeners):
                with contextlib.suppress(RuntimeError):  # its loop was closed
                    wake()
            self._mirror(snapshot, self._stream.way)

    def _describe(self, snapshot: Snapshot) -> dict[str, Any]:
        if snapshot.settled or time.monotonic() - self._observed_at >= OBSERVE_EVERY:
            self._feedback = self._observer.observe(snapshot.model.generator, snapshot.seen, snapshot.status)
            self._observed_at = time.monotonic()
        return protocol.state_message(snapshot, self._entry, self._feedback)

    def _look_closer(self, snapshot: Snapshot) -> None:
        """Measure what is around new points and send it, unless somebody waits for the first picture of a pull."""
        now = time.monotonic()
        if snapshot.settled:
            self._still_at = now
        waited_for = snapshot.held if snapshot.settled else now - self._still_at < OBSERVE_EVERY
        if waited_for or not self._attended():
            return
        if self._session.beside(lambda: self._observer.look(snapshot.model.generator, snapshot.seen)):
            self._observed_at = 0.0
            self._stream.retell()
            if snapshot.settled:  # in a run the next step leads here again
                self._session.show(weakly(self._look_again))

    def _look_again(self) -> None:
        self._look_closer(self._session.latest)

    def _entry_of(self, model: Model) -> str | None:
        return None if self._model_list is None else self._model_list.entry(model)

    def _attended(self) -> bool:
        return self._stream.attended()

    def _notify(self, text: str) -> None:
        now = time.monotonic()
        self._noticed = [at for at in self._noticed if now - at < 1.0]
        if len(self._noticed) >= MOST_NOTICES:
            return
        self._noticed.append(now)
        self._tell(protocol.notice_message(text))

    def _glimpse(self, document: Document, quick: bool) -> tuple[Image.Image, bool]:
        picture, whole, _ = self._session.glimpse(document, quick)
        if quick and self._outbox.asked and max(picture.size) > PREVIEW:
            picture.thumbnail((PREVIEW, PREVIEW))
            whole = False
        return picture, whole

    def _tell(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        self._outbox.put(message, buffers)

    def _send_now(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        if self.comm is not None:
            self.send(message, buffers)

    def _send_mask(self, mask: np.ndarray | None) -> None:
        self._mask_on_page = mask
        self._tell(*protocol.mask_message(mask, self._resolution))

    def _send_classes(self) -> None:
        self._tell(protocol.classes_message(self._model_on_page.class_names))

    def _send_schema(self) -> None:
        config = self._session.latest.document.drag.config
        self._schema_on_page = type(config)
        self._tell(protocol.schema_message(self._model_on_page, config))

    def _send_models(self) -> None:
        if self._model_list is not None:
            self._tell(protocol.models_message(builtin_names(), self._model_list.files()))

    # --- the page's side -------------------------------------------------------------------------------------------

    def _receive(self, _widget: Any, content: Any, buffers: list[Any]) -> None:
        """Check a message of the page and leave it to the worker, on whatever thread it came."""
        try:
            message = protocol.read(content, buffers, self._resolution)
        except protocol.ProtocolError as error:
            self._notify(str(error))
            return
        session = self._session
        if session.waiting >= MOST_WAITING and not isinstance(message, protocol.Sign | protocol.Ack | protocol.Command):
            self._notify("Too much at once: what was asked for last is not done. Wait a moment, or stop.")
            return
        match message:
            case protocol.Sign(kind, view):
                self._sign(kind, view)
            case protocol.Ack(view, seq, pull, move):
                if move is not None:
                    self._put_point(move)
                self._stream.acknowledge(view, seq, pull=pull)
                if pull and not self._outbox.collect(view):
                    session.show(self._welcome, "welcome")
                self._catch_up()
            case protocol.Point() as point:
                self._put_point(point)
            case protocol.Remove(numbers):
                session.remove_points(numbers)
            case protocol.Command("start"):
                session.start(by_view=True)
            case protocol.Command("reset"):
                session.reset(keep_points=False)
            case protocol.Command("before"):
                answers.before(session, self._tell)
            case protocol.Cancel(number):
                session.cancel(number)
            case protocol.Export():
                self._exports = [export for export in self._exports if not export.done()]
                if len(self._exports) >= MOST_EXPORTS:
                    self._notify(f"{MOST_EXPORTS} files are being made already; wait for one, or cancel them")
                    return
                self._exports.append(exports.send(session, self._tell, message, provenance=self.provenance))
            case protocol.Command(name):
                getattr(session, name)()
            case protocol.Settings(values):
                session.set_settings(values)
            case protocol.Look(step):
                session.look(step)
            case protocol.Branch(step):
                session.branch(step)
            case protocol.Course(since):
                answers.course(session, self._tell, since)
            case protocol.Thumbnails(steps):
                answers.thumbnails(session, self._tell, steps)
            case protocol.NewImage(seed):
                seed = secrets.randbelow(100_000) if seed is None else seed
                session.new_image(seed=seed, truncation=session.latest.document.truncation)
            case protocol.Truncation(value):
                session.retruncate(value)
            case protocol.Label(value):
                session.relabel(value)
            case protocol.Schema():
                self._send_schema()
                self._stream.retell()  # an engine may have been added since, and the state says which is in use
            case protocol.Models():
                session.show(self._send_models, "models")
            case protocol.Load(name):
                self._choose(name)
            case protocol.Mask(mask):
                session.set_mask(mask)

    def _put_point(self, point: protocol.Point) -> None:
        self._session.put_point(point.id, handle=point.handle, target=point.target, pulling=point.pulling)
        if point.start:
            self._session.start(by_view=True)

    def _choose(self, name: str) -> None:
        """Load a listed model that was chosen in the page. Other names are looked up nowhere."""
        listed = self._model_list
        if listed is None:
            self._notify("this editor offers no models; give models=…, a folder, when you make it")
            return
        device = next(self.generator.parameters()).device
        for job in self._session.latest.jobs:
            if job.what == "load":  # somebody has thought better of it
                self._session.cancel(job.id)
        self._session.load(name, lambda progress: Model.load(listed.find(name), "cpu", progress), device)

    def _sign(self, kind: str, view: str) -> None:
        if kind == "bye":
            self._stream.left(view)
            if not self._stream.attended():
                self._session.let_go()
                reruns.left(self)
            return
        self._stream.seen(view)
        if self._session.latest.status == "paused":
            self._session.resume()
        self._send_now(protocol.pong_message(self._stream.sent, withheld=self._outbox.withheld))
        if kind == "ready":
            self._session.show(self._welcome, "welcome")
        else:
            self._catch_up()

    def _welcome(self) -> None:
        """Send everything that a new view lacks."""
        self._stream.again()
        self._stream.pump()
        self._send_mask(self._session.latest.document.mask)
        if self._model_on_page.classes:
            self._send_classes()
        self._send_models()
        self._look_closer(self._session.latest)

    def _catch_up(self) -> None:
        if self._stream.behind():
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self._session.show(self._stream.pump, "newest")


DragGAN = Editor
"""The editor's old name: the very same class."""


def _read_model(
    model: str | os.PathLike[str] | Generator | Model,
    listed: ModelList | None,
    device: Any,
    progress: OnProgress | None = None,
) -> Model:
    """Return the model that somebody means in Python: a name or a path first, then a file of the listed folder."""
    if isinstance(model, Model):
        return model
    if isinstance(model, Generator):
        return Model(model)
    try:
        return Model.load(model, device, progress)
    except FileNotFoundError:
        if listed is None or os.fspath(model) not in listed.files():
            raise
        return Model.load(listed.find(os.fspath(model)), device, progress)
