"""Pictures while somebody waits for them: whole ones where there is time, coarse ones while a hand moves.

A step of a drag computes a small part of the picture, so on a processor the picture soon takes longer than the step.
Then the picture of some first blocks is shown, blown up, while the edit moves, and the whole one as soon as it rests.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor

from draggan_widget.dragging import to_image
from draggan_widget.generators import Generator

QUICK = 1 / 15
"""Seconds that a picture may take in any case while an edit moves."""
COARSEST = 32
"""Height in pixels below which a picture tells too little to be shown."""
THUMBNAIL = 64
"""Height of a thumbnail in pixels."""
NEWEST = 0.3
"""Weight of the newest measurement of time in their mean."""


class Painter:
    """Makes pictures of one generator, and learns how long they take."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        """Whose pictures it makes."""
        self._whole: float | None = None
        """Seconds that the whole picture takes, or would."""

    def whole(self, ws: Tensor) -> Image.Image:
        """The picture of ``ws`` (1, num_ws, w_dim)."""
        return self._timed(1.0, lambda: to_image(self.generator.synthesize(ws)))

    def quick(self, ws: Tensor, step_seconds: float = 0.0) -> tuple[Image.Image, bool]:
        """A picture of the same size in no more time than a step takes, and whether it is the whole one.

        It is the whole one where that takes less than ``QUICK`` or ``step_seconds``, or where the generator has no
        other; else the finest of those that are expected to be in time.
        """
        block = self._block(max(QUICK, step_seconds))
        if block is None:
            return self.whole(ws), True
        generator = self.generator

        def coarse() -> Image.Image:
            height, width = generator.resolution
            return to_image(generator.preview(ws, block)).resize((width, height), Image.Resampling.BICUBIC)

        return self._timed(generator.share(block), coarse), False

    def thumbnail(self, ws: Tensor) -> Image.Image:
        """A picture of ``ws`` that is ``THUMBNAIL`` pixels high, from no more blocks than it takes."""
        generator = self.generator
        height, width = generator.resolution
        enough = [block for block in generator.blocks[:-1] if generator.map_size(block)[0] >= THUMBNAIL]
        with torch.no_grad():
            small = bool(enough) and generator.has_previews
            picture = to_image(generator.preview(ws, enough[0]) if small else generator.synthesize(ws))
        return picture.resize((max(1, round(width * THUMBNAIL / height)), THUMBNAIL), Image.Resampling.LANCZOS)

    def _block(self, budget: float) -> int | None:
        """The finest block whose picture is in time; None for the whole picture."""
        generator = self.generator
        if self._whole is None or self._whole <= budget:
            return None
        fine_enough = [block for block in generator.blocks[:-1] if generator.map_size(block)[0] >= COARSEST]
        if not fine_enough or not generator.has_previews:
            return None
        in_time = [block for block in fine_enough if generator.share(block) * self._whole <= budget]
        return in_time[-1] if in_time else fine_enough[0]

    def _timed(self, share: float, make: Callable[[], Image.Image]) -> Image.Image:
        began = time.perf_counter()
        with torch.no_grad():
            picture = make()
        took = (time.perf_counter() - began) / share
        self._whole = took if self._whole is None else self._whole + NEWEST * (took - self._whole)
        return picture
