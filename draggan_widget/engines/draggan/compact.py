"""What a record keeps so that a drag can go on from it exactly: all of its state, in little memory.

Points, references, mask, settings and the features of the anchor are values that states share; of a state's own there
are only the latent, which the record has, and Adam's moments, of which the rows that were never edited are zero.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common.running import Moments
from draggan_widget.engines.draggan.state import DragState


@dataclasses.dataclass(frozen=True, eq=False)
class Compact:
    """A drag state without its latent."""

    rest: DragState
    first: np.ndarray
    """Adam's running mean of the gradient, rows (1, edited, w_dim)."""
    second: np.ndarray
    """And of its square."""

    @classmethod
    def of(cls, drag: DragState) -> Compact:
        """Return what is to be kept of a state."""
        first, second = drag.moments.first.cpu().numpy(), drag.moments.second.cpu().numpy()
        edited = np.flatnonzero(second.any(axis=(0, 2)) | first.any(axis=(0, 2)))
        rows = int(edited[-1]) + 1 if len(edited) else 0
        nothing = torch.empty(0)
        rest = dataclasses.replace(drag, latent=nothing, moments=Moments(nothing, nothing, drag.moments.count))
        return cls(rest, first[:, :rows].copy(), second[:, :rows].copy())

    def state(self, ws: Tensor) -> DragState:
        """Return the state again, whose latent was ``ws`` (1, num_ws, w_dim)."""
        anchor, w0 = self.rest.anchor, self.rest.w0
        with torch.inference_mode(mode=False):
            latent = ws.detach().to(device=w0.device, dtype=w0.dtype, copy=True).requires_grad_()
            # At the start both are one tensor, so that the generator computes one map for them.
            if torch.equal(anchor.latent, latent):
                latent = anchor.latent
            first, second = torch.zeros_like(w0), torch.zeros_like(w0)
            for whole, rows in ((first, self.first), (second, self.second)):
                whole[:, : rows.shape[1]] = torch.from_numpy(rows).to(whole)
        return dataclasses.replace(self.rest, latent=latent, moments=Moments(first, second, self.rest.moments.count))
