"""The recipe of the figures: their numbers, renders and network, and how they are trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import beside  # noqa: F401  for what is shared
import numpy as np
from body import BodyBasis, body_at
from person import LATENT, person_from_latent
from recipe import Draw, Recipe

from draggan_widget.config import DragConfig

if TYPE_CHECKING:
    from torch import Tensor

SHAPE = (256, 128)
POINTS = 28
"""Joints and ends of clothes that are known of each picture."""
DRAWN_BY = ("body.py", "posing.py", "person.py", "garments.py", "looks.py", "draw.py")
OF_FACES = ("basis.py", "scene.py", "hair.py", "shaders.py")


def drawer(basis_file: Path, edition: int) -> Draw:
    """What draws a person, and says where its points are."""
    from draw import Renderer  # here, so that training works where nothing can be drawn

    assert edition == 1
    basis = BodyBasis.load(basis_file)
    renderer = Renderer(basis)

    def draw(latent: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        picture, points, seen = renderer.with_points(person_from_latent(latent, basis))
        return picture, {"points": points.astype("f4"), "seen": seen}

    return draw


def attention(size: int) -> Tensor:
    """How much each pixel counts (1, 1, size, size / 2): where people stand about three times, heads four times."""
    import torch

    y, x = torch.meshgrid(
        (torch.arange(size) + 0.5) / size * 2 - 1, (torch.arange(size // 2) + 0.5) / size * 4 - 1, indexing="ij"
    )
    inner = torch.exp(-(((x / 0.55) ** 2 + ((y - 0.05) / 0.85) ** 2) ** 2))
    head = torch.exp(-((x / 0.35) ** 2) - ((y + 0.55) / 0.20) ** 2)
    weights = 1 + 2.0 * inner + 1.5 * head
    return (weights / weights.mean())[None, None]


def views(pictures: Tensor) -> tuple[Tensor, ...]:
    """Coarse pictures, and the region where people stand at twice the detail."""
    import torch.nn.functional as F

    small = F.avg_pool2d(pictures, SHAPE[0] // 64)
    return F.avg_pool2d(small, 2).flatten(1), small[:, :, 8:60, 6:26].flatten(1)


FIGURES = Recipe(
    name="figures",
    latent=LATENT,
    size=SHAPE,
    seed=30250,
    drawn_by=(
        *(Path(__file__).parent / name for name in DRAWN_BY),
        *(Path(__file__).parents[1] / "faces" / name for name in OF_FACES),
    ),
    basis_at=body_at,
    drawer=drawer,
    network={
        "z_dim": len(LATENT),
        # Two views, the points, and the numbers themselves.
        "w_dim": 2 * 128 + 2 * POINTS + len(LATENT),
        # Seven blocks, that double an input of 4 × 2.
        "channels": {4: 256, 8: 256, 16: 256, 32: 256, 64: 128, 128: 64, 256: 32},
        "mapping_layers": 4,
        "mapping_lr_multiplier": 1.0,
    },
    attention=attention,
    views=views,
    told=("points",),
    drag_config=DragConfig(),
    notes={"licence": "CC0-1.0"},
    finished=(1,),
)
