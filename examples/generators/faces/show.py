"""The strip of edits of faces."""

from __future__ import annotations

import beside  # noqa: F401  for what is shared
import numpy as np
from PIL import Image
from sheets import Edit, picture_of, strip

from draggan_widget import drag
from draggan_widget.inversion import Landmarks
from draggan_widget.models import Generator

EDITS = (
    ("smile", 9, (48, 54), ((-0.04, -0.035), (0.04, -0.035))),
    ("open the mouth", 16, (51, 57), ((0.0, -0.02), (0.0, 0.06))),
    ("turn the head", 31, (30,), ((0.09, 0.0),)),
    ("look up", 14, (30,), ((0.0, -0.06),)),
)
"""What, seed, dlib's landmarks that are pulled, and how far, in picture widths."""


def edit_strip(generator: Generator, side: int = 256) -> Image.Image:
    """Four edits side by side: above before, with handles and where they go, below after."""
    find, shown = Landmarks(), []
    for what, seed, numbers, ways in EDITS:
        ws = generator.mapping(seed=seed, truncation=0.7)
        before = picture_of(generator, ws)
        marks = find(before)
        if marks is None:
            raise RuntimeError(f"no face is found in seed {seed}, whose edit is to be shown")
        width = before.shape[1]
        handles = [marks[number] for number in numbers]
        targets = [handle + width * np.array(way) for handle, way in zip(handles, ways, strict=True)]
        shown.append(Edit(what, before, handles, targets, drag(generator, ws, handles, targets).image))
    return strip(shown, side)
