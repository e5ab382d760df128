"""A diffusion model that has learnt one picture, and the latent of that: long work, which tells how far it is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from draggan_widget.models.diffusion import Identity, bare, ended, inverting, learning

if TYPE_CHECKING:
    from draggan_widget.editing.model import Model, OnProgress
    from draggan_widget.models import Diffusion

LEARNING = 0.8
"""Part of the work that learning is; the rest is walking up the way to noise."""
REFINE = 2


def knowing(
    model: Model, generator: Diffusion, picture: Image.Image, progress: OnProgress, identity: Identity | None = None
) -> Model:
    """Return the model that knows a picture, with whose latent an edit of it begins.

    :param generator: that of ``model``, which stays as it is. :param picture: its middle is taken, at the model's size.
    :param progress: called after each step with how much is done, 0 … 1; what it raises ends the work there.
    """
    base, wanted = bare(generator), as_pixels(picture, generator)
    learnt = ended(learning(base, wanted, identity), lambda lesson: progress(LEARNING * lesson.step / lesson.of))
    latent = ended(
        inverting(learnt, wanted, refine=REFINE),
        lambda climb: progress(LEARNING + (1 - LEARNING) * climb.level / climb.of),
    )
    return dataclasses.replace(model, generator=learnt, begins=latent)


def as_pixels(picture: Image.Image, generator: Diffusion) -> Tensor:
    """Return the middle of a picture as (1, channels, H, W) in [-1, 1]."""
    height, width = generator.resolution
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[generator.channels]
    fitted = np.asarray(ImageOps.fit(picture.convert(mode), (width, height), Image.Resampling.LANCZOS))
    pixels = torch.from_numpy(fitted.copy()).view(1, height, width, -1).permute(0, 3, 1, 2)
    return (pixels.float() / 127.5 - 1).to(generator.scale)
