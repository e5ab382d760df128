"""The settings of an edit that a person may change one by one: those of its engine, which engine, and the speed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from draggan_widget.editing.finishing import RESIDUAL
from draggan_widget.editing.first_jump import FIRST, jump_chosen
from draggan_widget.engines import DragConfig, bind, engine_named, engine_names, engine_of
from draggan_widget.models import Generator
from draggan_widget.settings import Limits, Setting, SettingError, choice, number, settings_in

if TYPE_CHECKING:
    from draggan_widget.editing.document import Document

CARRIED, LEFT_OUT = "carried", "none"


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


@dataclasses.dataclass(frozen=True)
class _OfAPhotograph:
    """What belongs to the edit of a photograph, whatever is pulled how."""

    residual: str = choice(
        CARRIED,
        "Details of the photograph",
        "What of your photograph the model could not fit, single hairs say: carried along with what moves, or left "
        "out, to see the model's own picture.",
        {CARRIED: "carried along", LEFT_OUT: "left out"},
    )


SETTINGS = {**settings_in(DragConfig), **settings_in(_Pace)}
"""Those of the engine ``draggan``, and ``speed``, the largest number of steps a second, None for no limit."""


def settings_for(config: Any, *, of_photo: bool = False) -> dict[str, Setting]:
    """Return the settings of the engine that ``config`` is of, by name: the engine, where there are several, comes
    first. :param of_photo: whether a photograph is edited, which has some of its own.
    """
    names = engine_names(engine_of(config).family)
    texts = tuple((name, name) for name in names)
    asked = Setting("engine", "choice", "Engine", f"{engine_of(config).help}.", choices=texts)
    own = settings_in(_OfAPhotograph) if of_photo else {}
    return {**({"engine": asked} if len(names) > 1 else {}), **settings_in(type(config)), **own, **settings_in(_Pace)}


def settings_there(document: Document) -> dict[str, Setting]:
    """Return the settings that there are for an edit, by name."""
    return settings_for(document.config, of_photo=document.of_photo)


def settings_in_use(document: Document, speed: float | None = None) -> dict[str, Any]:
    """Return the settings as an edit has them, by name, as values that JSON can hold."""
    values = settings_of(document.model.generator, document.config, speed)
    if document.of_photo:
        values["residual"] = CARRIED if RESIDUAL in document.finish else LEFT_OUT
    return values


def usual_settings(document: Document) -> dict[str, Any]:
    """Return the settings that an edit has unless somebody changes them, by name."""
    values = default_settings(document.model.generator, document.config)
    return {**values, "residual": CARRIED} if document.of_photo else values


@dataclasses.dataclass(frozen=True)
class Choice:
    """What settings by name come to, each where an edit has it."""

    config: Any
    """Of the engine."""
    first: Any
    """Of who makes the first jump of runs, or None."""
    finish: tuple[str, ...]
    speed: float | None


def choice_of(document: Document, speed: float | None, values: Mapping[str, Any]) -> Choice:
    """Return what an edit has with some settings changed; None means the model's own again.

    Whether the engine takes all of its own together is found when it is bound with them, by ``with_config``.

    :param speed: as it is. :param values: by the names of ``settings_there``, or ``first``, as a page calls it.
    :raises SettingError: naming the setting and what it can be, for one that cannot be taken. :raises ValueError: if
        who is to make the first jump cannot serve the model.
    """
    generator, rest = document.model.generator, dict(values)
    first, finish = document.first, document.finish
    if FIRST in rest:
        first = jump_chosen(generator, document.config, first, rest.pop(FIRST))
    if "residual" in rest:
        finish = _finish(document, rest.pop("residual"))
    config, speed = with_settings(generator, document.config, speed, rest)
    return Choice(config, first, finish, speed)


def check_settings(document: Document, speed: float | None, values: Mapping[str, Any]) -> None:
    """Check that an edit can have some settings. :raises SettingError: as ``choice_of``, or as the engine says that
    it does not take them together.
    """
    config = choice_of(document, speed, values).config
    if config == document.config and type(config) is type(document.config):
        return
    try:
        bind(document.model.generator, config)
    except ValueError as error:
        raise SettingError(str(error)) from error


def usual_choice(document: Document) -> Choice:
    """Return what an edit has whose settings nobody changed, of the engine in use."""
    names = [name for name in settings_there(document) if name != "engine"]
    return choice_of(document, None, dict.fromkeys([FIRST, *names]))


def _finish(document: Document, value: Any) -> tuple[str, ...]:
    """Return the finish that the setting ``residual`` asks for. :raises SettingError: where there is no such value, or
    no photograph is edited.
    """
    if not document.of_photo:
        raise SettingError("residual is for the edit of a photograph; open one by editor.open_photo(…)")
    others = tuple(name for name in document.finish if name != RESIDUAL)
    asked = CARRIED if value is None else settings_in(_OfAPhotograph)["residual"].check(value)
    return (RESIDUAL, *others) if asked == CARRIED else others


def settings_of(generator: Generator, config: Any, speed: float | None = None) -> dict[str, Any]:
    """Return the settings as they hold on a generator, by name, as values that JSON can hold."""
    engine = engine_of(config)
    named = {"engine": engine.name} if len(engine_names(engine.family)) > 1 else {}
    return {**named, **engine.values(generator, config), "speed": speed}


def default_settings(generator: Generator, config: Any) -> dict[str, Any]:
    """Return the default settings of a generator for the engine that ``config`` is of, by name."""
    return settings_of(generator, engine_of(config).defaults(generator))


def limits_of(generator: Generator) -> Limits:
    """Return how many rows, and which blocks, settings may name for a generator."""
    return Limits(getattr(generator, "num_ws", 1), tuple(generator.blocks))


def with_settings(
    generator: Generator, config: Any, speed: float | None, values: Mapping[str, Any]
) -> tuple[Any, float | None]:
    """Return the config and the speed with some settings changed; None means the generator's own again.

    With another "engine" its settings are the model's own, but for those that are given along. Whether it takes them
    together is found when it is bound.

    :raises SettingError: naming the setting and what it can be, for one that cannot be taken; nothing is left out
        silently.
    """
    values = dict(values)
    chosen = values.pop("engine", None)
    if chosen is not None and chosen != engine_of(config).name:
        try:
            config = engine_named(chosen).defaults(generator)
        except ValueError as error:
            raise SettingError(str(error)) from error
    engine, known = engine_of(config), settings_for(config)
    own = {**engine.defaults(generator).to_dict(), "speed": None}
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise SettingError(_unknown(name, known, engine.name))
        changes[name] = own[name] if value is None else known[name].check(value, limits_of(generator))
    speed = changes.pop("speed", speed)
    if changes:
        try:
            config = config.replace(**changes)
        except ValueError as error:
            raise SettingError(str(error)) from error
    return config, speed


def _unknown(name: str, known: Mapping[str, Setting], engine: str) -> str:
    family = engine_named(engine).family
    owners = [other for other in engine_names(family) if name in settings_in(engine_named(other).Settings)]
    if owners:
        verb = "has" if len(owners) == 1 else "have"
        return f"the engine {engine} has no setting {name!r}; {', '.join(owners)} {verb} it"
    return f"there is no setting {name!r}; there are {', '.join(known)}"
