"""The settings of GoodDrag's supervision."""

from __future__ import annotations

import dataclasses
from typing import Literal

from draggan_widget.engines.descent import DescentSettings
from draggan_widget.settings import choice, number, on_lost, stall_steps, tracker, whole, window


@dataclasses.dataclass(frozen=True)
class GoodDrag(DescentSettings):
    """How GoodDrag pulls (Zhang et al., *GoodDrag*, ICLR 2025). Lengths are pixels of a picture of 512 px.

    Its own numbers count cells of a grid of half the picture, so they are twice as large here.
    """

    pulls: int = whole(
        3, "Steps to a tracking", "So many steps are taken before the handles are looked for.", least=1, most=100
    )
    """K: Adam steps between two trackings."""
    stride: float = number(
        8.0, "Stride", "How far on the content is pulled, in pixels of a picture of 512.", above=True, most=512
    )
    """β: how far ahead of the handle its content is asked to be, at most."""
    toward: Literal["first", "current"] = choice(
        "first",
        "Pulled towards",
        "Which patch the features ahead are to be like: the one that was grabbed, or the one at the handle now.",
        {"first": "as grabbed", "current": "as it is"},
        advanced=True,
    )
    """``"first"``: the patch as it was grabbed, as in the paper. ``"current"``: the one at the
    handle now, as in DragGAN."""
    supervision_radius: float = number(
        8.0,
        "Pull radius",
        "Half the side of the patch that is pulled, in pixels of a picture of 512.",
        above=True,
        most=128,
    )
    """r1, half the side of the square patch."""
    tracking_radius: float = number(
        24.0, "Search radius", "How far around itself a handle is looked for, in pixels of a picture of 512.", most=128
    )
    """r2, half the side of the square in which a handle is looked for."""
    tracker: str = tracker()
    """Who says where the handles are: the method itself, ``"own"``, or another tracker; see ``DragConfig``."""
    window: Literal["fixed", "adaptive"] = window()
    """``"adaptive"``: handles are looked for in windows as large as their last steps ask for; see ``DragConfig``."""
    stall_steps: int | None = stall_steps(5)
    """A run is stalled when no handle has come nearer for so many trackings. None: never."""
    on_lost: Literal["go_on", "stop"] = on_lost()
    """``"stop"``: a run ends as ``stalled``, at the best state so far, when a handle has been lost for five trackings;
    see ``draggan_widget.engines.losing``."""
