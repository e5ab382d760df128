"""What a generator is made by: its numbers, its renders, its network, and how it is trained.

One value of :class:`Recipe` for each generator is all that the shared parts need to know of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from draggan_widget.config import DragConfig

if TYPE_CHECKING:
    from torch import Tensor

Draw = Callable[[np.ndarray], "tuple[np.ndarray, dict[str, np.ndarray]]"]
"""One latent -> its picture (H, W, 3) uint8, and what else is known of it by name, arrays of always the same shape."""


@dataclass(frozen=True)
class Recipe:
    """See the module. Functions must be of modules, so that other processes can be given them."""

    name: str
    """Of the file of weights, and of the model."""
    latent: tuple[str, ...]
    """What each number means."""
    size: tuple[int, int]
    """Height and width of pictures, in pixels."""
    seed: int
    drawn_by: tuple[Path, ...]
    """The files that pictures depend on; another text of them is another recipe."""
    basis_at: Callable[[Path], Any]
    """Reads the basis of a file; builds it, and writes it there, where it is missing."""
    drawer: Callable[[Path, int], Draw]
    """What draws, of the file of the basis and the edition."""
    network: Mapping[str, Any]
    """Arguments of ``StyleGAN2``, other than the resolution."""
    attention: Callable[[int], Tensor]
    """How much each pixel counts (1, 1, h, w) in pictures of height h; of mean 1."""
    views: Callable[[Tensor], tuple[Tensor, ...]]
    """Pictures (N, 3, H, W) -> flat views (N, D) whose principal components the mapping is taught."""
    drag_config: DragConfig
    notes: Mapping[str, str]
    """What the file of weights says of itself."""
    told: tuple[str, ...] = ()
    """What is known of each picture that the mapping is taught besides."""
    edition: int = 1
    """What is made unless another is asked for."""
    editions: tuple[int, ...] = (1,)
    finished: tuple[int, ...] = (1,)
    """Editions whose last part of training has an adversary."""
    schedule: tuple[tuple[float, int, int], ...] = ((0.12, 32, 32), (0.32, 64, 24), (0.58, 128, 16), (1.0, 256, 12))
    """Until which fraction of the time: height of pictures, batch size."""
    continued: tuple[tuple[float, int, int], ...] = ((1.0, 256, 12),)
    """The same where training goes on from other weights, that know coarse pictures already."""
    part: int = 500
    """Pictures a file."""
    held_out: int = 64
    """The first so many pairs are never trained on; they tell how good new pictures are."""

    def record(self, edition: int) -> dict[str, str]:
        """What pictures and weights of one folder must have in common, in few words each."""
        drawn = hashlib.sha256(b"".join(file.read_bytes() for file in self.drawn_by)).hexdigest()[:16]
        high, wide = self.size
        return {
            "edition": str(edition),
            "drawn by": drawn,
            "size": str(high) if high == wide else f"{high}x{wide}",
            "seed": str(self.seed),
            "network": json.dumps(dict(self.network)),
        }
