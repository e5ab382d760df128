"""The notebook's face: a widget in which a person grabs points of a GAN image and pulls them where they should be."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from draggan_widget.editing import (
    DragFile,
    History,
    Kind,
    Model,
    Placing,
    Session,
    Snapshot,
    check_drag_path,
    check_truncation,
    drag_job,
    draw_points,
    finished,
    pasted,
    prompt_of,
    read_mask,
    save_mask,
    with_settings,
)
from draggan_widget.engines import blend_of, default_config, engine_of
from draggan_widget.files import write_whole
from draggan_widget.inversion import Inversion, open_photo
from draggan_widget.models import Generator, check_seed
from draggan_widget.models.diffusion import Identity, Instructing
from draggan_widget.texts import printable
from draggan_widget.widget import exports
from draggan_widget.widget.attributes import Attributes
from draggan_widget.widget.engine_settings import is_setting
from draggan_widget.widget.hosts import reruns
from draggan_widget.widget.inbox import Inbox
from draggan_widget.widget.model_list import ModelList, model_of_file, read_model
from draggan_widget.widget.states import EditState, States
from draggan_widget.widget.static_preview import WIDTH, preview
from draggan_widget.widget.traits import EditTraits, weakly
from draggan_widget.widget.views import Views

if TYPE_CHECKING:
    from draggan_widget.directions import Clip
    from draggan_widget.engines import DragResult
    from draggan_widget.inversion import Photo, Square

log = logging.getLogger(__name__)
BUNDLE = Path(__file__).parent / "static" / "index.js"


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
    :param first: who makes the first step of a run, a jump: ``"predicted"``, or settings of an engine that jumps.
    :param photo: your own photograph, as ``open_photo`` takes it: it takes the place of the first picture, and the
        model is tuned for it, or a diffusion model learns it; the constructor does not wait for that.
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
        first: Any = None,
        points: list[dict[str, Any]] | None = None,
        mask: Any = None,
        device: str | None = None,
        photo: Any = None,
        **layout: Any,
    ) -> None:
        opened = None if photo is None else open_photo(photo)  # what is wrong with it is said before all else
        seed, truncation = check_seed(seed), check_truncation(truncation)
        self._model_list = None if models is None else ModelList(models)
        model = read_model(model, self._model_list, device)
        own = config or default_config(model.generator, layout.get("engine"))
        chosen = {name: layout.pop(name) for name in list(layout) if is_setting(type(self), name, own)}
        config, speed = with_settings(model.generator, own, None, chosen)
        self._session = Session(
            model,
            seed=seed,
            truncation=truncation,
            label=label,
            config=config,
            first=first,
            speed=speed,
            on_change=weakly(self._publish),
            on_notice=weakly(self._notify),
            attended=weakly(self._attended, otherwise=False),
        )
        self._states = States(self._session)
        self.attributes = Attributes(self._session, weakly(self._carry_out))
        self._views = Views(self, self._session, self._model_list)
        self._inbox = Inbox(
            self._session,
            self._views,
            self._model_list,
            weakly(self._says_provenance, True),
            weakly(self._left),
            self.attributes,
        )
        super().__init__(**layout)
        # ipykernel 7.4 answers on the shell a comm last sent from, which would queue Stop behind a blocking cell.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: default
        self.on_msg(self._inbox.receive)
        if points is not None:
            self.points = points
        if mask is not None:
            self.mask = mask
        if opened is not None:
            self._session.open_own(opened, ask=weakly(self._ask))
        reruns.note(self)

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
        """Take all settings as the model has them, ``speed`` included, and no first jump; the edit stays."""
        self._carry_out(self._session.reset_settings())

    def change(self, attribute: str | Mapping[str, float], amount: float | None = None) -> list[str]:
        """Change an attribute of the picture, ``change("smile", +1)``, or several, ``change({"age": 1, "smile": -1})``.

        Amounts are in σ, the spread of the model's own pictures; beyond these it goes no farther. One step of undo.

        :returns: sentences about what could not be had. :raises ValueError: for an unknown attribute or no number.
        """
        amounts: Mapping[str, Any] = attribute if isinstance(attribute, Mapping) else {attribute: amount}
        return self.attributes.change(amounts)

    def say(self, text: str, *, clip: Clip | str | os.PathLike[str] | None = None) -> list[str]:
        """Change what a text asks for: ``say("older, smiling a bit, hair much longer")``. One step of undo.

        :param clip: what words beyond the list are looked up by: a folder that holds a CLIP model, as transformers
            saves it, or a ``directions.Clip``. The first time it looks at 256 pictures of the model, for half a minute
            on two cores; phrases that it has found stay among the attributes.
        :returns: sentences about what could not be had, or was not understood.
        :raises ValueError: if nothing of it is known, or if it contradicts itself. The picture then stays as it is.
        :raises FileNotFoundError: if there is no such folder. :raises ModuleNotFoundError: without transformers.
        """
        return self.attributes.say(text, clip=clip)

    def hold(self, *names: str) -> None:
        """Let no step change these attributes, groups or sets: ``hold("identity", "hair_length")``.

        :raises ValueError: for a name that is none.
        """
        self.attributes.hold(names)

    def release(self, *names: str) -> None:
        """Hold these no longer; without names, nothing at all. :raises ValueError: if one of them is not held."""
        self.attributes.release(names)

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
        async with contextlib.aclosing(self._states.until_ended()) as states:
            async for state in states:
                yield state

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
        document = session.newest().document
        made = functools.partial(finished, document)
        return History(document.records, document.model.generator, session.turn, blend_of(document.config), made)

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

    @property
    def prompt(self) -> str | None:
        """What the picture shows, in the words of a diffusion model; None for a model that reads no prompts.

        Setting it begins a new edit of the same seed; undo leads back. :raises ValueError: for words that the model
        does not have, more of them than it reads, or a model without prompts.
        """
        return prompt_of(self._session.latest.model)

    @prompt.setter
    def prompt(self, prompt: str) -> None:
        self._session.newest()  # of which model it is meant
        self._loaded(self._session.prompt(prompt))

    def load_model(self, model: str | os.PathLike[str] | Generator | Model) -> None:
        """Go on with another model, and a new edit of the same seed, truncation and class, where it has them.

        Waits until it is loaded; what runs goes on till then. Points and mask go, and settings that you chose stay
        where the model has their blocks. Undo leads back to the model before and its edit, as long as it is one of the
        last two. If it cannot be loaded, or you interrupt the cell, everything stays as it is.

        :param model: name of a built-in generator, path of any checkpoint, name of a file in the folder that was given
            as ``models``, a ``Generator``, or a ``Model``, which has a name.
        :raises FileNotFoundError: if there is no such model. :raises CheckpointError: if it cannot be taken.
        """
        given = isinstance(model, (Generator, Model))
        kind = model.name if isinstance(model, Model) else type(model).__name__
        name = printable(kind if isinstance(model, (Generator, Model)) else Path(model).name)
        device = None if given else next(self.generator.parameters()).device
        # Not this editor's own method: while it is read, nothing else must keep the editor alive.
        listed = self._model_list
        self._loaded(self._session.load(name, lambda progress: read_model(model, listed, "cpu", progress), device))

    def open_photo(
        self,
        photo: Any,
        *,
        square: Square | Sequence[float] | None = None,
        face: int | None = None,
        settings: Inversion | None = None,
    ) -> None:
        """Go on with a photograph: it is fitted, and a copy of the present model tuned for it, as ``invert`` does.

        Waits until it is done. The page shows it at once, better and better; points can be pulled meanwhile, for whose
        sake tuning waits, and *Good enough* ends it as far as it has come. Undo leads back to the model and the edit
        before. If you cancel it on the page or interrupt the cell, the edit is again as it was.

        :param photo: a path, bytes, a PIL picture or an array. :param square: where the picture lies in it.
        :param face: which of several faces, the largest first. :param settings: of the inversion; None:
            those of ``inversion``.
        :raises FileNotFoundError: if there is no such file. :raises ValueError: for a photograph that cannot be used.
        """
        how: dict[str, Any] = {"square": square, "face": face, "settings": settings}
        self._loaded(self._session.open_photo(open_photo(photo), ask=weakly(self._ask), **how))

    def learn(self, picture: Any, settings: Identity | None = None) -> None:
        """Go on with a picture of your own: the diffusion model learns it, and it is walked up its way to noise.

        Waits until it is done; the page shows how far it is. Undo leads back to the edit before. If you cancel it on
        the page or interrupt the cell, the edit stays as it was.

        :param picture: a path, bytes, a PIL picture or an array; its middle is taken. :param settings: of learning;
            None: those of ``identity``.
        :raises FileNotFoundError: if there is no such file. :raises ValueError: for a picture that cannot be used, or
            another model than a diffusion model. :raises ModuleNotFoundError: without PEFT.
        """
        opened = open_photo(picture)  # what is wrong with it is said before all else
        self._session.newest()  # of which model it is meant
        self._loaded(self._session.learn(opened, opened.name, settings))

    def instruct(
        self,
        object_: Any,
        by: Sequence[float] = (0.0, 0.0),
        *,
        prompt: str | None = None,
        settings: Instructing | None = None,
    ) -> None:
        """Move an object of a diffusion model's picture, and change what is said of it, in one edit.

        ``instruct("car", by=(40, 0), prompt="photo of a blue car")``. Waits until it is done; the page shows how far it
        is. The rest of the picture stays. It is one step of undo, and points can be pulled from there on. If you cancel
        it on the page or interrupt the cell, the edit stays as it was.

        :param object_: a word of the present prompt, or a mask (H, W), 0 … 1. :param by: pixels to the right and down.
        :param prompt: what is to be said of the picture from now on; None for the same. :param settings: of the
            energies that lead it; None: as they come. See ``models.diffusion.instructions``.
        :raises ValueError: for a model without prompts, a word that the prompt does not have, a prompt that the model
            cannot read, or an object that would leave the picture.
        """
        self._session.newest()  # of which picture it is meant
        self._loaded(self._session.instruct(object_, by, prompt, settings))

    @property
    def inversion(self) -> Inversion:
        """The settings with which photographs are fitted and tuned, those too that a page opens."""
        return self._session.inversion or Inversion()

    @inversion.setter
    def inversion(self, settings: Inversion) -> None:
        if not isinstance(settings, Inversion):
            raise TypeError(f"inversion is a {type(settings).__name__}; give draggan_widget.inversion.Inversion(…)")
        self._session.inversion = settings

    @property
    def identity(self) -> Identity:
        """The settings with which a diffusion model learns pictures, those too that a page opens."""
        return self._session.identity or Identity()

    @identity.setter
    def identity(self, settings: Identity) -> None:
        if not isinstance(settings, Identity):
            raise TypeError(
                f"identity is a {type(settings).__name__}; give draggan_widget.models.diffusion.Identity(…)"
            )
        self._session.identity = settings

    @property
    def photo(self) -> Photo | None:
        """The photograph that is edited, with ``latent``, ``crop`` and ``report``; None for another picture.

        While it is still tuned, it is what it is at that moment.
        """
        session = self._session
        return session.read(lambda: session.newest().model.photo_now())

    def photograph(self, *, whole: bool = False) -> Image.Image:
        """Return the photograph in full size with the edit in it; where the edit changed nothing it is as it was.

        Outside the mask, if there is one, no pixel changes. :param whole: see ``Photo.paste``.

        :raises ValueError: if no photograph is edited.
        """
        session, now = self._session, self._session.now()
        picture = session.picture(now, bare=True)
        return session.turn(lambda: pasted(now, picture, whole=whole))()

    def _loaded(self, loaded: Future[None]) -> None:
        """Wait until another model has come. An interrupt of the cell cancels it."""
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
        editor = cls(model_of_file(file, model, options.pop("device", None)), **options)
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
            mime, picture = preview(self.snapshot(WIDTH))
            data[mime] = base64.b64encode(picture).decode()
            self.set_trait("still", picture)
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

    # --- what session and views call -------------------------------------------------------------------------------

    def _publish(self, snapshot: Snapshot) -> None:
        try:
            self._views.publish(snapshot)
            self._inbox.panels.follow(snapshot.model)
        finally:
            self._states.wake()
            self._mirror(snapshot, self._views.stream.way)

    def _notify(self, text: str) -> None:
        self._views.notify(text)

    def _ask(self, placing: Placing) -> None:
        self._inbox.uploads.ask(placing)

    def _attended(self) -> bool:
        return self._views.stream.attended()

    def _says_provenance(self) -> bool:
        return self.provenance

    def _left(self) -> None:
        reruns.left(self)


DragGAN = Editor
"""The editor's old name: the very same class."""
