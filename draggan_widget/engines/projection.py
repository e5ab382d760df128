"""What a step may not use: the part of it that held readings of a latent see is taken out, in the latents' metric.

Of each row of a step: ``s ← s - ΣA(AᵀΣA)⁻¹Aᵀs``, with A the readings that are held and Σ the covariance of latents. Of
all steps that leave the readings as they are, that is the one nearest to ``s``.

Readings were taken of latents that a mapping network made. Of others they say little: what leaves these, by rows that
part or by numbers that hardly differ there, changes the picture in ways that no reading sees. So where something is
held, engines that descend by the latent's plain numbers take their steps as the model's latents differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from draggan_widget.settings import shown

if TYPE_CHECKING:
    from draggan_widget.engines.edit import Edit
    from draggan_widget.models import Generator

ALIKE = 0.9
"""Of the variance that rows have for themselves, what they have in common where attributes are held."""


class Projection:
    """Takes out of changes of a latent (…, num_ws, w_dim) what some readings of its rows see.

    :param held: (n, num_ws · w_dim), as ``Edit.held`` has it. :param covariance: (w_dim, w_dim), of latents.
    """

    def __init__(self, held: np.ndarray, covariance: Tensor) -> None:
        columns = self._columns = covariance.detach().cpu().double()
        readings = torch.from_numpy(np.ascontiguousarray(held, dtype=np.float64))
        self._readings = readings.view(len(readings), -1, len(columns)).transpose(0, 1)  # (num_ws, n, w_dim)
        spread = self._readings @ columns
        gram = spread @ self._readings.transpose(1, 2)
        self._back = torch.linalg.pinv(gram, hermitian=True) @ spread

    def __call__(self, change: Tensor) -> Tensor:
        """Return the change that is allowed, of the shape, dtype and device of ``change``."""
        exact = change.double()
        seen = torch.einsum("...rw,rnw->...rn", exact, self._readings.to(exact.device))
        return (exact - torch.einsum("...rn,rnw->...rw", seen, self._back.to(exact.device))).to(change)

    def along(self, step: Tensor, rows: int | None = None) -> Tensor:
        """Return a step (num_ws, w_dim) as long as ``step`` that goes where latents of the model differ.

        It is ``RsΣ``, with Σ their covariance, and R that of rows with ``ALIKE`` of their variance in common; what is
        held is yet to be taken out of it.

        :param rows: of the latent, the first ones that may change; None for all.
        """
        spread = torch.zeros_like(step, dtype=torch.float64)
        part = step[..., :rows, :].double() @ self._columns.to(step.device)
        spread[..., :rows, :] = (1 - ALIKE) * part + ALIKE * part.sum(dim=-2, keepdim=True)
        length = spread.norm()
        return (spread * (step.double().norm() / length) if bool(length > 0) else spread).to(step)

    def transposed(self, gradient: Tensor) -> Tensor:
        """Return the gradient (…, num_ws, w_dim) of what is asked of the allowed part of a change."""
        exact = gradient.double()
        seen = torch.einsum("...rw,rnw->...rn", exact, self._back.to(exact.device))
        return (exact - torch.einsum("...rn,rnw->...rw", seen, self._readings.to(exact.device))).to(gradient)


class Holding:
    """What of a step is allowed by what an edit holds, found anew where that has changed."""

    def __init__(self, model: Generator) -> None:
        self._model = model
        self._known: tuple[np.ndarray, Projection] | None = None

    def of(self, edit: Edit) -> Projection | None:
        """Return what takes out of a step what is held; None where nothing is."""
        if edit.held is None:
            return None
        if self._known is None or self._known[0] is not edit.held:
            space = self._model.space
            covariance = space.metric(space.label_of(edit.origin)).covariance
            self._known = edit.held, Projection(edit.held, covariance)
        return self._known[1]


def check_held(held: object, latent: Tensor) -> np.ndarray | None:
    """Return readings that are to be held as an array (n, numbers of a latent) of their own; None for none.

    :raises ValueError: for another shape, or numbers that are not finite. :raises TypeError: if it holds no numbers.
    """
    if held is None:
        return None
    array = held.detach().cpu().numpy() if isinstance(held, Tensor) else np.asarray(held)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"held holds {array.dtype}; give readings of the latent, such as directions.held([…])")
    if array.ndim != 2 or array.shape[1] != latent.numel():
        raise ValueError(f"held has shape {array.shape}; this latent needs (n, {latent.numel()})")
    if not np.isfinite(array).all():
        raise ValueError("held holds NaN or infinite numbers; give readings of the latent")
    return np.array(array, dtype=np.float32) if len(array) else None


def check_wish(change: object, latent: Tensor) -> Tensor:
    """Return a change that is wished, of the shape and kind of a latent.

    :raises ValueError: for another number of numbers, or ones that are not finite. :raises TypeError: for no numbers.
    """
    try:
        wished = torch.as_tensor(change).detach().to(latent)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"the change is {shown(change)}; give an array of the shape of a latent") from error
    if wished.shape not in (latent.shape, latent.shape[1:]):
        raise ValueError(f"the change has shape {tuple(wished.shape)}; this latent has {tuple(latent.shape)}")
    if not bool(torch.isfinite(wished).all()):
        raise ValueError("the change holds NaN or infinite numbers; ask for less")
    return wished.reshape(latent.shape)
