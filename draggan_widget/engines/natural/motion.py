"""How content moves when the latent does: Lucas and Kanade's equation, read in the features of a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common.geometry import Frame, disc, surroundings

if TYPE_CHECKING:
    from draggan_widget.models import Generator

STIFFEN = 1e-3
"""Of the trace of the normal matrix, so that an edge moves little along itself, and a flat place not without bound."""
SHIFTS = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)], dtype=np.float64)
CELLS = 1.5
"""Cells of the map that the disc around a handle reaches each way, at least: fewer have no slope worth the name."""


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """From where and with what the motion of handles is read."""

    model: Generator
    block: int
    """Whose map is read, and whose cells say how far around a handle."""
    frame: Frame
    followed: tuple[tuple[int, ...], np.ndarray] | None = None
    """Blocks and offsets (K, 2) that handles are followed by, if it is their motion that is read, not the disc's."""

    @property
    def blocks(self) -> tuple[int, ...]:
        """Whose features are read."""
        return (self.block,) if self.followed is None else self.followed[0]

    @property
    def offsets(self) -> np.ndarray:
        """(P, 2), from a handle to where these are read."""
        return disc(self.radius, max(1, round(self.cell / 2))) if self.followed is None else self.followed[1]

    @property
    def cell(self) -> float:
        """Pixels from one cell of the block's map to the next."""
        return self.model.resolution[0] / self.model.map_size(self.block)[0]

    @property
    def radius(self) -> int:
        """Pixels around a handle whose content says how it moves."""
        return max(self.frame.supervision, int(np.ceil(CELLS * self.cell)))

    @property
    def is_coarse(self) -> bool:
        """Whether a disc of r1 has too few cells, so that a larger one is read.

        What is farther around than was asked for moves in another way than the handle, if the picture is small: then
        even the shortest step goes elsewhere than was predicted, and none is taken. The motion of what the handle is
        followed by is that which tracking finds.
        """
        return self.frame.supervision < CELLS * self.cell

    @property
    def reach(self) -> float:
        """Pixels around a handle that are read."""
        return self.radius + self._shift

    @property
    def _shift(self) -> float:
        return max(1.0, self.cell / 4)

    def ahead(self, handles: np.ndarray) -> dict[int, Tensor]:
        """Return what is read around ``handles`` (N, 2), by block, as ``Generator.sample_features`` wants it."""
        return {
            block: torch.from_numpy(surroundings(handles, self.reach, self.model.map_size(block), self.frame))
            for block in self.blocks
        }

    def motion(self, leaf: Tensor, handles: np.ndarray, ahead: Mapping[int, Tensor]) -> Motion:
        """Return how the content at ``handles`` (N, 2), in picture pixels, moves with a latent.

        Content whose features are F moves by ``dp = -(Σ GᵀG)⁻¹ Σ Gᵀ dF``, summed over the disc around it, with G (C, 2)
        the slope of F by position (Lucas and Kanade 1981, in feature space): a fixed linear function of F.

        :param leaf: (1, num_ws, w_dim), which takes gradients. :param ahead: as ``Generator.sample_features`` wants it.
        """
        offsets = self.offsets
        middles = (handles[:, None] + offsets).reshape(-1, 2)
        places = torch.from_numpy(self.frame.clamp(middles))
        shifted = self.frame.clamp(np.concatenate([middles + shift * self._shift for shift in SHIFTS]))
        with torch.enable_grad():
            here = self.model.sample_features(leaf, self.blocks, places, ahead)
        with torch.no_grad():
            around = self.model.sample_features(leaf, self.blocks, torch.from_numpy(shifted), ahead)
            right, left, below, above = around.view(4, len(handles), len(offsets), -1)
            slopes = torch.stack([right - left, below - above], dim=1) / (2 * self._shift)  # (N, 2, P, C)
            normal = torch.einsum("nipc,njpc->nij", slopes, slopes).double()
            trace = normal.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
            normal = normal + (STIFFEN * trace + torch.finfo(torch.float32).tiny) * torch.eye(2).to(normal)
            factors = -torch.einsum("nij,njpc->nipc", torch.linalg.inv(normal).to(slopes), slopes)
        return Motion(self, leaf, here, places, factors, trace[:, 0, 0], ahead)


@dataclasses.dataclass(frozen=True, eq=False)
class Motion:
    """The motion of N handles as a linear function of the latent, ``J`` (2N, num_ws, w_dim).

    It is stored only where ``jacobian`` asks for it.
    """

    reading: Reading
    leaf: Tensor
    here: Tensor
    """(N · P, C), the features around the handles, with their graph."""
    places: Tensor
    """(N · P, 2), where they were read."""
    factors: Tensor
    """(N, 2, P, C), what makes motions of changes of them."""
    texture: Tensor
    """(N,), how much there is around the handles to tell motion by: the trace of ``Σ GᵀG``."""
    ahead: Mapping[int, Tensor]

    @property
    def flat(self) -> Tensor:
        """(N,) bools: around these handles nothing differs from anything."""
        return self.texture <= 0

    def of_features(self, amounts: Tensor) -> Tensor:
        """Return the gradient (N · P, C) by features of the sum of motions times ``amounts`` (2N,)."""
        found = torch.einsum("ni,nipc->npc", amounts.view(-1, 2).to(self.factors), self.factors)
        return found.reshape(self.here.shape)

    def jacobian(self, first: int = 0, end: int | None = None) -> Tensor:
        """Return ``J`` (2N, num_ws, w_dim), or its rows from ``first`` to before ``end``, by a backward pass each."""
        units = torch.eye(2 * len(self.factors))[first:end]
        found = [
            torch.autograd.grad(self.here, self.leaf, self.of_features(unit), retain_graph=True)[0] for unit in units
        ]
        return torch.cat(found)

    def along(self, moved: Tensor, length: float) -> Tensor:
        """Return how handles move, as a difference quotient in 64 bits, (2N,), to the latent ``moved``.

        :param length: what to divide by.
        """
        with torch.no_grad():
            there = self.reading.model.sample_features(moved, self.reading.blocks, self.places, self.ahead)
            difference = ((there - self.here) / length).view(len(self.factors), -1, there.shape[1])
            return torch.einsum("nipc,npc->ni", self.factors, difference).reshape(-1).double()
