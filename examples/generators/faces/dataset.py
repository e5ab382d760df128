"""The recipe of the built-in faces: their numbers, renders and network, and how they are trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import beside  # noqa: F401  for what is shared
import numpy as np
from recipe import Draw, Recipe
from scene import EDITIONS, LATENT

from draggan_widget.config import DragConfig

if TYPE_CHECKING:
    from basis import HeadBasis
    from torch import Tensor

SIZE = 256
DRAWN_BY = ("basis.py", "scene.py", "render.py", "hair.py", "shaders.py", "strands.py")


def basis_at(path: Path) -> HeadBasis:
    """Return the basis of a file; it is built, and written there, where it is missing."""
    from basis import HeadBasis, build_basis  # here, so that training works where nothing can be drawn

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        build_basis().save(path)
    return HeadBasis.load(path)


def drawer(basis_file: Path, edition: int) -> Draw:
    """What draws a face of an ``edition``."""
    from basis import HeadBasis  # here, so that training works where nothing can be drawn
    from render import Renderer, halve
    from scene import scene_from_latent

    basis = HeadBasis.load(basis_file)
    renderer = Renderer(basis, size=2 * SIZE, edition=edition)

    def draw(latent: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return halve(renderer(scene_from_latent(latent, basis, edition))), {}

    return draw


def attention(size: int) -> Tensor:
    """How much each pixel counts (1, 1, size, size): eyes to mouth, where all faces have theirs, about three times."""
    import torch

    line = (torch.arange(size) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    inner = torch.exp(-(((x / 0.42) ** 2 + ((y - 0.12) / 0.5) ** 2) ** 2))
    weights = 1 + 2.5 * inner
    return (weights / weights.mean())[None, None]


def views(pictures: Tensor) -> tuple[Tensor, ...]:
    """Coarse pictures, and the region from brows to chin at twice the detail."""
    import torch.nn.functional as F

    small = F.avg_pool2d(pictures, SIZE // 64)
    return F.avg_pool2d(small, 2).flatten(1), small[:, :, 20:56, 14:50].flatten(1)


FACES = Recipe(
    name="faces",
    latent=LATENT,
    size=(SIZE, SIZE),
    seed=20240,
    drawn_by=tuple(Path(__file__).parent / name for name in DRAWN_BY),
    basis_at=basis_at,
    drawer=drawer,
    network={
        "z_dim": len(LATENT),
        "w_dim": 256 + len(LATENT),
        "channels": {4: 256, 8: 256, 16: 256, 32: 192, 64: 96, 128: 64, 256: 32},
        "mapping_layers": 4,
        "mapping_lr_multiplier": 1.0,
    },
    attention=attention,
    views=views,
    # What ``evaluate.py --search`` found best.
    drag_config=DragConfig(block=4, edit_layers=6, learning_rate=1e-2, supervision_radius=12.0, mask_weight=5.0),
    notes={"licence": "CC0-1.0", "card": "faces.md"},
    edition=2,  # the third is drawn, and not yet learned
    editions=EDITIONS,
    finished=(2, 3),
)
