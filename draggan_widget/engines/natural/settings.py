"""The settings of the natural drag."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from draggan_widget.settings import Settings, blend, blocks, max_steps, number, rows, tolerance, tracker


@dataclasses.dataclass(frozen=True)
class Natural(Settings):
    """How the natural drag goes. Radii and stride are pixels of a picture of 512 px, scaled to the picture at hand.

    Values are checked when the settings are made; a bad one raises ``ValueError`` naming the field, the value and what
    may be given.
    """

    FORMER: ClassVar[Mapping[str, Any]] = {"blend": "none", "same_person": 0.0}

    locality: float = number(
        0.3, "Locality", "How much else may move along: 0 is the whole head, 1 only what is around the points.", most=1
    )
    """How much else may move: 0 all that a natural change takes along, 1 only what is around the points. Between
    them a pull is as local as it can be while the change stays plausible. It is for up to 8 points."""
    same_person: float = number(
        0.95,
        "Same person",
        "How dear it is to change who is shown, not what they do: 0 is no dearer, 1 hardly ever. For built-in models.",
        most=1,
    )
    """How much of the variance of latents counts as another person's, and not as what one person does, where the model
    is known to tell them apart: that of the built-in ones. 0: all counts alike; 1: none of it but a thousandth."""
    block: int | tuple[int, ...] | None = blocks(
        None, "Feature block", "Whose features say how content moves; one block.", advanced=True
    )
    """Synthesis block whose features say how content moves. None: the one below ``DragConfig``'s."""
    track_block: int | tuple[int, ...] | None = blocks(
        None, "Tracking block", "Whose features are followed; one block or several.", advanced=True
    )
    """Block whose features are followed, or several. None: ``block`` and the one below it."""
    own: float = number(
        1.0,
        "Rows on their own",
        "Variance that each of the first rows has for itself; 0 is W.",
        most=100,
        advanced=True,
    )
    """Variance that each of the first ``own_rows`` rows of the latent has for itself; 0: all rows change alike (W)."""
    common: float = number(0.05, "Rows in common", "Variance that all rows have in common.", most=100, advanced=True)
    """Variance that all rows have in common; 0: no row but the first ``own_rows`` changes. Not both may be 0."""
    own_rows: int = rows(5, "Rows edited", "The first so many rows may change on their own.", most=100, advanced=True)
    """The first so many rows of the latent may change on their own, 1 to 100, of which a model takes what it has."""
    stride: float = number(
        20.0, "Stride", "Pixels of a picture of 512 that a handle goes at most in a step.", above=True, most=512
    )
    """Pixels that a handle goes at most in a step."""
    supervision_radius: float = number(
        12.0, "Pull radius", "How much around a handle says how it moves, in pixels of a picture of 512.", most=128
    )
    """r1, of the disc around a handle whose content says how it moves."""
    tracking_radius: float = number(
        24.0,
        "Search radius",
        "How far around where it should be a handle is looked for, in pixels of a picture of 512.",
        most=128,
    )
    """r2, half the side of the square in which a handle is looked for."""
    tracker: str = tracker()
    """Who says where the handles are after a step: the method itself, ``"own"``, or another tracker, as
    ``draggan_widget.engines.trackers.make`` names them; those that need files take what was brought."""
    damping: float = number(
        1e-2, "Damping", "How soft targets are that pull against each other.", above=True, most=10, advanced=True
    )
    """Part of the mean stiffness of the handles that is added to each, of one point; of two to 8 a hundredth of it, of
    more four times it."""
    mask_weight: float = number(
        1e4, "Mask weight", "How firmly the picture outside the mask is held.", most=1e8, advanced=True
    )
    """How firmly what lies outside the mask is held, 0 for not at all."""
    blend: str = blend("features")
    """What shows outside the mask. ``"features"``: the picture as it was when the mask was set, joined to the pulled
    one in the features of a coarse block; ``"picture"``: the two pictures faded into each other along the mask.
    ``"none"``: what the pull has changed."""
    tolerance: float = tolerance()
    """A handle within so many picture pixels of its target has arrived."""
    max_steps: int = max_steps(30, none="")
    """Steps after which a run is capped."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.own == 0 and self.common == 0:
            raise ValueError("own and common are both 0, so no row could change; give one of them a value above 0")
        if isinstance(self.block, tuple):
            raise ValueError(
                f"block is {self.block}; how content moves is read from one block, such as {self.block[0]}"
            )
