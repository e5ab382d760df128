"""The settings of a drag: a plain value without torch, which every room of the package may hold.

A generator carries the settings it drags best with, ``dragging`` obeys them, the widget shows them and a `.drag` file
keeps them; so they live below all four.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from draggan_widget.settings import (
    Settings,
    blend,
    blocks,
    choice,
    help_text,
    max_steps,
    number,
    on_lost,
    rows,
    settings_in,
    several_blocks,
    stall_steps,
    stay_near,
    tolerance,
    tracker,
    truncate,
    typical,
    window,
)


@dataclasses.dataclass(frozen=True)
class DragConfig(Settings):
    """How points are pulled (Pan et al., *Drag Your GAN*, SIGGRAPH 2023, section 3.2).

    Radii are given in pixels of a picture of 512 px and scaled to the picture at hand, as in the paper; tolerances are
    pixels of the picture itself. Values are checked when the config is made, and become Python's own numbers whatever
    kind of number they were; a bad one raises ``ValueError`` naming the field, the value and what may be given, and an
    unknown field ``TypeError``.
    """

    KIND: ClassVar[str] = "drag settings"
    FORMER: ClassVar[Mapping[str, Any]] = {"on_stall": "stop"}

    method: Literal["default", "paper", "official"] = choice(
        "default",
        "Method",
        "Which reading of the paper's formulas is used.",
        {"default": "default", "paper": "paper", "official": "official"},
        advanced=True,
    )
    """Which reading of the paper's formulas is used; see ``draggan_widget.engines.draggan.methods``."""
    block: int | tuple[int, ...] | None = blocks(
        None, "Feature block", "Which features are followed: low blocks see large shapes, high ones fine detail."
    )
    """Synthesis block whose features are read, the 4×4 block being 1; or several, whose channels are then read
    together, as in the paper's ablation ("5+6"). None: 128×128 for pictures of 256 px and more, half the picture below
    that."""
    edit_layers: int = rows(
        6,
        "Rows edited",
        "The first so many rows of the latent change: few move shapes, more change colours and texture too.",
        most=100,
    )
    """The first so many rows of ``ws`` are optimised, the others stay; 1 to 100, of which a generator takes as many as
    it has."""
    space: Literal["w_plus", "w"] = choice(
        "w_plus",
        "Latent space",
        "W+ changes each layer by itself and reaches farther; W stays nearer to pictures that the model knows.",
        {"w_plus": "W+", "w": "W"},
    )
    """What is optimised: these rows, each on its own (W+), or all rows as one (W, which ignores ``edit_layers``). W
    stays nearer to what the generator has learned, and changes more of the picture."""
    learning_rate: float = number(
        2e-3,
        "Learning rate",
        "How far a step goes. Larger is quicker; too large, and the picture breaks.",
        above=True,
        most=1,
    )
    """Step size of Adam, above 0 and up to 1."""
    supervision_radius: float = number(
        3.0, "Pull radius", "How much around a handle is pulled, in pixels of a picture of 512.", most=128
    )
    """r1, in pixels of a 512 px picture, 0 to 128."""
    tracking_radius: float = number(
        12.0,
        "Search radius",
        "How far around itself a handle is looked for after a step, in pixels of a picture of 512.",
        most=128,
    )
    """r2, in pixels of a 512 px picture, 0 to 128."""
    mask_weight: float = number(
        20.0, "Mask weight λ", "How strongly what is not painted is kept as it is.", most=10_000
    )
    """λ, the weight of keeping features outside the mask, 0 to 10,000."""
    stay_near: float = stay_near()
    """Weight of the mean of |w - w0| over what is optimised, 0 for none. It shortens drags."""
    truncate: float = truncate()
    """κ: after each step w becomes w̄ + (1 - κ)·(w - w̄) in what is optimised, so that n steps truncate by about
    ψ = exp(-κ·n). 0 for none."""
    typical: float | None = typical()
    """τ: after each step a row of the latent whose mean square, whitened by the model's own latents, is above τ is
    scaled back to it; where the edit began farther out, to what it was there. None: never."""
    blend: str = blend("none")
    """What shows outside the mask. ``"features"``: the picture as it was when the mask was set, joined to the pulled
    one in the features of a coarse block; ``"picture"``: the two pictures faded into each other along the mask.
    ``"none"``: what the pull has changed."""
    tracker: str = tracker()
    """Who says where the handles are after a step: the method itself, ``"own"``, or another tracker, as
    ``draggan_widget.engines.trackers.make`` names them; those that need files take what was brought."""
    window: Literal["fixed", "adaptive"] = window()
    """``"adaptive"``: the handle is looked for in a window that is as large as its last steps ask for, and larger where
    two places are about as good; see ``draggan_widget.engines.trackers.Features``. It is for ``tracker="own"`` and
    ``"features"``."""
    several_blocks: Literal["joined", "scaled"] = several_blocks()
    """With several blocks, ``"scaled"`` divides each one's features by their size, so that all count alike in the loss
    and in tracking; see ``draggan_widget.engines.common.scaling``. ``"joined"`` takes them as they are."""
    tolerance: float | None = tolerance(none="the method's")
    """A handle within so many picture pixels of its target has arrived, 0 to 1,000; at 0 never, so that the run goes on
    until it stalls, is capped or is stopped. None: the method's own rule."""
    max_steps: int | None = max_steps(300)
    """Adam steps after which a run is ``capped``, 1 to 100,000. None: no cap."""
    stall_steps: int | None = stall_steps(10, "steps")
    """A run is ``stalled`` when no handle has come nearer for so many trackings, 1 to 100,000. None: never."""
    on_stall: Literal["halve", "stop"] = choice(
        "halve",
        "When stuck",
        "Whether steps are made smaller, and the way so far forgotten, when handles swing or go away for four of them.",
        {"halve": "smaller steps", "stop": "none but the end"},
        advanced=True,
    )
    """``"halve"``: when four trackings in a row found no handle nearer, and in one of them a handle was farther than it
    had been, the rate is halved and Adam's moments are cleared, again and again, until the points or the rate change.
    Where handles only creep or rest it stays. ``"stop"``: never. That is what a config of before has, which knew no
    other; and the paper."""
    on_lost: Literal["go_on", "stop"] = on_lost()
    """``"stop"``: a run ends as ``stalled``, at the best state so far, when a handle has been lost for five trackings;
    see ``draggan_widget.engines.losing``."""

    @classmethod
    def paper(cls, **changes: Any) -> DragConfig:
        """The formulas as the paper prints them, with means for sums (a literal sum lets the mask swamp the motion)."""
        return cls(**{"method": "paper", "tolerance": None, "on_stall": "stop", **changes})

    @classmethod
    def official(cls, **changes: Any) -> DragConfig:
        """The formulas as the authors' published program behaves: the yardstick for speed and quality."""
        settings = {"method": "official", "learning_rate": 1e-3, "tolerance": None, "max_steps": None}
        return cls(**{**settings, "stall_steps": None, "on_stall": "stop", **changes})


def config_help() -> str:
    """All settings as lines for a terminal."""
    return help_text(list(settings_in(DragConfig).values()), DragConfig().to_dict())
