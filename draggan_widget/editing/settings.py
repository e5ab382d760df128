"""The settings of an edit that a person may change one by one, each back to the generator's own as well."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from draggan_widget.config import DragConfig
from draggan_widget.generators import Generator

NAMES = (
    "edit_layers",
    "learning_rate",
    "max_steps",
    "mask_weight",
    "block",
    "supervision_radius",
    "tracking_radius",
    "space",
    "speed",
)
"""All of them are fields of ``DragConfig`` but ``speed``, the largest number of steps a second, None for no limit."""
LARGEST_SPEED = 1000.0


def settings_of(generator: Generator, config: DragConfig, speed: float | None = None) -> dict[str, Any]:
    """What holds, by name, as values that JSON can hold: a block is named even where the config leaves it open."""
    block = generator.default_block() if config.block is None else config.block
    return {
        "edit_layers": min(config.edit_layers, generator.num_ws),
        "learning_rate": config.learning_rate,
        "max_steps": config.max_steps,
        "mask_weight": config.mask_weight,
        "block": block if isinstance(block, int) else list(block),
        "supervision_radius": config.supervision_radius,
        "tracking_radius": config.tracking_radius,
        "space": config.space,
        "speed": speed,
    }


def default_settings(generator: Generator) -> dict[str, Any]:
    """The generator's own, by name."""
    return settings_of(generator, generator.drag_config)


def limits_of(generator: Generator) -> dict[str, Any]:
    """What a generator can take: the rows there are, ``num_ws``, and its ``blocks``."""
    return {"num_ws": generator.num_ws, "blocks": list(generator.blocks)}


def with_settings(
    generator: Generator, config: DragConfig, speed: float | None, values: Mapping[str, Any]
) -> tuple[DragConfig, float | None]:
    """The config and the speed with some settings changed; None means the generator's own again.

    :raises ValueError: naming the setting and what it can be, for one that cannot be taken; nothing is left out
        silently.
    """
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in NAMES:
            raise ValueError(f"there is no setting {name!r}; there are {', '.join(NAMES)}")
        if name == "speed":
            speed = _check_speed(value)
        else:
            changes[name] = getattr(generator.drag_config, name) if value is None else value
    changed = config.replace(**changes)
    if "edit_layers" in changes and values["edit_layers"] is not None and changed.edit_layers > generator.num_ws:
        raise ValueError(f"edit_layers is {changed.edit_layers}; this generator has rows 1 to {generator.num_ws}")
    blocks = () if changed.block is None else (changed.block,) if isinstance(changed.block, int) else changed.block
    if not set(blocks) <= set(generator.blocks):
        first, last = generator.blocks[0], generator.blocks[-1]
        raise ValueError(f"block is {changed.block}; this generator has blocks {first} to {last}")
    return changed, speed


def _check_speed(value: Any) -> float | None:
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 0 < value <= LARGEST_SPEED:
        raise ValueError(f"speed is {value!r}; it must be a number of steps a second, above 0, or None for no limit")
    return float(value)
