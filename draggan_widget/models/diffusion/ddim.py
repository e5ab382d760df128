"""A picture as a latent: DDIM inversion, the deterministic way from noise to picture walked upwards.

Song et al., *Denoising Diffusion Implicit Models*, ICLR 2021, section 4.3. What the network would say of the noisier
picture is not known yet, so it is asked of the one before, as the field does; ``refine`` asks again of what came of it
(fixed points: Pan et al., *AIDI*, ICCV 2023), until the way down leads back to the very picture.
"""

from __future__ import annotations

from collections.abc import Generator as Work
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from draggan_widget.models.diffusion.network import Diffusion
from draggan_widget.models.working import ended
from draggan_widget.settings import check_whole


class Climb(NamedTuple):
    """How far an inversion is."""

    level: int
    """The level that was reached."""
    of: int
    """The one that is to be reached."""


def inverted(model: Diffusion, picture: Tensor, *, refine: int = 0) -> Tensor:
    """Return the latent (1, 2·C, h, w) of a picture (1, channels, H, W) in [-1, 1]. See ``inverting``."""
    return ended(inverting(model, picture, refine=refine))


def inverting(model: Diffusion, picture: Tensor, *, refine: int = 0) -> Work[Climb, None, Tensor]:
    """Do what ``inverted`` does level by level, so that it can be left at any.

    Guidance is put aside: walked upwards it would lead astray (Mokady et al., *Null-text Inversion*, CVPR 2023).

    :param refine: how often more the network is asked at each level, of what its answer led to.
    :raises ValueError: for a picture of another shape, or with numbers that are not finite.
    """
    refine = check_whole("refine", refine, 0, 100)
    wanted = (1, model.channels, *model.resolution)
    if tuple(picture.shape) != wanted:
        raise ValueError(f"the picture has shape {tuple(picture.shape)}; this model inverts {wanted}")
    if not bool(torch.isfinite(picture).all()):
        raise ValueError("the picture holds NaN or infinite numbers; give one in [-1, 1]")
    with torch.no_grad():
        reached = model.encode(picture)
    for level, noisy in enumerate(climbed(model, reached, refine), start=1):
        reached = noisy
        yield Climb(level, model.level)
    return model.paired(reached)


def climbed(model: Diffusion, clean: Tensor, refine: int = 0) -> Iterator[Tensor]:
    """Yield the noisy pictures (N, C, h, w) of levels 1 to that of a latent, of level 0."""
    plain = model.sampled(guidance=1.0) if model.sampling.guidance != 1 else model
    noisy = clean
    for level in range(1, model.level + 1):
        below = noisy
        with torch.no_grad():
            for _ in range(refine + 1):
                noisy = _up(plain, below, noisy, level)
        yield noisy


def _up(model: Diffusion, below: Tensor, asked: Tensor, level: int) -> Tensor:
    """Return noisy pictures at a level whose step down leads to ``below``, if the noise ε is the one seen in ``asked``.

    ``below`` is ``a'·x0 + s'·ε``: so x0 follows, and the level above is ``a·x0 + s·ε``.
    """
    schedule = model.schedule
    _, noise = schedule.split(asked, model.said(asked, level), level)
    a, s = schedule.parts(level - 1)
    return schedule.join((below - s * noise) / a, noise, level)
