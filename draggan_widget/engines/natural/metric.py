"""How far the latents of a model reach in each direction: the metric in which a natural drag takes the least way.

A mapping network fills only a part of W, and that unevenly. Its covariance says in which directions latents differ, and
so which changes look like another sample and which like none. Rows of W+ are all the same in a mapped latent; how much
they may differ is a matter of taste, said by two numbers: the variance they have in common, and each for itself.
"""

from __future__ import annotations

import dataclasses
import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.engines.projection import Projection

HARDLY = 1e-5
"""Of the largest of what is spared: what counts less is rounding."""


@dataclasses.dataclass(frozen=True, eq=False)
class Columns:
    """How the numbers of a row vary together."""

    covariance: Tensor
    """(w_dim, w_dim), that of mapped latents."""

    @functools.cached_property
    def _factors(self) -> tuple[Tensor, Tensor]:
        factors, pivots = torch.linalg.lu_factor(self.covariance.double())
        return factors, pivots

    def solved(self, change: Tensor) -> Tensor:
        """Return the inverse of the covariance applied to each row of ``change`` (n, w_dim), in float64."""
        solved: Tensor = torch.linalg.lu_solve(*self._factors, change.double().T).T
        return solved


@dataclasses.dataclass(frozen=True, eq=False)
class Metric:
    """The prior covariance of a latent ``ws`` (1, num_ws, w_dim), as a product of rows and columns."""

    columns: Columns
    rows: Tensor
    """(num_ws, num_ws), what rows have in common and on their own."""
    allowed: Projection | None = None
    """Takes out of changes what is held; None where nothing is. Of what it leaves ``dual`` is the inverse as it was."""
    spared: Sparing | None = None
    """What else is dear to change: with it the metric is ``(Σ⁻¹ + λPᵀP)⁻¹``."""
    weight: float = 0.0
    """λ, how dear."""

    @classmethod
    def of(cls, covariance: Tensor, num_ws: int, own_rows: int, own: float, common: float) -> Metric:
        """Return the metric in which the first ``own_rows`` rows have variance ``own`` each, and all rows ``common``.

        :param covariance: (w_dim, w_dim), of mapped latents. :param own: 0 for W, in which all rows change alike.
        :param common: 0 for rows with nothing in common.
        """
        rows = covariance.new_full((num_ws, num_ws), common)
        rows.diagonal()[:own_rows] += own
        return cls(Columns(covariance), rows)

    def stiffened(self, stiffness: Tensor) -> Metric:
        """Return the metric in which a row that may change alone costs so many times more (num_ws,) on top."""
        scale = (1 + stiffness.to(self.rows) * self.rows.diagonal()).rsqrt()
        plain = Metric(self.columns, scale[:, None] * self.rows * scale, self.allowed)
        return plain if self.spared is None else plain.sparing(Sparing.of(plain, self.spared.rows), self.weight)

    def sparing(self, spared: Sparing, weight: float) -> Metric:
        """Return the metric in which what is ``spared``, of this very one, costs ``weight`` times its square on top."""
        return dataclasses.replace(self, spared=spared, weight=weight) if weight else self

    def spread(self, directions: Tensor) -> Tensor:
        """Return the covariance applied to ``directions`` (K, num_ws, w_dim)."""
        if self.allowed is None:
            spread = self.rows @ (directions @ self.columns.covariance)
        else:
            spread = self.allowed(self.rows @ (self.allowed.transposed(directions) @ self.columns.covariance))
        if self.spared is None:
            return spread
        along = self.spared.directions.to(directions)
        parts = torch.einsum("krd,lrd->lk", along, directions).double()
        parts = parts * (self.weight / (1 + self.weight * self.spared.values))
        return spread - torch.einsum("lk,krd->lrd", parts.to(spread), along)

    def dual(self, change: Tensor) -> Tensor:
        """Return the inverse applied to a change (num_ws, w_dim) of rows that may change."""
        dual: Tensor = self._rows_inverse @ self.columns.solved(change)
        if self.spared is not None:
            rows = self.spared.rows.double()
            parts = torch.einsum("krd,rd->k", rows, change[: rows.shape[1]].double())
            dual[: rows.shape[1]] += self.weight * torch.einsum("k,krd->rd", parts, rows)
        return dual.to(change)

    @functools.cached_property
    def _rows_inverse(self) -> Tensor:
        inverse: Tensor = torch.linalg.pinv(self.rows.double())
        return inverse

    def known(self, change: Tensor) -> Tensor:
        """Return the part of a change (num_ws, w_dim) that the metric allows: its rows as far as they may change."""
        known: Tensor = self.rows.double() @ self._rows_inverse @ change.double()
        return (known if self.allowed is None else self.allowed(known)).to(change)

    def distance(self, change: Tensor) -> float:
        """Return the squared length of a change (num_ws, w_dim): how unlike another sample it is."""
        return float((change * self.dual(change)).double().sum())


@dataclasses.dataclass(frozen=True, eq=False)
class Sparing:
    """Linear functions of a change that are to change little, ``P``, as a metric sees them.

    With ``P Σ Pᵀ = U e Uᵀ`` the metric that spares them is ``Σ - Bᵀ (λ / (1 + λe)) B``, with ``B = Uᵀ P Σ``.
    """

    rows: Tensor
    """P (K, rows, w_dim), of the first rows of a latent; it does not depend on the others."""
    values: Tensor
    """e (L,), float64, above 0; directions that hardly count are left out."""
    directions: Tensor
    """B (L, num_ws, w_dim)."""

    @classmethod
    def of(cls, metric: Metric, rows: Tensor) -> Sparing:
        """Return it for a metric that spares nothing else."""
        rows = rows.to(metric.rows)
        if metric.allowed is None:
            spread = metric.rows[:, : rows.shape[1]] @ (rows @ metric.columns.covariance)
        else:
            spread = metric.spread(F.pad(rows, (0, 0, 0, len(metric.rows) - rows.shape[1])))
        inner = torch.einsum("krd,lrd->kl", rows, spread[:, : rows.shape[1]]).double()
        values, vectors = torch.linalg.eigh((inner + inner.T) / 2)
        kept = values > max(HARDLY * float(values[-1]), torch.finfo(torch.float32).tiny)
        directions = torch.einsum("kl,krd->lrd", vectors[:, kept].to(spread), spread)
        return cls(rows, values[kept], directions)


class Unlikeness:
    """How unlike each other two pictures of a model are, by their latents."""

    def __init__(self, covariance: Tensor) -> None:
        """:param covariance: (w_dim, w_dim) of the model's latents; its least eigenvalue counts as none at all."""
        self._columns = Columns(covariance)
        floor = float(torch.linalg.eigvalsh(covariance.double())[0])
        self.typical = 2 * (len(covariance) - floor * float(torch.linalg.inv(covariance.double()).trace()))
        """Of two samples, on the average: twice the number of directions in which latents differ."""

    def __call__(self, change: Tensor) -> float:
        """Return the squared Mahalanobis distance of a change (rows, w_dim), the mean over its rows."""
        moved = change.double().cpu()
        return float((moved * self._columns.solved(moved)).sum(dim=1).mean())


def mahalanobis(covariance: Tensor, change: Tensor, rows: int = 6) -> float:
    """Return the squared Mahalanobis distance of a change (1, num_ws, w_dim), the mean over the first ``rows``.

    For two samples of a model it is about twice the number of directions in which its latents differ.
    """
    moved = change[0, :rows].double().cpu()
    return float((moved * torch.linalg.solve(covariance.double().cpu(), moved.T).T).sum(dim=1).mean())
