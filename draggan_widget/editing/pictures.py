"""Pictures while somebody waits for them: sharp ones, and fewer of them where they take long.

Only where a whole picture is late even at its quickest is one of half the side shown, blown up, while the edit moves,
and the whole one as soon as it rests.
"""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from draggan_widget.editing.finishing import finish_of, finished
from draggan_widget.editing.thread_tuner import Threads
from draggan_widget.engines import picture_of, to_image
from draggan_widget.models import Compositor, Diffusion, Generator, Layer, StyleGAN2, captured, for_glances

if TYPE_CHECKING:
    from draggan_widget.editing.document import Document
    from draggan_widget.editing.model import Model

Layers = Sequence[Layer]
"""What a picture is made of, from the lowest layer up; most have one."""
LATE = 0.15
"""Seconds that a whole picture may take while an edit moves, where there is one of half the side instead."""
CLEARLY = 0.8
"""Of the time of an exact whole picture: what is less exact has to be quicker than that."""
THUMBNAIL = 64
"""Height of a thumbnail in pixels."""


class Glimpse(NamedTuple):
    """A picture while somebody waits for it."""

    picture: Image.Image
    exact: bool
    """Whether it is the one that is shown at rest, to the bit."""
    sharp: bool
    """Whether it is computed at full resolution, rather than a smaller one blown up."""


class _Source:
    """A generator, and how quick it is at whole pictures."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.quickest = math.inf
        """Seconds that the quickest picture took. How sharp pictures are hangs on nothing else: it changes once at
        most, to finer ones, and who is busy with something else for a while gets fewer pictures, no coarser ones."""
        self._taken = 0

    @property
    def known(self) -> bool:
        """Whether that says something: the first picture prepares what the others find ready."""
        return self._taken > 1

    def timed(self, make: Callable[[], Image.Image]) -> Image.Image:
        """The picture that ``make`` makes."""
        began = time.perf_counter()
        picture = make()
        self._taken += 1
        self.quickest = min(self.quickest, time.perf_counter() - began)
        return picture


class Painter:
    """Makes pictures of one generator, and learns how long they take."""

    def __init__(self, generator: Generator, hurried: Callable[[], bool] = lambda: False) -> None:
        self.generator = generator
        """Whose pictures it makes."""
        self._hurried = hurried
        self._threads = Threads()
        self._compositor = Compositor(generator)
        self._exact = _Source(generator)
        self._glances: _Source | None = None

    @torch.no_grad()
    def whole(self, layers: Layers) -> Image.Image:
        """The picture of layers."""
        return self._exact.timed(lambda: to_image(self._synthesize(layers)))

    @torch.no_grad()
    def settled(self, layers: Layers) -> Glimpse:
        """Return the whole picture; one that is made in many steps is left for a guess at it where somebody waits."""
        generator = self.generator
        if not isinstance(generator, Diffusion):
            return Glimpse(self.whole(layers), True, True)
        clean = latent = layers[-1].latent
        for clean in generator.denoising(latent):  # noqa: B007 - the last is the picture
            if self._hurried():
                return self._guessed(latent)
        return Glimpse(to_image(generator.decode(clean)), True, True)

    def _guessed(self, latent: Tensor) -> Glimpse:
        generator = self.generator
        return Glimpse(to_image(generator.preview(latent, generator.blocks[-1])), False, False)

    @torch.no_grad()
    def quick(self, layers: Layers) -> Glimpse:
        """Return a picture of layers of the same size as ``whole`` gives, while steps are taken."""
        if isinstance(self.generator, Diffusion):
            return self._threads(lambda: self._guessed(layers[-1].latent))
        source = self._source()
        block = self._half if source.known and source.quickest > LATE else None
        if block is not None:
            preview = self._threads(lambda: self._enlarged(self._made(layers, block, source.generator)))
            return Glimpse(preview, False, False)
        if source is self._exact:
            return Glimpse(self._threads(lambda: self.whole(layers)), True, True)
        picture = self._threads(lambda: source.timed(lambda: to_image(self._made(layers, None, source.generator))))
        return Glimpse(picture, False, True)

    def _source(self) -> _Source:
        """What quick pictures come from: what is less exact only where it is clearly quicker."""
        if self._glances is None and self._exact.known:
            glances = for_glances(self.generator)
            self._glances = self._exact if glances is None else _Source(glances)
        if self._glances is None:
            return self._exact
        slow = self._glances.known and self._glances.quickest > CLEARLY * self._exact.quickest
        return self._exact if slow else self._glances

    def _enlarged(self, picture: Tensor) -> Image.Image:
        height, width = self.generator.resolution
        return to_image(picture).resize((width, height), Image.Resampling.BICUBIC)

    def thumbnail(self, layers: Layers) -> Image.Image:
        """A picture of layers that is ``THUMBNAIL`` pixels high, from no more blocks than it takes."""
        generator = self.generator
        height, width = generator.resolution
        if isinstance(generator, Diffusion):
            with torch.no_grad():
                guessed = self._guessed(layers[-1].latent).picture
            return guessed.resize((max(1, round(width * THUMBNAIL / height)), THUMBNAIL), Image.Resampling.LANCZOS)
        enough = [block for block in generator.blocks[:-1] if generator.map_size(block)[0] >= THUMBNAIL]
        with torch.no_grad():
            small = bool(enough) and generator.has_previews
            picture = to_image(self._made(layers, enough[0] if small else None, generator))
        return picture.resize((max(1, round(width * THUMBNAIL / height)), THUMBNAIL), Image.Resampling.LANCZOS)

    def _made(self, layers: Layers, block: int | None, by: Generator) -> Tensor:
        """The picture of layers, or the preview of a block, the topmost made by a copy of the generator say."""
        if len(layers) > 1:
            return self._compositor.picture(layers, block, by)
        ws = layers[0].latent
        return by.synthesize(ws) if block is None else by.preview(ws, block)

    def _synthesize(self, layers: Layers) -> Tensor:
        """The whole picture of layers, exact."""
        generator, ws = self.generator, layers[0].latent
        if len(layers) > 1 or ws.device.type != "cuda" or not isinstance(generator, StyleGAN2):
            return self._made(layers, None, generator)
        with _lock:
            replay = _replays.get(generator)
            if replay is None or replay.made_for != _made_for(generator):
                replay = _replays[generator] = _Replay(generator, ws)
            return replay(ws)

    @property
    def _half(self) -> int | None:
        """The block whose picture has half the side; None where there is none."""
        generator = self.generator
        if not generator.has_previews or len(generator.blocks) < 2:
            return None
        block = generator.blocks[-2]
        return block if 2 * generator.map_size(block)[0] >= generator.resolution[0] else None


class _Replay:
    """Whole pictures on CUDA by a graph: some thousand small tasks, which otherwise wait for the processor."""

    def __init__(self, generator: StyleGAN2, ws: Tensor) -> None:
        self.made_for = _made_for(generator)
        self._ws = latent = ws.clone()
        alive = weakref.ref(generator)  # or what is remembered of a generator would keep it

        def compute() -> tuple[Tensor, ...]:
            generator = alive()
            assert generator is not None
            return (generator.synthesize(latent),)

        self._again, (self._picture,) = captured(compute)

    def __call__(self, ws: Tensor) -> Tensor:
        self._ws.copy_(ws)
        self._again()
        return self._picture.clone()  # the next one overwrites it


_lock = threading.Lock()
"""Editors and histories of one generator share its graph, each in a thread of its own."""
_replays: weakref.WeakKeyDictionary[StyleGAN2, _Replay] = weakref.WeakKeyDictionary()


def _made_for(generator: StyleGAN2) -> tuple[object, int]:
    """What a graph holds only for: what the convolutions multiply in, and where the weights lie."""
    return generator.operands, next(generator.parameters()).data_ptr()


class Studio:
    """Has one painter at a time, who learns how long pictures of his model take. It belongs to the worker's thread.

    :param hurried: whether somebody waits for the thread, asked between the steps of a picture that takes many.
    """

    def __init__(self, hurried: Callable[[], bool] = lambda: False) -> None:
        self._painter: Painter | None = None
        self._hurried = hurried

    def picture(self, document: Document, *, bare: bool = False) -> Image.Image:
        """Return the whole picture. :param bare: before its finish, as the model makes it."""
        picture = document.drag.image
        return picture if bare else finished(document, picture)

    def before(self, document: Document) -> Image.Image:
        """Return the picture that the edit began with; of a photograph what was cut of it."""
        photo = document.model.photo
        if photo is not None and document.seed is None and torch.equal(document.drag.w0, photo.latent):
            return photo.crop
        return picture_of(document.model.generator, [Layer(document.drag.w0)])

    def glimpse(self, document: Document, quick: bool) -> Glimpse:
        """Return a picture to be shown, and whether it is the whole one, which only a ``quick`` one may not be."""
        layers, painter = document.drag.layers, self._painter_of(document.model)
        glimpse = painter.quick(layers) if quick else painter.settled(layers)
        if not finish_of(document):
            return glimpse
        picture = finished(document, glimpse.picture, quick=quick)
        return Glimpse(picture, glimpse.exact and not quick, glimpse.sharp)

    def thumbnail(self, document: Document, layers: Layers | None = None) -> Image.Image:
        """Return a small picture. :param layers: of another moment of the edit; None: as it is in ``document``."""
        layers = document.drag.layers if layers is None else layers
        return finished(document, self._painter_of(document.model).thumbnail(layers), quick=True)

    def _painter_of(self, model: Model) -> Painter:
        if self._painter is None or self._painter.generator is not model.generator:
            self._painter = Painter(model.generator, self._hurried)
        return self._painter
