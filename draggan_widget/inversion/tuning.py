"""A copy of a model, tuned until the pivot's picture is the photograph: PTI (Roich et al., 2021, section 3.2).

Only weights of the synthesis change, and only as far as needed: it ends once the picture is near enough. Coarse maps of
StyleGAN2, which say where things are, stay the model's own, and so does what latents mean to each layer; that is
quicker as well. Pictures at latents around the pivot are held (section 3.3), so that what is pulled later still moves
as the model knows it. Where that is asked for, those near it are to be what a motion by the model itself would make of
the photograph.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.inversion.losses import FINE, WINDOW, ms_ssim, psnr, unlikeness
from draggan_widget.inversion.lpips import needed_lpips
from draggan_widget.inversion.motion import carried
from draggan_widget.inversion.pivot import block_of_height, check_picture, faded
from draggan_widget.inversion.settings import Inversion
from draggan_widget.models import TunedCopy, difference, fingerprint

if TYPE_CHECKING:
    from draggan_widget.models import Generator

TUNED = "network.synthesis."
"""With which the names of weights begin that are tuned."""
LEFT_ALONE = TUNED + "input."
"""The Fourier features of StyleGAN3, which say where things are (Alaluf et al., 2022)."""
BLOCK = re.compile(re.escape(TUNED) + r"b(\d+)\.")
"""With which the names of weights of a block of StyleGAN2 begin, which is called by the pixels of its maps."""
STYLES = ".affine."
"""What such names have in them where weights make styles of the latent."""
SQUARES = 10.0
"""How much the mean square of the difference counts beside its size: few large differences are seen more than many
small ones."""
LIKE = 0.95
"""MS-SSIM that a picture has when it is near enough."""
LOOK_EVERY = 10
"""Steps between two looks at whether it is."""
COARSE, COARSE_FROM = 0.4, 64
"""Share of the steps that are taken at half the side, where the model has previews, which is cheaper; and the pixels of
half the side from which on that is done."""
HOLD_EVERY = 6
"""Steps between two in which a picture around the pivot is held, whose weight is as many times as large."""
BETAS = (0.9, 0.99)
"""Of Adam, as for the pivot."""
WARM, FADE = 0.1, 0.4
"""Shares of the steps in which the rate rises, so that the first ones throw nothing about, and after which it falls to
nothing, so that what a high rate left unsettled settles."""
AROUND = 0.5
"""Of the way from the pivot to another latent of the model, where such a picture is."""
NEAR = (0.1, 0.5)
"""How far neighbours are from the pivot, as parts of how the model's own latents vary: they are drawn between these."""


@dataclasses.dataclass(frozen=True, eq=False)
class Tuning:
    """How far tuning is."""

    step: int
    picture: Tensor
    """(1, C, H, W), of the pivot before this step; at first of half the side, where the model has previews."""
    psnr: float
    """In dB, of that picture."""


class Tuner:
    """A copy of a model that is being tuned: ``steps`` tunes it, ``copy`` is what differs so far.

    One may stop at any step.
    """

    def __init__(
        self,
        model: Generator,
        latent: Tensor,
        wanted: Tensor,
        label: int | None = None,
        settings: Inversion | None = None,
    ) -> None:
        """Prepare it.

        :param latent: (1, num_ws, w_dim), the pivot. :param wanted: (1, C, H, W) in [-1, 1], of the model's size.
        :raises ValueError: for a picture or latent that does not fit, and where LPIPS is asked for and not here.
        """
        check_picture(model, wanted)
        self._settings = settings or Inversion()
        self._perceptual = needed_lpips() if self._settings.lpips else None
        self._base = model
        self._latent = model.space.check(latent)
        self._wanted = wanted.to(self._latent)
        self._label = label
        self._left: tuple[Tensor, Tensor] | None = None
        """The model's own picture of the pivot, of the size of neighbours, and what it lacks of the photograph."""
        self._half = (
            block_of_height(model, model.resolution[0] // 2) if model.resolution[0] >= 2 * COARSE_FROM else None
        )
        weights = dict(model.named_parameters())
        names = _tuned_names(list(weights), self._settings.tuned_from)
        self.model = TunedCopy(fingerprint(model), {name: weights[name] for name in names}).apply(model)
        """The copy, for looking at and working with between two steps; its weights still change. Those that will not
        it shares with ``model``."""
        own = dict(self.model.named_parameters())
        self._weights = [own[name] for name in names]

    def steps(self) -> Iterator[Tuning]:
        """Tune it, yielding how far it is before each step, until it is near enough or ``tuning_steps`` are done."""
        settings = self._settings
        self._ask_gradients(True)
        adam = torch.optim.Adam(self._weights, lr=settings.tuning_rate, betas=BETAS)
        random = np.random.RandomState(0)
        total = settings.tuning_steps
        coarse = (
            None if self._half is None else F.interpolate(self._wanted, self.model.map_size(self._half), mode="area")
        )
        try:
            for number in range(total):
                done = number / total
                if coarse is not None and self._half is not None and done < COARSE:
                    picture, wanted = self.model.preview(self._latent, self._half), coarse
                else:
                    picture, wanted = self.model.synthesize(self._latent), self._wanted
                near = psnr(picture.detach(), wanted)
                self._ask_gradients(False)  # of whoever works with the copy meanwhile
                yield Tuning(number, picture.detach(), near)
                self._ask_gradients(True)
                whole = wanted is self._wanted
                if whole and number % LOOK_EVERY == 0 and near >= settings.enough and self._is_like(picture.detach()):
                    return
                loss = unlikeness(picture, wanted, FINE) + SQUARES * (picture - wanted).square().mean()
                if self._perceptual is not None and whole:
                    loss = loss + settings.lpips * self._perceptual(picture, wanted)
                if settings.locality and number % HOLD_EVERY == 0:
                    loss = loss + HOLD_EVERY * settings.locality * self._moved(int(random.randint(2**31)))
                if settings.neighbours and number % HOLD_EVERY == HOLD_EVERY // 2:
                    loss = loss + HOLD_EVERY * settings.neighbours * self._moved_otherwise(int(random.randint(2**31)))
                rate = settings.tuning_rate * min(1.0, (done + 1 / total) / WARM) * faded(done, FADE)
                adam.param_groups[0]["lr"] = rate
                adam.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                adam.step()
        finally:
            self._ask_gradients(False)

    def copy(self) -> TunedCopy:
        """Return what differs from the model so far."""
        return difference(self._base, self.model)

    def _ask_gradients(self, wanted: bool) -> None:
        for weight in self._weights:
            weight.requires_grad_(wanted)

    def _is_like(self, picture: Tensor) -> bool:
        return min(picture.shape[2:]) < WINDOW or ms_ssim(picture, self._wanted) >= LIKE

    def _moved(self, seed: int) -> Tensor:
        """Return how unlike the model's own a picture at another latent has become."""
        with torch.no_grad():
            other = self._base.space.draw(seed=seed, label=self._label)
            around = self._latent + AROUND * (other - self._latent)
            before = self._seen(self._base, around)
        return unlikeness(self._seen(self.model, around), before)

    def _moved_otherwise(self, seed: int) -> Tensor:
        """Return how unlike a neighbour's picture is what a motion by the model itself would make of the photograph.

        So a pull leads where it would lead without tuning, and details go along.
        """
        with torch.no_grad():
            if self._left is None:
                before = self._seen(self._base, self._latent)
                wanted = F.interpolate(self._wanted, size=before.shape[2:], mode="area")
                self._left = before, wanted - before
            before, left = self._left
            near = self._latent + self._step_aside(seed)
            after = self._seen(self._base, near)
            wanted = (after + carried(left, before, after)).clamp(-1, 1)
        return unlikeness(self._seen(self.model, near), wanted, FINE)

    def _step_aside(self, seed: int) -> Tensor:
        """Return a random change of the latent, as pulls make them: rows vary together a little, the first ones much.

        It is small: of each number, a part (``NEAR``) of how much it varies among the model's own latents.
        """
        rows, columns = self._spread
        random = np.random.RandomState(seed)
        numbers = random.standard_normal((len(rows), len(columns))) * random.uniform(*NEAR)
        changed = rows @ torch.from_numpy(numbers) @ columns.T
        aside: Tensor = changed[None].to(self._latent)
        return aside

    @functools.cached_property
    def _spread(self) -> tuple[Tensor, Tensor]:
        """How the rows of the model's own latents vary together, and their numbers: square roots of covariances."""
        space = self._base.space
        metric = space.metric(space.label_of(self._latent) if self._label is None else self._label)
        spread, axes = torch.linalg.eigh(metric.rows())  # singular: the last rows have nothing of their own
        return (axes * spread.clamp(min=0).sqrt()) @ axes.T, torch.linalg.cholesky(metric.covariance)

    def _seen(self, model: Generator, latent: Tensor) -> Tensor:
        """Return a picture of half the side, where the model has previews, for it is cheaper; else a whole one."""
        return model.synthesize(latent) if self._half is None else model.preview(latent, self._half)


def _tuned_names(names: Sequence[str], coarsest: int) -> list[str]:
    """Return the names of weights that are tuned, of all those of a model.

    :param coarsest: pixels of the coarsest maps of StyleGAN2 that change, or an eighth of the finest if that is less.
    """
    blocks = {name: int(found[1]) for name in names if (found := BLOCK.match(name))}
    if not blocks:
        return [name for name in names if name.startswith(TUNED) and not name.startswith(LEFT_ALONE)]
    least = min(coarsest, max(blocks.values()) // 8)
    return [name for name, size in blocks.items() if size >= least and STYLES not in name]
