"""Adam (Kingma and Ba, *Adam*, ICLR 2015, algorithm 1) as a function of values, so that a state can be kept."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from draggan_widget.engines.draggan.formulas import adam


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
    stepped, first, second = adam(parameter, gradient, moments.first, moments.second, count, learning_rate)
    return stepped, Moments(first, second, count)
