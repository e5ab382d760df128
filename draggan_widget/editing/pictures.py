"""Pictures while somebody waits for them: sharp ones, and fewer of them where they take long.

Only where a whole picture is late even at its quickest is one of half the side shown, blown up, while the edit moves,
and the whole one as soon as it rests.
"""

from __future__ import annotations

import math
import threading
import time
import weakref

import torch
from PIL import Image
from torch import Tensor

from draggan_widget.editing.thread_tuner import Threads
from draggan_widget.engines import to_image
from draggan_widget.models import Generator, StyleGAN2, captured

LATE = 0.15
"""Seconds that a whole picture may take while an edit moves, where there is one of half the side instead."""
THUMBNAIL = 64
"""Height of a thumbnail in pixels."""


class Painter:
    """Makes pictures of one generator, and learns how long they take."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        """Whose pictures it makes."""
        self._threads = Threads()
        self._taken = 0
        """Whole pictures so far; the first prepares what the others find ready."""
        self._quickest = math.inf
        """Seconds that the quickest of them took. How sharp pictures are hangs on nothing else: it changes once at
        most, to finer ones, and who is busy with something else for a while gets fewer pictures, no coarser ones."""

    def whole(self, ws: Tensor) -> Image.Image:
        """The picture of ``ws`` (1, num_ws, w_dim)."""
        began = time.perf_counter()
        with torch.no_grad():
            picture = to_image(self._synthesize(ws))
        self._taken += 1
        self._quickest = min(self._quickest, time.perf_counter() - began)
        return picture

    def quick(self, ws: Tensor) -> tuple[Image.Image, bool]:
        """A picture of the same size while steps are taken, and whether it is the whole one."""
        block = self._half if self._taken > 1 and self._quickest > LATE else None
        if block is None:
            return self._threads(lambda: self.whole(ws)), True

        def make() -> Image.Image:
            height, width = self.generator.resolution
            return to_image(self.generator.preview(ws, block)).resize((width, height), Image.Resampling.BICUBIC)

        with torch.no_grad():
            return self._threads(make), False

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
