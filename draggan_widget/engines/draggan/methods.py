"""The readings of the formulas under the names that ``DragConfig.method`` chooses from.

``default`` is the project's own, ``paper`` what the paper prints, ``official`` how the authors' program behaves. Each
is a module with the same functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from draggan_widget.engines.base import check_blocks
from draggan_widget.engines.common.geometry import Frame
from draggan_widget.engines.draggan import default, official, paper

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

    from draggan_widget.config import DragConfig
    from draggan_widget.engines.common.sampling import Kept, Reader
    from draggan_widget.models import Generator


class Method(Protocol):
    """One reading of the formulas."""

    def place(self, handles: np.ndarray, frame: Frame) -> np.ndarray:
        """Return where handles (N, 2) set by somebody are put."""

    def motion_loss(self, read: Reader, handles: np.ndarray, targets: np.ndarray, frame: Frame) -> Tensor | None:
        """Return the term that moves the content at the handles (N, 2) towards the targets; None if there is none."""

    def track(self, read: Reader, handles: np.ndarray, references: Sequence[Tensor], frame: Frame) -> np.ndarray:
        """Return where the content of each reference (C,) went from the handles (N, 2)."""

    def mask_loss(self, features: Tensor, base: Tensor, mask: Tensor) -> Tensor | None:
        """Return the term that keeps ``features`` (1, C, h, w) at ``base`` where the mask (H, W) is 0; None if it has
        none.
        """

    def kept(self, mask: Tensor, size: tuple[int, int], /) -> Kept | None:
        """Return the cells of a map of ``size`` that ``mask_loss`` reads; None if it reads the whole map of every
        block.
        """

    def tolerance(self, points: int, frame: Frame, /) -> float:
        """Return the pixels to go within which a handle has arrived, where the config does not say."""


METHODS = cast("dict[str, Method]", {"default": default, "paper": paper, "official": official})


def method_of(config: DragConfig) -> Method:
    """Return the reading that ``config`` asks for."""
    return METHODS[config.method]


def frame_of(config: DragConfig, resolution: tuple[int, int]) -> Frame:
    """Return the radii of ``config`` in a picture of ``resolution`` (H, W)."""
    return Frame.of(resolution, config.supervision_radius, config.tracking_radius)


def tolerance_of(config: DragConfig, points: int, resolution: tuple[int, int]) -> float:
    """Return within how many picture pixels of its target a handle has arrived, one of so many ``points``."""
    if config.tolerance is not None:
        return config.tolerance
    return method_of(config).tolerance(points, frame_of(config, resolution))


def has_arrived(distances: np.ndarray, config: DragConfig, resolution: tuple[int, int]) -> bool:
    """Whether the farthest of ``distances`` (N,) is within the tolerance; never with a tolerance of 0."""
    within = tolerance_of(config, len(distances), resolution)
    return within > 0 and bool(distances.max() <= within)


def blocks_of(generator: Generator, config: DragConfig) -> tuple[int, ...]:
    """Return the blocks whose features are read. :raises ValueError: if the generator does not have one of them."""
    asked = generator.default_block() if config.block is None else config.block
    blocks = (asked,) if isinstance(asked, int) else asked
    check_blocks(generator, blocks, f"config.block is {asked}", ", or leave it None")
    return blocks


def mask_block_of(generator: Generator, config: DragConfig) -> int:
    """Return the block whose features a mask keeps, where a method chooses: the finest one that needs to be looked at.

    What is edited changes the map of the last block with an edited row of its own; all finer maps follow from this one
    by layers that stay as they are. Where it stays, they stay, and it is many times smaller.
    """
    finest = max(blocks_of(generator, config))
    return finest if config.space == "w" else min(finest, generator.block_of_row(config.edit_layers - 1))
