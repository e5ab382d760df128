"""The latent whose picture is nearest to a photograph: the pivot (Roich et al., 2021, section 3.1).

It is sought in whitened coordinates, ``ws_r = start + L (c + own · e_r)`` with L Lᵀ the covariance of the model's own
latents: what all rows have in common, and what each has for itself. A prior keeps it among them, so that drags from it
stay natural.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.inversion.losses import unlikeness
from draggan_widget.inversion.settings import Inversion
from draggan_widget.inversion.soap import Soap
from draggan_widget.models import Diffusion, fingerprint, guarded

if TYPE_CHECKING:
    from draggan_widget.inversion.encoder import Encoder
    from draggan_widget.models import Generator

WARM, FADE = 0.1, 0.6
"""Shares of the steps in which the rate rises at first, and after which it falls to nothing."""
COARSE = ((64, 0.2), (128, 0.7))
"""Pixels of the height of the pictures that are compared, and the share of the steps until which they are, where the
model has previews: coarse pictures are cheap, and the pivot is soft anyway."""


@guarded
def first_guess(
    model: Generator, label: int | None = None, picture: Tensor | None = None, encoder: Encoder | None = None
) -> Tensor:
    """Return where a fit begins (1, num_ws, w_dim): what an encoder makes of a picture, or else the mean latent.

    :param label: the class, whose mean it is. :param picture: (1, C, H, W) in [-1, 1].
    :param encoder: one for this model; without it, or a picture, the mean is returned.
    :raises ValueError: for a model with classes and none given, or one that it does not have, and for an encoder that
        was trained for other weights.
    """
    if isinstance(model, Diffusion):
        raise ValueError(
            "a photograph is not fitted to a diffusion model but walked up its way to noise: editor.learn(photo), or "
            "learning and inverted of draggan_widget.models.diffusion"
        )
    if model.label_dim and label is None:
        raise ValueError(f"this model has {model.label_dim} classes; give label=0 to {model.label_dim - 1}")
    mean = model.space.metric(label).mean
    like = next(model.parameters())
    if encoder is not None and picture is not None:
        if encoder.base != fingerprint(model):
            raise ValueError("this encoder was trained for other weights; give the model it is for, or leave it out")
        mean = encoder.guess(picture.cpu())
    return mean.to(like).expand(1, model.num_ws, model.w_dim).clone()


def fit_pivot(
    model: Generator,
    wanted: Tensor,
    start: Tensor | None = None,
    label: int | None = None,
    settings: Inversion | None = None,
) -> Iterator[Tensor]:
    """Yield the latent (1, num_ws, w_dim) after each step of the fit; the last one is the best.

    :param wanted: (1, C, H, W) in [-1, 1], of the model's size. :param start: (1, num_ws, w_dim); None: the mean.
    :raises ValueError: for a picture of another shape, and as ``first_guess``.
    """
    settings = settings or Inversion()
    check_picture(model, wanted)
    start = first_guess(model, label) if start is None else model.space.check(start)
    return _fitted(model, wanted.to(start), start, label, settings)


def _fitted(
    model: Generator, wanted: Tensor, start: Tensor, label: int | None, settings: Inversion
) -> Iterator[Tensor]:
    factor = torch.linalg.cholesky(model.space.metric(label).covariance).to(start)
    common = torch.zeros(1, model.w_dim, dtype=start.dtype, device=start.device, requires_grad=True)
    each = torch.zeros(model.num_ws, model.w_dim, dtype=start.dtype, device=start.device, requires_grad=True)
    descent = Soap([common, each])
    stages = _stages(model, wanted)
    steps = settings.pivot_steps
    best, least = start, math.inf
    for number in range(steps):
        done = number / steps
        latent = start + ((common + settings.own * each) @ factor.T)[None]
        block, seen = next((block, seen) for until, block, seen in stages if done < until)
        loss = unlikeness(model.synthesize(latent) if block is None else model.preview(latent, block), seen)
        loss = loss + settings.prior * (common.square().mean() + each.square().mean())
        common.grad = each.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        now = latent.detach()
        if block is None and float(loss.detach()) < least:
            best, least = now, float(loss.detach())
        if not bool(torch.isfinite(loss)):
            break
        descent.step(settings.pivot_rate * min(1.0, (done + 1 / steps) / WARM) * faded(done, FADE))
        yield best if block is None else now
    yield best


def faded(done: float, after: float) -> float:
    """Return the part of a rate that is left when a share of the steps is ``done``: a cosine, from ``after`` on."""
    return 0.5 * (1 + math.cos(math.pi * max(0.0, (done - after) / (1 - after))))


def _stages(model: Generator, wanted: Tensor) -> list[tuple[float, int | None, Tensor]]:
    """Return until which share of the steps which block's pictures are compared to what; None: whole pictures."""
    found: list[tuple[float, int | None, Tensor]] = []
    for height, until in COARSE:
        block = block_of_height(model, height)
        if block is not None:
            found.append((until, block, F.interpolate(wanted, size=model.map_size(block), mode="area")))
    return [*found, (math.inf, None, wanted)]


def block_of_height(model: Generator, height: int) -> int | None:
    """Return the block whose previews are so many pixels high, and of the picture's shape; None where there is none."""
    for block in model.blocks[:-1] if model.has_previews else ():
        size = model.map_size(block)
        if size[0] == height and size[0] * model.resolution[1] == size[1] * model.resolution[0]:
            return block  # others may have margins around their maps
    return None


def check_picture(model: Generator, wanted: Tensor) -> None:
    """Check a picture. :raises ValueError: if it is not of the model's shape, or not finite."""
    shape = (1, model.channels, *model.resolution)
    if tuple(wanted.shape) != shape:
        raise ValueError(f"the picture has shape {tuple(wanted.shape)}; this model makes {shape}, so crop it to that")
    if not bool(torch.isfinite(wanted).all()):
        raise ValueError("the picture holds NaN or infinite numbers; give one in [-1, 1]")
