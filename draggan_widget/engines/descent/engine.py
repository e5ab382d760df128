"""What engines that step by Adam say of themselves: what they need, and which settings hold on a model."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from draggan_widget.engines.base import Engine, check_blocks

if TYPE_CHECKING:
    from draggan_widget.engines.descent.settings import DescentSettings
    from draggan_widget.models import Generator

C = TypeVar("C", bound="DescentSettings")
PAPERS_RATE = 2e-3
"""Of Adam, in the papers, for StyleGAN2 of faces."""
PAPERS_MASK_WEIGHT = 10.0
"""Of the mean over the cells outside a mask, in FreeDrag."""


class DescentEngine(Engine, abc.ABC, Generic[C]):
    """A method that goes down a loss of features by Adam."""

    needs = (*Engine.needs, "sample_features", "feature_maps", "maps", "map_size", "blocks", "default_block", "num_ws")

    def values(self, model: Generator, settings: C) -> dict[str, Any]:
        """Return the settings as they hold: block and rate are named even where the settings leave them open."""
        blocks = blocks_of(model, settings)
        named = blocks[0] if len(blocks) == 1 else list(blocks)
        rows = min(settings.edit_layers, model.num_ws)
        rate = rate_of(model, settings)
        weight = mask_weight_of(model, settings)
        return {
            **settings.to_dict(),
            "block": named,
            "edit_layers": rows,
            "learning_rate": rate,
            "mask_weight": weight,
        }


def blocks_of(model: Generator, settings: DescentSettings) -> tuple[int, ...]:
    """Return the blocks whose features are read. :raises ValueError: if the model lacks one of them."""
    asked = settings.block
    if asked is None:
        carried = getattr(model, "drag_config", None)
        asked = model.default_block() if carried is None or carried.block is None else carried.block
    blocks = (asked,) if isinstance(asked, int) else asked
    check_blocks(model, blocks, f"block is {asked}", ", or leave it None")
    return blocks


def rate_of(model: Generator, settings: DescentSettings) -> float:
    """Return the step size of Adam."""
    if settings.learning_rate is not None:
        return settings.learning_rate
    carried = getattr(model, "drag_config", None)
    return PAPERS_RATE if carried is None else float(carried.learning_rate)


def mask_weight_of(model: Generator, settings: DescentSettings) -> float:
    """Return the weight of what is outside a mask."""
    if settings.mask_weight is not None:
        return settings.mask_weight
    carried = getattr(model, "drag_config", None)
    return PAPERS_MASK_WEIGHT if carried is None else float(carried.mask_weight)
