"""The settings of a predictor."""

from __future__ import annotations

import dataclasses
from typing import Literal

from draggan_widget.settings import Settings, blend, choice, number, tolerance, whole

AUTO, USER = "autodraggan", "usercontrollable"
"""The methods, by name."""
METHODS = {AUTO: "Auto DragGAN", USER: "UserControllableLT"}


@dataclasses.dataclass(frozen=True)
class Predicted(Settings):
    """How a predictor is used. Radii are pixels of a picture of 512 px, scaled to the picture at hand."""

    method: Literal["autodraggan", "usercontrollable"] = choice(
        AUTO, "Method", "Which network answers: each needs weights of its own for the model.", METHODS
    )
    """Which network answers: ``"autodraggan"`` after Cai et al. (ACM MM 2024), ``"usercontrollable"`` after Endo
    (Pacific Graphics 2022)."""
    zoom: float | None = number(
        None,
        "Zoom",
        "How much larger what is at the points becomes, as the logarithm of a factor. Empty: as it comes.",
        least=-1,
        most=1,
        none="as it comes",
    )
    """log of the factor by which the content at the points grows in a jump; None where nothing is asked of its size.
    Only networks that were trained on the motion of a renderer know of it."""
    nearer: float = number(
        0.2,
        "Least gain",
        "A jump that does not bring the handles nearer by such a part of their way is dropped.",
        most=1,
    )
    """The mean distance of handles from targets must fall by such a part, or a jump is dropped and the run ends."""
    max_steps: int | None = whole(
        None, "Jumps", "A run ends after so many jumps.", least=1, most=100, none="the method's own"
    )
    """Jumps of a run. None: one of ``"usercontrollable"``, up to ten of ``"autodraggan"``, which looks after each."""
    anchors: int = whole(
        16, "Anchors", "Places outside a mask of which the network is told that they stay.", most=64, advanced=True
    )
    """With a mask, so many places outside it at most are given to the network as points that do not move."""
    blend: str = blend("features")
    tracking_radius: float = number(
        24.0, "Search radius", "How far around where it should be a handle is looked for.", most=128, advanced=True
    )
    """r2, half the side of the square in which a handle is looked for."""
    tolerance: float = tolerance()
    """A handle within so many picture pixels of its target has arrived."""
