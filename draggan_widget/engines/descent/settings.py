"""The settings that engines share which take small steps by Adam."""

from __future__ import annotations

import dataclasses
from typing import Literal

from draggan_widget.settings import (
    Settings,
    blend,
    blocks,
    max_steps,
    number,
    rows,
    several_blocks,
    stall_steps,
    stay_near,
    tolerance,
    truncate,
    typical,
)


@dataclasses.dataclass(frozen=True)
class DescentSettings(Settings):
    """How the latent is stepped, what is to stay, and when a run ends.

    Lengths named so are pixels of a picture of 512 px and are scaled to the picture at hand by its height.
    """

    block: int | tuple[int, ...] | None = blocks(
        None, "Feature block", "Which features are followed: low blocks see large shapes, high ones fine detail."
    )
    """Synthesis block whose features are read, or several. None: those the model's own settings name, or the one of
    128×128, the sixth of a StyleGAN."""
    edit_layers: int = rows(
        6, "Rows edited", "The first so many rows of the latent change; the others stay.", most=100, advanced=True
    )
    """The first so many rows of the latent are optimised, of which a model takes as many as it has."""
    learning_rate: float | None = number(
        None,
        "Learning rate",
        "How far a step goes. Larger is quicker; too large, and the picture breaks.",
        above=True,
        most=1,
        none="the model's own",
    )
    """Step size of Adam. None: the one that the model carries, which knows how large its latents are; 2e-3 where it
    carries none, as the papers have it for StyleGAN2."""
    mask_weight: float | None = number(
        None, "Mask weight λ", "How strongly what is not painted is kept.", most=10_000, none="the model's own"
    )
    """λ, of the mean change of the features of those cells that lie outside the mask. None: the one that the model
    carries, found along with its rate, by twice of which handles stall half way; 10 where it carries none."""
    stay_near: float = stay_near()
    """Weight of the mean of |w - w0| over the edited rows, 0 for none. It shortens drags."""
    truncate: float = truncate()
    """κ: after each step w becomes w̄ + (1 - κ)·(w - w̄) in the edited rows, so that n steps truncate by about
    ψ = exp(-κ·n). 0 for none; 1e-3 to 1e-2 keeps long pulls among pictures that the model knows, and shortens them."""
    typical: float | None = typical()
    """τ: after each step a row of the latent whose mean square, whitened by the model's own latents, is above τ is
    scaled back to it; where the edit began farther out, to what it was there. None: never."""
    blend: str = blend("none")
    """What shows outside the mask: ``"features"``, the picture as it was when the mask was set; ``"picture"``, the
    same, faded into the pulled one; ``"none"``, as pulled."""
    several_blocks: Literal["joined", "scaled"] = several_blocks()
    """With several blocks, ``"scaled"`` divides each one's features by their size, so that all count alike. See
    ``DragConfig``."""
    tolerance: float = tolerance()
    """A handle within so many picture pixels of its target is there; at 0 never."""
    max_steps: int | None = max_steps(300)
    """Adam steps after which a run is capped. None: no cap."""
    stall_steps: int | None = stall_steps(10)
    """A run is stalled when no handle has come nearer for so many trackings. None: never."""
