"""Adam (Kingma and Ba, *Adam*, ICLR 2015, algorithm 1) as a function of values, so that a state can be kept."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """What Adam remembers from step to step."""

    first: Tensor
    """Running mean of the gradient, the shape of the parameter."""
    second: Tensor
    """Running mean of its square, the shape of the parameter."""
    count: int = 0
    """Steps taken."""

    @classmethod
    def zeros_like(cls, parameter: Tensor) -> Moments:
        """The moments before the first step."""
        return cls(torch.zeros_like(parameter), torch.zeros_like(parameter))


def adam_step(parameter: Tensor, gradient: Tensor, moments: Moments, learning_rate: float) -> tuple[Tensor, Moments]:
    """One step down the gradient: ``torch.optim.Adam`` with its default betas and ε, in its order of operations.

    Returns the new parameter and moments; what is passed in stays as it is.
    """
    count = moments.count + 1
    first = moments.first.lerp(gradient, 1 - BETA1)
    second = (moments.second * BETA2).addcmul(gradient, gradient, value=1 - BETA2)
    scale = (second.sqrt() / (1 - BETA2**count) ** 0.5).add(EPSILON)
    step_size = learning_rate / (1 - BETA1**count)
    return parameter.addcdiv(first, scale, value=-step_size), Moments(first, second, count)
