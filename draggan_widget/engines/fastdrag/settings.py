"""The settings of FastDrag."""

from __future__ import annotations

import dataclasses
from typing import Literal

from draggan_widget.settings import Settings, choice, number


@dataclasses.dataclass(frozen=True)
class FastDrag(Settings):
    """How FastDrag warps (Zhao et al., NeurIPS 2024)."""

    reach: float = number(
        0.35,
        "Reach without a mask",
        "How far around a pull its surroundings go along, in parts of the picture's longer side.",
        above=True,
        most=1,
    )
    """The paper always has a mask, whose circle says where a pull ends. Without one each handle has a circle around
    itself, as wide as its way and this."""
    holes: Literal["interpolated", "noise"] = choice(
        "noise",
        "Where content left",
        "What comes where content was and is no more.",
        {
            "interpolated": "its neighbours, noise and all",
            "noise": "its neighbours, with the noise that was there",
        },
    )
    """``"interpolated"`` is the paper's. Means of noise have less of it than a network expects, which blurs; so
    ``"noise"``, which is ours, takes the picture of the neighbours and leaves each cell its own noise. That costs a
    pass of the network."""
