"""Descent of matrices whose rows live in one space, such as the rows of a latent: SOAP (Vyas et al., 2024).

It is Adam in turned coordinates: along the axes in which the gradients of late have no covariance. Few directions of
a latent change the picture much and many hardly do, none of them along the coordinates, so Adam alone takes several
times as many steps. Moments are taken anew from the gradients themselves, so that they are right after each turn.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BETAS = (0.8, 0.95)
"""Of the means of gradients and of their squares: steps are so few that a long memory would be of the beginning."""
REMEMBERED = 64
"""Gradients that these are taken of; older ones would hardly count."""
TURN_EVERY, AT_FIRST = 3, 6
"""Steps between two turns of the coordinates, and how many steps have one each at first."""
DAMPED = 1e-5
"""Of the largest root mean square of a coordinate's gradient, added to that of each, so that noise moves none on which
nothing depends."""


class Soap:
    """Moves variables downhill. Their gradients must be there at each ``step``."""

    def __init__(self, variables: Sequence[Tensor]) -> None:
        """Take what is to be moved: (R, N) each, of one N."""
        self._variables = list(variables)
        self._gradients: list[Tensor] = []
        self._axes: Tensor | None = None
        self._steps = 0

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move the variables. :param rate: about how far each of their numbers goes."""
        gradients = [each.grad for each in self._variables if each.grad is not None]
        self._gradients = [*self._gradients[1 - REMEMBERED :], torch.cat(gradients)]
        late = torch.stack(self._gradients)  # (T, R, N)
        if self._axes is None or self._steps < AT_FIRST or self._steps % TURN_EVERY == 0:
            self._axes = _axes(late * _weights(late, BETAS[1]).sqrt())
        self._steps += 1
        turned = late @ self._axes
        size = (turned.square() * _weights(late, BETAS[1])).sum(dim=0).sqrt()
        mean = (turned * _weights(late, BETAS[0])).sum(dim=0)
        tiny = torch.finfo(size.dtype).tiny
        way = (mean / (size + DAMPED * size.max() + tiny)) @ self._axes.T
        for each, part in zip(self._variables, torch.split(way, [len(each) for each in self._variables]), strict=True):
            each.sub_(rate * part)


def _weights(late: Tensor, beta: float) -> Tensor:
    """Return how much each of (T, R, N) counts in their mean, the last one most: (T, 1, 1), of sum 1."""
    shares = beta ** torch.arange(len(late) - 1, -1, -1, dtype=late.dtype, device=late.device)
    return (shares / shares.sum())[:, None, None]


def _axes(gradients: Tensor) -> Tensor:
    """Return (N, N): orthonormal columns along which gradients (T, R, N) have no covariance."""
    rows = gradients.flatten(0, 1)
    axes: Tensor = torch.linalg.eigh(rows.T @ rows)[1]
    return axes
