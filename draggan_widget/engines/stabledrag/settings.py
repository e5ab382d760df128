"""The settings of StableDrag."""

from __future__ import annotations

import dataclasses
from typing import Literal

from draggan_widget.engines.descent import DescentSettings
from draggan_widget.settings import number, on_lost, tracker


@dataclasses.dataclass(frozen=True)
class StableDrag(DescentSettings):
    """How StableDrag pulls (Cui et al., *StableDrag*, ECCV 2024). Radii are pixels of a picture of 512 px."""

    filter_share: float = number(
        0.25,
        "Share of the filter",
        "How much the filter that knows the surroundings counts when a handle is looked for; the rest is likeness.",
        most=1,
        advanced=True,
    )
    """α: how much the filter's response counts in tracking; the rest is for the distance of features."""
    sureness: float = number(
        0.8,
        "Sure from",
        "Below this part of the first response the handle is pulled towards what was grabbed.",
        most=1,
        advanced=True,
    )
    """τ: below this part of the response at the start the patch as it was grabbed is the target, until the response is
    0.1 above it again."""
    supervision_radius: float = number(
        3.0, "Pull radius", "How much around a handle is pulled, in pixels of a picture of 512.", most=128
    )
    """r1, of the disc around a handle whose content is pulled."""
    tracking_radius: float = number(
        12.0, "Search radius", "How far around itself a handle is looked for, in pixels of a picture of 512.", most=128
    )
    """r2, half the side of the square in which a handle is looked for."""
    tracker: str = tracker()
    """Who says where the handles are: the method itself, ``"own"``, or another tracker; see ``DragConfig``."""
    on_lost: Literal["go_on", "stop"] = on_lost()
    """``"stop"``: a run ends as ``stalled``, at the best state so far, when a handle has been lost for five trackings;
    see ``draggan_widget.engines.losing``."""
