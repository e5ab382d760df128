"""What a run of small steps remembers: what is to stay, how far it has come, and what Adam knows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from draggan_widget.engines.common.sampling import Kept
    from draggan_widget.models import Generator


MARKED = 0.1
"""A handle has come nearer, or gone away, if it did so by as many pixels; less may be the noise of tracking."""


class Anchor:
    """The latent whose features stay where the mask says so, and those of these features that were asked for."""

    def __init__(self, latent: Tensor) -> None:
        self.latent = latent
        self._maps: dict[tuple[int, ...], list[Tensor]] = {}
        self._kept: tuple[Tensor, int, Tensor] | None = None

    def maps(self, generator: Generator, blocks: tuple[int, ...]) -> list[Tensor]:
        """F0 (1, C, h, w) of each block, detached.

        Computed with a graph like every other map, so that at the anchor itself F - F0 is exactly 0: Adam would blow
        up any rounding difference to full steps.
        """
        if blocks not in self._maps:
            with torch.enable_grad():
                self._maps[blocks] = [feature_map.detach() for feature_map in generator.maps(self.latent, blocks)]
        return self._maps[blocks]

    def kept(self, generator: Generator, block: int, mask: Tensor, kept: Kept) -> Tensor:
        """F0 (n, C) of the cells that ``mask`` keeps, detached."""
        if self._kept is None or self._kept[0] is not mask or self._kept[1] != block:
            positions = torch.from_numpy(kept.positions)
            with torch.no_grad():
                self._kept = mask, block, generator.sample_features(self.latent, block, positions)
        return self._kept[2]


@dataclasses.dataclass(frozen=True)
class Course:
    """How the present run has gone, by which it is found to be stalled or capped."""

    first_step: int = 0
    """Steps done when the run began."""
    nearest: tuple[float, ...] = ()
    """Per point, the least distance to its target so far, where it fell markedly."""
    idle: int = 0
    """Trackings since any of these fell."""

    def over(self, step: int, patience: int | None, cap: int | None) -> Literal["stalled", "capped"] | None:
        """Return why the run is over after ``step`` steps of the edit; None while it goes on.

        :param patience: idle trackings after which it is stalled. :param cap: steps of the run. None: never.
        """
        if patience is not None and self.idle >= patience:
            return "stalled"
        if cap is not None and step - self.first_step >= cap:
            return "capped"
        return None


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
        """Return the moments before the first step."""
        return cls(torch.zeros_like(parameter), torch.zeros_like(parameter))


def progress(
    nearest: tuple[float, ...], idle: int, before: np.ndarray, after: np.ndarray
) -> tuple[tuple[float, ...], int]:
    """Return ``nearest`` and ``idle`` of a course after one more tracking.

    :param before: (N,) picture pixels that the handles had to go before it. :param after: (N,), after it.
    """
    least = np.array(nearest or before)
    nearer = after <= least - MARKED
    return tuple(np.where(nearer, after, least).tolist()), 0 if nearer.any() else idle + 1
