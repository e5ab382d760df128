"""Descent that learns from its steps how the loss bends: L-BFGS (Nocedal and Wright, 2006, algorithm 7.4).

One evaluation a step: where a step has led uphill, the next one is a shorter one from the place before, and what was
learned of the slope there is not lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

REMEMBERED = 12
"""Steps of which slopes are known."""
FLAT = 1e-10
"""As a part of the squared change of the gradient: a step along which the loss bends no more teaches nothing."""
GROWN, SHRUNK = 1.6, 0.3
"""By how much the longest step grows where one led downhill; and what of a step that led uphill is tried again."""


class LBFGS:
    """Moves variables downhill. Their gradients must be there at each ``step``."""

    def __init__(self, variables: Sequence[Tensor], longest: float) -> None:
        """Take what is to be moved. :param longest: step at first, by its root mean square."""
        self._variables = list(variables)
        self._longest = longest * sum(each.numel() for each in self._variables) ** 0.5
        self._known: list[tuple[Tensor, Tensor]] = []
        self._before: tuple[Tensor, Tensor, float] | None = None

    def forget(self) -> None:
        """Begin anew from here, since the loss is another one from now on; the longest step stays."""
        self._known, self._before = [], None

    @torch.no_grad()
    def step(self, loss: float) -> None:
        """Move the variables. :param loss: where they are, of which their gradients are."""
        here = torch.cat([each.detach().flatten() for each in self._variables])
        slope = torch.cat([each.grad.flatten() for each in self._variables if each.grad is not None])
        if self._before is not None:
            there, steep, least = self._before
            self._learn(here - there, slope - steep)
            if loss > least:
                self._longest = SHRUNK * float((here - there).norm())
                here, slope, loss = there, steep, least
            else:
                self._longest *= GROWN
        way = -self._bent(slope)
        far = float(way.norm())
        if far > self._longest or not self._known:
            way = way * (self._longest / max(far, 1e-20))
        self._before = here, slope, loss
        first = 0
        for each in self._variables:
            each.copy_((here + way)[first : first + each.numel()].view_as(each))
            first += each.numel()

    def _learn(self, step: Tensor, change: Tensor) -> None:
        if float(step @ change) > FLAT * float(change @ change):
            self._known = [*self._known[1 - REMEMBERED :], (step, change)]

    def _bent(self, slope: Tensor) -> Tensor:
        """Return the slope times what is known of the inverse Hessian."""
        found, shares = slope, []
        for step, change in reversed(self._known):
            share = (step @ found) / (step @ change)
            found = found - share * change
            shares.append(share)
        if self._known:
            step, change = self._known[-1]
            found = found * ((step @ change) / (change @ change))
        for (step, change), share in zip(self._known, reversed(shares), strict=True):
            found = found + step * (share - (change @ found) / (step @ change))
        return found
