"""The least change of a latent that moves handles as wanted, to first order, in the metric of the model's latents."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.natural.metric import Metric
from draggan_widget.engines.natural.motion import Motion

FEW = 8
"""Handles up to which each coordinate has a backward pass of its own; of more, all are solved for together."""
ITERATIONS = 12
"""Of conjugate gradients at most, a backward and a forward pass each."""
ENOUGH = 0.03
"""Of what is asked that may be left when they end."""
PROBED = 0.25
"""Pixels that handles move, about, where a derivative is taken as a difference quotient."""
BACK = 0.02
"""Of the change so far, the same."""


@dataclasses.dataclass(frozen=True, eq=False)
class Stiffened:
    """A metric in which changes of what is to stay are dear: ``(Σ⁻¹ + SᵀS)⁻¹`` for rows S, by Woodbury's formula."""

    metric: Metric
    stay: Tensor | None = None
    """S (m, num_ws, w_dim)."""
    of_stay: Tensor | None = None
    """Σ Sᵀ, likewise."""
    inner: Tensor | None = None
    """(I + S Σ Sᵀ)⁻¹ (m, m)."""

    @classmethod
    def of(cls, metric: Metric, stay: Tensor) -> Stiffened:
        """Return the metric stiffened by rows (m, num_ws, w_dim)."""
        of_stay = metric.spread(stay)
        system = torch.einsum("krd,lrd->kl", of_stay, stay).double()
        inner = torch.linalg.inv(torch.eye(len(stay)).to(system) + system)
        return cls(metric, stay, of_stay, inner.to(stay))

    def spread(self, directions: Tensor) -> Tensor:
        """Return the covariance that is left applied to ``directions`` (K, num_ws, w_dim)."""
        free = self.metric.spread(directions)
        if self.stay is None or self.inner is None or self.of_stay is None:
            return free
        overlap = torch.einsum("krd,lrd->kl", free, self.stay)
        return free - torch.einsum("kl,lm,mrd->krd", overlap, self.inner, self.of_stay)


def least_change(motion: Motion, metric: Stiffened, wanted: np.ndarray, change: Tensor, damping: float) -> Tensor:
    """Return ``Σ Jᵀ (J Σ Jᵀ + εI)⁻¹ (Δp + J·change)`` (num_ws, w_dim): the whole change that is asked for.

    :param wanted: Δp (N, 2), how the handles should move on. :param change: (num_ws, w_dim), the one so far.
    :param damping: ε, as a part of the mean stiffness of the handles in the metric as it is without what stays.
    """
    ahead = torch.from_numpy(wanted.reshape(-1)).to(device=change.device)
    if bool((change != 0).any()) and len(wanted) > FEW:
        ahead = ahead + motion.along(change, BACK)
    if len(wanted) > FEW:
        return _together(motion, metric, ahead, damping)
    jacobian = motion.jacobian()
    ahead = ahead + torch.einsum("krd,rd->k", jacobian, change).double()
    spread = metric.spread(jacobian)
    stiffness = torch.einsum("krd,krd->k", metric.metric.spread(jacobian), jacobian).double().mean()
    system = torch.einsum("krd,lrd->kl", spread, jacobian).double()
    system = (system + system.T) / 2 + _ridge(damping, stiffness) * torch.eye(len(system)).to(system)
    return torch.einsum("k,krd->rd", torch.linalg.solve(system, ahead).to(spread), spread)


def _ridge(damping: float, stiffness: Tensor) -> float:
    return damping * max(float(stiffness), torch.finfo(torch.float32).tiny)


def _together(motion: Motion, metric: Stiffened, ahead: Tensor, damping: float) -> Tensor:
    """Return the same by conjugate gradients: as many passes for a thousand handles as for ten."""
    signs = torch.from_numpy(np.random.RandomState(0).choice([-1.0, 1.0], len(ahead))).to(ahead)
    probe = motion.transposed(signs)
    stiffness = (metric.metric.spread(probe[None])[0] * probe).double().sum() / len(ahead)
    ridge = _ridge(damping, stiffness)
    found = torch.zeros_like(probe)
    left, direction = ahead, ahead
    size = whole = float(left @ left)
    for _ in range(ITERATIONS):
        if size <= ENOUGH**2 * whole or size == 0:
            break
        pulled = motion.transposed(direction)
        step = metric.spread(pulled[None])[0]
        stiff = float((step * pulled).double().sum())
        if stiff <= 0:
            break  # what is asked for cannot be had at all
        # So long that the handles move PROBED pixels each, root mean square.
        length = PROBED * float(direction.norm()) * len(ahead) ** 0.5 / stiff
        moved = motion.along(step, length) + ridge * direction
        pace = size / float(direction @ moved)
        if not 0 < pace < np.inf:
            break
        found = found + pace * step
        left = left - pace * moved
        before, size = size, float(left @ left)
        direction = left + size / before * direction
    return found
