"""The notebook's face: a widget in which a person grabs points of a GAN image and pulls them where they should be."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anywidget
import numpy as np
import traitlets
from PIL import Image

from draggan_widget.config import DragConfig
from draggan_widget.editing import (
    History,
    Session,
    Snapshot,
    check_mask,
    check_points,
    load_drag,
    save_drag,
)
from draggan_widget.editing.dragfile import read_source
from draggan_widget.generators import Generator, load_generator
from draggan_widget.generators.base import check_seed
from draggan_widget.widget import protocol
from draggan_widget.widget.stream import FrameStream

if TYPE_CHECKING:
    from draggan_widget.dragging import DragResult

T = TypeVar("T")
BUNDLE = Path(__file__).parent / "static" / "index.js"


class DragGAN(anywidget.AnyWidget):
    """An editor for the pictures of a GAN, to be displayed in a notebook.

    Press on the picture and pull: the point under the pointer follows, and the rest of the picture with it. All of it
    can be done from Python as well, with or without a browser. Methods return at once; ``await editor.finished()``
    waits. Positions are image pixels (x, y), x to the right and y down, pixel centres at integers.

    :param model: name of a built-in generator (``"faces"``), path of a checkpoint, or a ``Generator``.
    :param seed: of the first picture, 0 to 2³²-1. :param truncation: ψ, 0 to 2; nearer 0 is more ordinary.
    :param config: settings of the drag; None for the generator's own.
    :param device: where it computes, as torch names it; None picks the best there is.
    :raises FileNotFoundError: for a name that is no file and no built-in generator.
    :raises CheckpointError: for a file that cannot be taken.
    """

    # Text, because anywidget keeps every instance alive whose module is given as a path.
    _esm = BUNDLE if os.environ.get("ANYWIDGET_HMR") == "1" else BUNDLE.read_text(encoding="utf-8")

    points: Any = traitlets.List(help='[{"id": 1, "handle": [x, y], "target": [x, y]}, …]').tag(sync=True)
    status = traitlets.Unicode("idle", help="idle running paused arrived stalled capped stopped error").tag(sync=True)
    step = traitlets.Int(0, help="steps done since the edit began").tag(sync=True)
    seed = traitlets.Int(0, allow_none=True, help="of the picture the edit began with").tag(sync=True)
    truncation = traitlets.Float(0.7, help="of the picture the edit began with").tag(sync=True)
    mask = traitlets.Any(None, allow_none=True, help="(H, W), 1 = may move; None = everything may")

    def __init__(
        self,
        model: str | os.PathLike[str] | Generator = "faces",
        *,
        seed: int = 0,
        truncation: float = 0.7,
        config: DragConfig | None = None,
        device: str | None = None,
        **layout: Any,
    ) -> None:
        seed, truncation = check_seed(seed), protocol.check_truncation(truncation)
        self._adopting: int | None = threading.get_ident()
        self._loop = _running_loop()
        self._source = None if isinstance(model, Generator) else os.fspath(model)
        generator = model if isinstance(model, Generator) else load_generator(model, device)
        self._name = type(generator).__name__ if self._source is None else Path(self._source).stem
        self._resolution = generator.resolution
        self._adoption_due = False
        self._session = Session(
            generator,
            seed=seed,
            truncation=truncation,
            config=config,
            on_change=_weakly(self._publish),
            on_notice=_weakly(self._notify),
            attended=_weakly(self._attended, otherwise=False),
        )
        self._stream = FrameStream(_weakly(self._tell), _weakly(self._describe), self._session.picture)
        self._stream.offer(self._session.latest)
        self._mask_on_page: np.ndarray | None = None
        super().__init__(seed=seed, truncation=truncation, **layout)
        # ipykernel 7.4 answers on the shell a comm last sent from, which would queue Stop behind a blocking cell.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: default
        self.on_msg(_weakly(self._receive))
        self._adopting = None

    # --- the edit, from Python -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Pull the handles to their targets, to the end, whether or not anybody looks.

        :raises ValueError: if there are no points.
        """
        self._need_points()
        self._session.start()

    def stop(self) -> None:
        """End the run after the step in hand."""
        self._session.stop()

    def step_once(self) -> None:
        """One step. :raises ValueError: if there are no points."""
        self._need_points()
        self._session.step_once()

    def reset(self) -> None:
        """Back to the picture the edit began with; points stay. Undo brings the edit back."""
        self._session.reset()

    def undo(self) -> None:
        """Back by one gesture or one run."""
        self._session.undo()

    def redo(self) -> None:
        """Forward again by one gesture or one run."""
        self._session.redo()

    async def finished(self) -> DragResult:
        """Wait until no run is on; needs no browser.

        :returns: the result so far, with ``.reason``, ``.steps``, ``.image``, ``.ws``, ``.handles``.
        :raises Exception: the one that ended the last run, if one did.
        """
        return await asyncio.wrap_future(self._session.finished())

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
        self._session.set_latent(self._check_latent(ws))

    @property
    def history(self) -> History:
        """The course of the edit, one record a step."""
        return History(self._session.now().records)

    @property
    def config(self) -> DragConfig:
        """The settings of the drag. Set them in mid-run and the next step obeys."""
        return self._session.config

    @config.setter
    def config(self, config: DragConfig) -> None:
        if not isinstance(config, DragConfig):
            raise TypeError(f"config is {config!r}; give a DragConfig, such as editor.config.replace(learning_rate=…)")
        self._session.set_config(config).result()

    @property
    def generator(self) -> Generator:
        """The generator whose pictures are edited."""
        return self._session.generator

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the edit as a `.drag` file, from which ``DragGAN.load`` goes on exactly where this one is."""
        save_drag(path, self._session.now(), self.generator, self._source)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, model: str | Generator | None = None, **options: Any) -> DragGAN:
        """The editor of a `.drag` file.

        :param model: the generator, where it cannot be found by the name or path noted in the file.
        :raises FileNotFoundError: if there is no such file. :raises DragFileError: if it cannot be taken.
        """
        source = model if model is not None else read_source(path)
        if source is None:
            raise ValueError(f"{os.fspath(path)} was made with a generator given as an object; give it as model=…")
        generator = source if isinstance(source, Generator) else load_generator(source, options.pop("device", None))
        moment = load_drag(path, generator)
        editor = cls(generator, **options)
        if not isinstance(source, Generator):
            editor._source, editor._name = os.fspath(source), Path(source).stem
        editor._session.restore(moment).result()
        editor._adopt()
        return editor

    def snapshot(self, size: int = 512) -> Image.Image:
        """The picture with its handles (dots), targets (rings) and the way between, ``size`` pixels wide."""
        return draw_points(self.image, self._session.latest.points(), size)

    def close(self) -> None:
        """Stop, give thread and memory back, and take the widget off the page."""
        if "_session" in self.__dict__:  # it is missing where the constructor raised
            self._session.close()
        super().close()

    def _need_points(self) -> None:
        if not self._session.now().drag.ids:
            raise ValueError('there are no points yet: set editor.points = [{"handle": [x, y], "target": [x, y]}]')

    # --- traits ----------------------------------------------------------------------------------------------------

    @traitlets.validate("points")
    def _valid_points(self, proposal: Any) -> list[dict[str, Any]]:
        return _trait_error(check_points, proposal["value"], self._resolution)

    @traitlets.validate("mask")
    def _valid_mask(self, proposal: Any) -> np.ndarray | None:
        return _trait_error(check_mask, proposal["value"], self._resolution)

    @traitlets.validate("seed")
    def _valid_seed(self, proposal: Any) -> int | None:
        return None if proposal["value"] is None else _trait_error(check_seed, proposal["value"])

    @traitlets.validate("truncation")
    def _valid_truncation(self, proposal: Any) -> float:
        return _trait_error(protocol.check_truncation, proposal["value"])

    @traitlets.observe("points")
    def _points_set(self, change: Any) -> None:
        if self._by_user():
            self._session.set_points(change["old"], change["new"])

    @traitlets.observe("mask")
    def _mask_set(self, change: Any) -> None:
        if self._by_user():
            self._session.set_mask(change["new"])

    @traitlets.observe("seed", "truncation")
    def _picture_set(self, change: Any) -> None:  # noqa: ARG002
        if self._by_user() and self.seed is not None:
            self._session.new_image(seed=self.seed, truncation=self.truncation)

    def _by_user(self) -> bool:
        """Whether a trait is being set by somebody else than ``_adopt``, maybe on another thread at the same time."""
        return self._adopting != threading.get_ident()

    def _compare(self, a: Any, b: Any) -> bool:
        # Masks are arrays, which traitlets' own comparison cannot take.
        return a is b if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) else super()._compare(a, b)

    def _adopt(self) -> None:
        """Take what the session published into the traits; on the thread that owns them."""
        self._adoption_due = False
        snapshot = self._session.latest
        moment = snapshot.moment
        self._adopting = threading.get_ident()
        try:
            self.points = [{key: point[key] for key in ("id", "handle", "target")} for point in snapshot.points()]
            self.mask = moment.mask
            self.seed, self.truncation = moment.seed, moment.truncation
            self.step, self.status = snapshot.step, snapshot.status
        finally:
            self._adopting = None

    # --- the worker's side -----------------------------------------------------------------------------------------

    def _publish(self, snapshot: Snapshot) -> None:
        if snapshot.moment.mask is not self._mask_on_page:
            self._send_mask(snapshot.moment.mask)
        self._stream.offer(snapshot)
        # Traits may only be set on one thread. Steps faster than that thread are taken together.
        if self._loop is None or self._loop.is_closed():
            self._adopt()
        elif not self._adoption_due:
            self._adoption_due = True
            self._loop.call_soon_threadsafe(_weakly(self._adopt))

    def _describe(self, snapshot: Snapshot) -> dict[str, Any]:
        return protocol.state_message(snapshot, self._resolution, self._name)

    def _attended(self) -> bool:
        return self._stream.attended()

    def _notify(self, text: str) -> None:
        self._tell(protocol.notice_message(text))

    def _tell(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        if self.comm is not None:
            self.send(message, buffers)

    def _send_mask(self, mask: np.ndarray | None) -> None:
        self._mask_on_page = mask
        self._tell(*protocol.mask_message(mask, self._resolution))

    # --- the page's side -------------------------------------------------------------------------------------------

    def _receive(self, _widget: Any, content: Any, buffers: list[Any]) -> None:
        """A message of the page: check it and leave it to the worker, on whatever thread it came."""
        try:
            message = protocol.read(content, buffers, self._resolution)
        except protocol.ProtocolError as error:
            self._notify(str(error))
            return
        session = self._session
        match message:
            case protocol.Sign(kind, view):
                self._sign(kind, view)
            case protocol.Ack(view, seq):
                if self._stream.acknowledge(view, seq):
                    session.call(self._stream.pump)
            case protocol.Point(number, handle, target, pulling):
                session.put_point(number, handle=handle, target=target, pulling=pulling)
            case protocol.Remove(numbers):
                session.remove_points(numbers)
            case protocol.Command("start"):
                session.start(by_view=True)
            case protocol.Command(name):
                getattr(session, name)()
            case protocol.NewImage(seed):
                seed = random.randint(0, 99_999) if seed is None else seed
                session.new_image(seed=seed, truncation=session.latest.moment.truncation)
            case protocol.Truncation(value):
                session.retruncate(value)
            case protocol.Mask(mask):
                session.set_mask(mask)

    def _sign(self, kind: str, view: str) -> None:
        if kind == "bye":
            self._stream.left(view)
            return
        self._stream.seen(view)
        if self._session.latest.status == "paused":
            self._session.resume()
        if kind == "ping":
            self._tell(protocol.pong_message())
            return
        self._send_mask(self._session.latest.moment.mask)
        self._stream.again()
        self._session.call(self._stream.pump)

    def _check_latent(self, ws: Any) -> Any:
        import torch

        generator = self.generator
        like = next(generator.parameters())
        tensor = torch.as_tensor(ws).to(like)
        if tensor.shape != (1, generator.num_ws, generator.w_dim) or not torch.isfinite(tensor).all():
            raise ValueError(
                f"a latent must be finite and of shape (1, {generator.num_ws}, {generator.w_dim}); "
                f"this one has shape {tuple(tensor.shape)}"
            )
        return tensor


def draw_points(image: Image.Image, points: list[dict[str, Any]], size: int) -> Image.Image:
    """A picture scaled to ``size`` pixels of width, with handles, targets and the way between drawn on it."""
    from PIL import ImageDraw

    scale = size / image.width
    canvas = image.convert("RGB").resize((size, round(image.height * scale)), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    radius = max(3, round(size / 80))
    for point in points:
        (x0, y0), (x1, y1) = (tuple((number + 0.5) * scale for number in point[part]) for part in ("handle", "target"))
        for colour, width in (("black", 4), ("white", 2)):
            draw.line((x0, y0, x1, y1), fill=colour, width=width)
        draw.ellipse((x1 - radius, y1 - radius, x1 + radius, y1 + radius), outline="white", width=2)
        draw.ellipse((x0 - radius, y0 - radius, x0 + radius, y0 + radius), fill="#e5484d", outline="white", width=2)
    return canvas


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _weakly(method: Callable[..., Any], otherwise: Any = None) -> Callable[..., Any]:
    """A function that calls a bound method without keeping its object alive, and does nothing once that is gone."""
    reference = weakref.WeakMethod(method)
    del method  # or the function would hold it after all

    def call(*arguments: Any) -> Any:
        alive = reference()
        return otherwise if alive is None else alive(*arguments)

    return call


def _trait_error(check: Callable[..., T], *arguments: Any) -> T:
    try:
        return check(*arguments)
    except (TypeError, ValueError) as error:
        raise traitlets.TraitError(str(error)) from None
