"""How noisy a picture is at each level of its way, and the one formula that leads from level to level.

A way of n steps has the levels 0 … n: 0 is the picture, n is noise. Between them a latent is ``x = a·x0 + s·ε`` with
``a² + s² = 1``. All of it is Song et al., *Denoising Diffusion Implicit Models*, ICLR 2021, with σ = 0.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor

PREDICTIONS = ("epsilon", "v_prediction", "sample")
"""What a network may say of a latent: its noise, v = a·ε - s·x0 (Salimans and Ho, 2022), or its picture."""


@dataclasses.dataclass(frozen=True, eq=False)
class Schedule:
    """The levels of one way from noise to picture."""

    times: tuple[int, ...]
    """Time steps of the levels 1 … n, rising, as the network was trained with them."""
    alphas: tuple[float, ...]
    """ᾱ of the levels 0 … n: the part of the picture's own variance, near 1 at level 0."""
    prediction: str
    """One of ``PREDICTIONS``."""

    @classmethod
    def of(cls, scheduler: Any, steps: int) -> Schedule:
        """Return the way of ``steps`` steps that a ``diffusers.DDIMScheduler`` describes.

        :raises ValueError: for what a network predicts that is not known here, or more steps than it was trained with.
        """
        config = scheduler.config
        most = int(config.num_train_timesteps) - int(config.get("steps_offset", 0))
        if not 1 <= steps <= most:
            raise ValueError(f"steps is {steps}; for this model it must be from 1 to {most}")
        scheduler.set_timesteps(steps)
        return cls._at(scheduler, tuple(sorted({int(time) for time in scheduler.timesteps})))

    @classmethod
    def trained(cls, scheduler: Any) -> Schedule:
        """Return the way with all steps that a network was trained with. Raises as ``of``."""
        return cls._at(scheduler, tuple(range(int(scheduler.config.num_train_timesteps))))

    @classmethod
    def _at(cls, scheduler: Any, times: tuple[int, ...]) -> Schedule:
        prediction = scheduler.config.prediction_type
        if prediction not in PREDICTIONS:
            known = ", ".join(PREDICTIONS)
            raise ValueError(f"its network predicts {prediction!r}; what can be worked with are {known}")
        alphas = [float(scheduler.final_alpha_cumprod), *(float(scheduler.alphas_cumprod[time]) for time in times)]
        return cls(times, tuple(alphas), prediction)

    @property
    def steps(self) -> int:
        """n."""
        return len(self.times)

    def split(self, latent: Tensor, said: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Return the picture x0 and the noise ε that a latent at a level is made of.

        :param said: what the network says of it, of its shape.
        """
        a, s = self.parts(level)
        if self.prediction == "epsilon":
            return (latent - s * said) / a, said
        if self.prediction == "v_prediction":
            return a * latent - s * said, a * said + s * latent
        return said, (latent - a * said) / s

    def join(self, picture: Tensor, noise: Tensor, level: int) -> Tensor:
        """Return the latent at a level that is made of a picture x0 and noise ε: ``a·x0 + s·ε``."""
        a, s = self.parts(level)
        return a * picture + s * noise

    def said(self, picture: Tensor, noise: Tensor, level: int) -> Tensor:
        """Return what a perfect network says of ``join`` of the same."""
        a, s = self.parts(level)
        if self.prediction == "epsilon":
            return noise
        return a * noise - s * picture if self.prediction == "v_prediction" else picture

    def move(self, latent: Tensor, said: Tensor, level: int, onto: int) -> Tensor:
        """Return the latent at level ``onto``, of one at a level: equation 12 of the paper, in either direction."""
        return self.join(*self.split(latent, said, level), onto)

    def parts(self, level: int) -> tuple[float, float]:
        """Return a and s of a level."""
        alpha = self.alphas[level]
        return alpha**0.5, (1 - alpha) ** 0.5
