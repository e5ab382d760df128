"""The settings of DragDiffusion."""

from __future__ import annotations

import dataclasses

from draggan_widget.settings import Settings, blocks, max_steps, number, stall_steps, tolerance, whole


@dataclasses.dataclass(frozen=True)
class DragDiffusion(Settings):
    """How DragDiffusion pulls (Shi et al., CVPR 2024); the numbers are the paper's.

    Lengths count places of a grid on which features are read, a quarter of a cell of the noisy picture apart: for
    Stable Diffusion two pixels, as in the paper. How far up its way the picture is pulled is not here but in the
    model's ``Sampling``.
    """

    block: int | None = blocks(
        None, "Feature block", "Whose features are followed: 1 is the middle of the UNet, then its way up."
    )
    """Block of the UNet whose features are read. None: the model's own; of Stable Diffusion the third of its way up."""
    supervision_radius: int = whole(
        1, "Pull radius", "Half the side of the square that is pulled, in quarters of a cell.", most=64
    )
    """r1."""
    tracking_radius: int = whole(
        3, "Search radius", "How far around itself a handle is looked for, in quarters of a cell.", least=1, most=64
    )
    """r2."""
    learning_rate: float = number(
        0.01,
        "Learning rate",
        "How far a step goes. Larger is quicker; too large, and the picture breaks.",
        above=True,
        most=10,
    )
    """Step size of Adam, on the noisy picture."""
    mask_weight: float = number(0.1, "Mask weight λ", "How strongly what is not painted is kept.", most=10_000)
    """λ, of the sum of what the next noisy picture changes outside the mask."""
    tolerance: float = tolerance(2.0, "A handle has arrived when it is nearer to its target, in quarters of a cell.")
    """A point that is nearer is no longer pulled."""
    max_steps: int | None = max_steps(80)
    """Adam steps after which a run is capped. None: no cap."""
    stall_steps: int | None = stall_steps(20, "steps")
    """A run is stalled when no handle has come nearer for so many steps; this is ours. None: never."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.block, tuple):
            raise ValueError(f"block is {self.block}; this engine reads one block")
