"""Who makes the first jump of runs, as a page offers it: by a name, and only what there is for the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from draggan_widget.editing.changes import first_of
from draggan_widget.engines import engine_named, engine_of, jumping_engines
from draggan_widget.models import Generator
from draggan_widget.settings import Setting, SettingError, shown
from draggan_widget.texts import one_line

FIRST = "first"
"""The name of the setting in a page."""
NOBODY = "no jump"
HELP = "A trained network answers a pull at once, coarsely; the engine goes on from there."


def jump_setting(model: Generator, config: Any, first: Any) -> Setting | None:
    """Return the setting as a page offers it for a model; None beside an engine in whose family nothing jumps.

    What cannot be had is no choice; its help says why, and the remedy. It costs a hash of the model's weights, once.

    :param config: settings of the engine that goes on. :param first: who makes the jump now, or None.
    """
    if not jumps_beside(config):
        return None
    choices, lacking = [("", NOBODY)], []
    for label, settings in _offered(model, config, first):
        try:
            engine_of(settings).check(model, settings)
        except ValueError as error:
            said = one_line(error)
            lacking.append(f" {said[:1].upper()}{said[1:]}.")
        else:
            choices.append((label, label))
    return Setting(FIRST, "choice", "First jump", HELP + "".join(lacking), none=NOBODY, choices=tuple(choices))


def jump_chosen(model: Generator, config: Any, first: Any, label: Any) -> Any:
    """Return the settings of who makes the first jump from now on: None for nobody.

    What else was set of an engine that is chosen again holds on. :param label: a choice of ``jump_setting``, or None
        for the model's own, which is nobody.

    :raises SettingError: if it is none. :raises ValueError: if it cannot serve the model.
    """
    if label is None or label == "":
        return None
    offered = dict(_offered(model, config, first))
    if not isinstance(label, str) or label not in offered:
        known = f"choose one of {', '.join(offered)}" if offered else f"nothing jumps for {engine_of(config).name}"
        raise SettingError(f"the first jump is {shown(label)}; {known}")
    return first_of(model, offered[label])


def jump_told(config: Any, first: Any) -> dict[str, str]:
    """Return the value of the setting by its name, empty for nobody; nothing where there is no such setting."""
    if not jumps_beside(config):
        return {}
    if first is None:
        return {FIRST: ""}
    named = engine_of(first).variants(first)
    return {FIRST: next(label for label, settings in named.items() if settings == first)}


def jumps_beside(config: Any) -> tuple[str, ...]:
    """Return the names of the engines that can jump for the one that ``config`` is of."""
    return jumping_engines(engine_of(config).family)


def _offered(model: Generator, config: Any, first: Any) -> Iterator[tuple[str, Any]]:
    for name in jumps_beside(config):
        engine = engine_named(name)
        own = first if first is not None and engine_of(first) is engine else engine.defaults(model)
        yield from engine.variants(own).items()
