"""Pictures while somebody waits for them: whole ones where there is time, coarse ones while a hand moves.

A step of a drag computes a small part of the picture, so on a processor the picture soon takes longer than the step.
Then the picture of some first blocks is shown, blown up, while the edit moves, and the whole one as soon as it rests.
"""

from __future__ import annotations

import threading
import time
import weakref

import torch
from PIL import Image
from torch import Tensor

from draggan_widget.editing.thread_tuner import Threads
from draggan_widget.engines import to_image
from draggan_widget.models import Generator, StyleGAN2, captured

LIVELY = 1 / 14
"""Seconds from picture to picture while an edit moves, step and all, where the picture can be coarse enough for it."""
COARSEST = 32
"""Height in pixels below which a picture tells too little to be shown."""
THUMBNAIL = 64
"""Height of a thumbnail in pixels."""


class Painter:
    """Makes pictures of one generator, and learns how long they take."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        """Whose pictures it makes."""
        self._threads = Threads()
        self._whole: float | None = None
        """Seconds that the newest whole picture took."""

    def whole(self, ws: Tensor) -> Image.Image:
        """The picture of ``ws`` (1, num_ws, w_dim)."""
        began = time.perf_counter()
        with torch.no_grad():
            picture = to_image(self._synthesize(ws))
        self._whole = time.perf_counter() - began
        return picture

    def quick(self, ws: Tensor, step_seconds: float = 0.0) -> tuple[Image.Image, bool]:
        """A picture of the same size while steps of ``step_seconds`` are taken, and whether it is the whole one.

        It is the finest that is expected to take no longer than a step does, or to be there ``LIVELY`` after the
        picture before; the coarsest if none is, and the whole one where the generator has no other.
        """
        generator = self.generator
        block = self._block(max(LIVELY - step_seconds, step_seconds))

        def make() -> Image.Image:
            if block is None:
                return to_image(self._synthesize(ws))
            height, width = generator.resolution
            return to_image(generator.preview(ws, block)).resize((width, height), Image.Resampling.BICUBIC)

        with torch.no_grad():
            return self._threads(make, 1.0 if block is None else generator.share(block)), block is None

    def thumbnail(self, ws: Tensor) -> Image.Image:
        """A picture of ``ws`` that is ``THUMBNAIL`` pixels high, from no more blocks than it takes."""
        generator = self.generator
        height, width = generator.resolution
        enough = [block for block in generator.blocks[:-1] if generator.map_size(block)[0] >= THUMBNAIL]
        with torch.no_grad():
            small = bool(enough) and generator.has_previews
            picture = to_image(generator.preview(ws, enough[0]) if small else generator.synthesize(ws))
        return picture.resize((max(1, round(width * THUMBNAIL / height)), THUMBNAIL), Image.Resampling.LANCZOS)

    def _synthesize(self, ws: Tensor) -> Tensor:
        """The whole picture of ``ws``."""
        generator = self.generator
        if ws.device.type != "cuda" or not isinstance(generator, StyleGAN2):
            return generator.synthesize(ws)
        with _lock:
            replay = _replays.get(generator)
            if replay is None or replay.made_for != _made_for(generator):
                replay = _replays[generator] = _Replay(generator, ws)
            return replay(ws)

    def _block(self, budget: float) -> int | None:
        """The finest block whose picture is in time; None for the whole picture."""
        generator = self.generator
        whole = self._threads.expected or self._whole
        if whole is None or whole <= budget:
            return None
        fine_enough = [block for block in generator.blocks[:-1] if generator.map_size(block)[0] >= COARSEST]
        if not fine_enough or not generator.has_previews:
            return None
        in_time = [block for block in fine_enough if generator.share(block) * whole <= budget]
        return in_time[-1] if in_time else fine_enough[0]


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
