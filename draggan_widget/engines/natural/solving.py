"""The least change of a latent that moves handles as wanted and little else, to first order.

Sought is the change x from the base that makes ``xᵀΣ⁻¹x + |Jx - c|²/ε + |D(x - x_k) + F_k - F_0|²`` least: how natural
it is, how far handles are from where they are wanted, and how much what is to stay has changed; the last term weighs
each cell by how firmly it is held. With few handles and nothing held that is ``Σ Jᵀ (J Σ Jᵀ + εI)⁻¹ c``, a backward
pass for each coordinate. Else it is found by conjugate gradients, whose steps take a forward and a backward pass each,
however many handles there are.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.natural.metric import Metric
from draggan_widget.engines.natural.motion import Motion
from draggan_widget.engines.natural.staying import Held, view

FEW = 8
"""Handles up to which each coordinate has a backward pass of its own; of more, all are solved for together."""
ITERATIONS, TOGETHER = 8, 12
"""Of conjugate gradients at most, where handles have passes of their own, and where they have not."""
ENOUGH = 1e-3
"""Part of the first residual's square, in the metric, at which they end."""
LENGTH = 0.05
"""Of a change by which a derivative is taken as a difference quotient, in the metric."""
TINY = torch.finfo(torch.float32).tiny


@dataclasses.dataclass(frozen=True, eq=False)
class Linear:
    """The motion of handles, and the view that is held, as linear functions of a change of the latent."""

    motion: Motion
    held: Held | None
    now: Tensor | None
    """(1, C, h, w), the view that is held, with its graph."""

    @functools.cached_property
    def jacobian(self) -> Tensor:
        """The motion of the handles as rows, ``J`` (2N, num_ws, w_dim), by a backward pass for each."""
        return self.motion.jacobian()

    def along(self, change: Tensor, length: float) -> tuple[Tensor, Tensor | None]:
        """Return how handles (2N,) and the features that are held change with ``change`` (num_ws, w_dim).

        :param length: of the difference quotient, in changes.
        """
        motion = self.motion
        with torch.no_grad():
            moved = motion.leaf.detach() + length * change[None]
            features = None
            if self.held is not None and self.now is not None:
                features = (view(motion.reading.model, moved, self.held.block) - self.now) / length
            return motion.along(moved, length), features

    def transposed(self, amounts: Tensor | None, features: Tensor | None) -> Tensor:
        """Return the gradient (num_ws, w_dim) of the sum of both, times ``amounts`` (2N,) and ``features``."""
        outputs, weights = [], []
        if amounts is not None:
            outputs.append(self.motion.here)
            weights.append(self.motion.of_features(amounts))
        if features is not None and self.held is not None and self.now is not None:
            outputs.append(self.now)
            weights.append(features * self.held.weights)
        (gradient,) = torch.autograd.grad(outputs, self.motion.leaf, weights, retain_graph=True)
        return gradient[0]


def least_change(
    linear: Linear, metric: Metric, wanted: np.ndarray, change: Tensor, damping: float
) -> tuple[Tensor, np.ndarray]:
    """Return the whole change x (num_ws, w_dim) that is asked for, and how handles should move on by it (N, 2).

    Few handles can be taken where they are wanted. Of many that is not so, and ``J (x - x_k)`` is told.

    :param wanted: (N, 2), how the handles should move on. :param change: (num_ws, w_dim), the one so far, x_k.
    :param damping: ε, as a part of the mean stiffness of the handles.
    """
    onward = torch.from_numpy(wanted.reshape(-1)).to(change.device)
    if len(wanted) <= FEW:
        rows = linear.jacobian
        if linear.held is None:
            handles = _Handles.of(rows, metric, damping)
            return handles.change(onward + torch.einsum("krd,rd->k", rows, change).double()), wanted
        precondition = _Handles.of(rows, metric.stiffened(linear.held.stiffness), damping)
        # Of the change so far the part is kept that the metric knows; rows that may not change are as they were.
        change = metric.known(change)
        more, _ = _conjugate(linear, metric, precondition, precondition.change(onward), None, change, None)
        return change + more, wanted
    signs = torch.from_numpy(np.random.RandomState(0).choice([-1.0, 1.0], len(onward))).to(onward)
    probe = linear.transposed(signs, None)
    ridge = damping * max(float((metric.spread(probe[None])[0] * probe).double().sum()) / len(onward), TINY)
    change = metric.known(change)
    easy = metric if linear.held is None else metric.stiffened(linear.held.stiffness)
    more, moved = _conjugate(linear, metric, _Free(easy), torch.zeros_like(change), onward, change, ridge)
    return change + more, moved.cpu().numpy().reshape(-1, 2)


def least_cost(jacobian: Tensor, metric: Metric, wanted: Tensor, damping: float) -> float:
    """Return what the least change costs that moves handles by ``wanted`` (2N,), in a metric."""
    return float(wanted @ _Handles.of(jacobian, metric, damping).inner @ wanted)


@dataclasses.dataclass(frozen=True, eq=False)
class _Free:
    """The metric alone."""

    metric: Metric

    def __call__(self, gradient: Tensor) -> Tensor:
        return self.metric.spread(gradient[None])[0]


@dataclasses.dataclass(frozen=True, eq=False)
class _Handles:
    """The metric in which moving a handle is dear: ``(Σ⁻¹ + JᵀJ/ε)⁻¹``, by Woodbury's formula."""

    metric: Metric
    rows: Tensor
    """J (2N, num_ws, w_dim)."""
    spread: Tensor
    """Σ Jᵀ, likewise."""
    inner: Tensor
    """(J Σ Jᵀ + εI)⁻¹ (2N, 2N)."""

    @classmethod
    def of(cls, rows: Tensor, metric: Metric, damping: float) -> _Handles:
        spread = metric.spread(rows)
        system = torch.einsum("krd,lrd->kl", spread, rows).double()
        ridge = damping * max(float(system.diagonal().mean()), TINY)
        if not bool(system.any()):  # no row reaches what the handles are on, so nothing is to be done for them
            return cls(metric, rows, spread, torch.zeros_like(system))
        system = (system + system.T) / 2 + ridge * torch.eye(len(system)).to(system)
        return cls(metric, rows, spread, torch.linalg.inv(system))

    def change(self, ahead: Tensor) -> Tensor:
        """Return the least change that moves the handles by ``ahead`` (2N,), as far as ε lets it."""
        return torch.einsum("k,krd->rd", (self.inner @ ahead).to(self.spread), self.spread)

    def __call__(self, gradient: Tensor) -> Tensor:
        free = self.metric.spread(gradient[None])[0]
        return free - self.change(torch.einsum("krd,rd->k", self.rows, free).double())


def _conjugate(
    linear: Linear,
    metric: Metric,
    precondition: _Free | _Handles,
    found: Tensor,
    onward: Tensor | None,
    change: Tensor,
    ridge: float | None,
) -> tuple[Tensor, Tensor]:
    """Return what comes to the ``change`` so far, by preconditioned conjugate gradients from ``found``.

    And how handles move (2N,) by what came to ``found``.

    :param onward: (2N,), how handles should move; None where ``precondition`` sees to them, and ``found`` moves them.
    :param ridge: ε, with ``onward``.
    """
    features = None
    if linear.held is not None and linear.now is not None:
        features = linear.held.before - linear.now.detach()
        if bool((found != 0).any()):
            size = metric.distance(found) ** 0.5
            _, moved = linear.along(found, LENGTH / max(size, TINY))
            assert moved is not None
            features = features - moved
    amounts = None if onward is None or ridge is None else onward / ridge
    residual = linear.transposed(amounts, features) - metric.dual(change) + _excess(metric, precondition, found)
    natural = precondition(residual)
    direction, dual = natural, residual  # dual: what precondition made direction of
    moves = torch.zeros(2 * len(linear.motion.factors), dtype=torch.float64, device=change.device)
    size = whole = float((residual * natural).double().sum())
    for _ in range(ITERATIONS if onward is None else TOGETHER):
        if not size > ENOUGH * whole or size <= TINY:
            break
        length = LENGTH / max(float((direction * dual).double().sum()), TINY) ** 0.5
        handles, others = linear.along(direction, length)
        pulled = (
            dual
            - _excess(metric, precondition, direction)
            + linear.transposed(None if onward is None or ridge is None else handles / ridge, others)
        )
        pace = size / float((direction * pulled).double().sum())
        if not 0 < pace < np.inf:
            break
        found, moves = found + pace * direction, moves + pace * handles
        residual = residual - pace * pulled
        natural = precondition(residual)
        before, size = size, float((residual * natural).double().sum())
        direction, dual = natural + size / before * direction, residual + size / before * dual
    return found, moves


def _excess(metric: Metric, precondition: _Free | _Handles, change: Tensor) -> Tensor | float:
    """Return how much stiffer the metric of a preconditioner is than ``metric``, times a change (num_ws, w_dim)."""
    if precondition.metric is metric:
        return 0.0
    return precondition.metric.dual(change) - metric.dual(change)
