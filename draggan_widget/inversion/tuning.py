"""A copy of a model, tuned until the pivot's picture is the photograph: PTI (Roich et al., 2021, section 3.2).

Only weights of the synthesis change, and only as far as needed: it ends once the picture is near enough. Pictures at
latents around the pivot are held (section 3.3), so that what is pulled later still moves as the model knows it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from draggan_widget.inversion.losses import WINDOW, ms_ssim, psnr, unlikeness
from draggan_widget.inversion.pivot import check_picture, faded
from draggan_widget.inversion.settings import Inversion
from draggan_widget.models import TunedCopy, difference, fingerprint

if TYPE_CHECKING:
    from draggan_widget.models import Generator

TUNED = "network.synthesis."
"""With which the names of weights begin that are tuned."""
LEFT_ALONE = TUNED + "input."
"""The Fourier features of StyleGAN3, which say where things are (Alaluf et al., 2022)."""
LIKE = 0.95
"""MS-SSIM that a picture has when it is near enough."""
LOOK_EVERY = 10
"""Steps between two looks at whether it is."""
HOLD_EVERY = 4
"""Steps between two in which a picture around the pivot is held, whose weight is as many times as large."""
FADE = 0.4
"""Share of the steps after which the rate falls to nothing, so that what a high rate left unsettled settles."""
AROUND = 0.5
"""Of the way from the pivot to another latent of the model, where such a picture is."""


@dataclasses.dataclass(frozen=True, eq=False)
class Tuning:
    """How far tuning is."""

    step: int
    picture: Tensor
    """(1, C, H, W), of the pivot before this step."""
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
        :raises ValueError: for a picture or latent that does not fit.
        """
        check_picture(model, wanted)
        self._settings = settings or Inversion()
        self._base = model
        self._latent = model.space.check(latent)
        self._wanted = wanted.to(self._latent)
        self._label = label
        tuned = {name: weight for name, weight in model.named_parameters() if _is_tuned(name)}
        self.model = TunedCopy(fingerprint(model), tuned).apply(model)
        """The copy, for looking at and working with between two steps; its weights still change. Those that will not
        it shares with ``model``."""
        self._weights = [weight for name, weight in self.model.named_parameters() if _is_tuned(name)]

    def steps(self) -> Iterator[Tuning]:
        """Tune it, yielding how far it is before each step, until it is near enough or ``tuning_steps`` are done."""
        settings = self._settings
        self._ask_gradients(True)
        adam = torch.optim.Adam(self._weights, lr=settings.tuning_rate)
        random = np.random.RandomState(0)
        try:
            for number in range(settings.tuning_steps):
                picture = self.model.synthesize(self._latent)
                near = psnr(picture.detach(), self._wanted)
                self._ask_gradients(False)  # of whoever works with the copy meanwhile
                yield Tuning(number, picture.detach(), near)
                self._ask_gradients(True)
                if number % LOOK_EVERY == 0 and near >= settings.enough and self._is_like(picture.detach()):
                    return
                loss = unlikeness(picture, self._wanted)
                if settings.locality and number % HOLD_EVERY == 0:
                    loss = loss + HOLD_EVERY * settings.locality * self._moved(int(random.randint(2**31)))
                adam.param_groups[0]["lr"] = settings.tuning_rate * faded(number / settings.tuning_steps, FADE)
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
            before = self._base.synthesize(around)
        return unlikeness(self.model.synthesize(around), before)


def _is_tuned(name: str) -> bool:
    return name.startswith(TUNED) and not name.startswith(LEFT_ALONE)
