"""The settings of an edit that a person may change one by one, each back to the generator's own as well."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from draggan_widget.config import DragConfig
from draggan_widget.generators import Generator
from draggan_widget.settings import Limits, SettingError, number, settings_in


@dataclasses.dataclass(frozen=True)
class _Pace:
    """What belongs to runs, whatever is pulled how."""

    speed: float | None = number(
        None,
        "Speed",
        "At most so many steps a second, to watch more calmly. Empty: as fast as it goes.",
        above=True,
        most=1000,
        none="fastest",
    )


SETTINGS = {**settings_in(DragConfig), **settings_in(_Pace)}
"""All of them are fields of ``DragConfig`` but ``speed``, the largest number of steps a second, None for no limit."""


def settings_of(generator: Generator, config: DragConfig, speed: float | None = None) -> dict[str, Any]:
    """What holds, by name, as values that JSON can hold: a block is named even where the config leaves it open."""
    block = generator.default_block() if config.block is None else config.block
    return {
        **config.to_dict(),
        "edit_layers": min(config.edit_layers, generator.num_ws),
        "block": block if isinstance(block, int) else list(block),
        "speed": speed,
    }


def default_settings(generator: Generator) -> dict[str, Any]:
    """The generator's own, by name."""
    return settings_of(generator, generator.drag_config)


def limits_of(generator: Generator) -> Limits:
    """What a generator can take."""
    return Limits(generator.num_ws, tuple(generator.blocks))


def with_settings(
    generator: Generator, config: DragConfig, speed: float | None, values: Mapping[str, Any]
) -> tuple[DragConfig, float | None]:
    """The config and the speed with some settings changed; None means the generator's own again.

    :raises SettingError: naming the setting and what it can be, for one that cannot be taken; nothing is left out
        silently.
    """
    own = {**{name: getattr(generator.drag_config, name) for name in settings_in(DragConfig)}, "speed": None}
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in SETTINGS:
            raise SettingError(f"there is no setting {name!r}; there are {', '.join(SETTINGS)}")
        changes[name] = own[name] if value is None else SETTINGS[name].check(value, limits_of(generator))
    speed = changes.pop("speed", speed)
    return config.replace(**changes), speed
