"""Diffusion models that begin with a latent of their own: of a picture that is learnt, or of an instruction.

Both are long work, which tells how far it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from draggan_widget.models import Diffusion
from draggan_widget.models.diffusion import Identity, Instructing, bare, ended, instructing, inverting, learning
from draggan_widget.texts import printable

if TYPE_CHECKING:
    from draggan_widget.editing.model import Model, OnProgress

LEARNING = 0.8
"""Part of the work that learning is; the rest is walking up the way to noise."""
REFINE = 2
LEARNT = "learning of a picture"
"""What undo calls that."""


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
    return dataclasses.replace(model, generator=learnt, begins=latent, begun=LEARNT)


def instructed(
    model: Model,
    latent: Tensor,
    object_: Any,
    by: Sequence[float],
    prompt: str | None,
    progress: OnProgress,
    settings: Instructing | None = None,
) -> Model:
    """Return the model with whose latent an edit begins in which an object was moved and other words were said of it.

    :param progress: as ``knowing`` takes it; the rest is that of ``instructing``, which says what it raises.
    """
    generator = model.generator
    assert isinstance(generator, Diffusion)
    work = instructing(generator, latent, object_, by, prompt=prompt, settings=settings)
    changed, begins = ended(work, lambda climb: progress(climb.level / climb.of))
    moved = f"move of {object_}" if isinstance(object_, str) else "move of an object"
    return dataclasses.replace(model, generator=changed, begins=begins, begun=printable(moved))


def as_pixels(picture: Image.Image, generator: Diffusion) -> Tensor:
    """Return the middle of a picture as (1, channels, H, W) in [-1, 1]."""
    height, width = generator.resolution
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[generator.channels]
    fitted = np.asarray(ImageOps.fit(picture.convert(mode), (width, height), Image.Resampling.LANCZOS))
    pixels = torch.from_numpy(fitted.copy()).view(1, height, width, -1).permute(0, 3, 1, 2)
    return (pixels.float() / 127.5 - 1).to(generator.scale)
