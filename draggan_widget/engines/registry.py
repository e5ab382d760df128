"""The engines there are, by name and by their settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from draggan_widget.engines.base import Bound, Engine

_engines: dict[str, Engine] = {}


def register(engine: Engine) -> Engine:
    """Add an engine, so that it can be chosen everywhere; one of the same name is replaced.

    :raises ValueError: if its settings are those of another engine.
    """
    for other in _engines.values():
        if other.Settings is engine.Settings and other.name != engine.name:
            raise ValueError(f"engine {engine.name!r} has the settings of {other.name!r}; give it a class of its own")
    _engines[engine.name] = engine
    return engine


def unregister(name: str) -> None:
    """Take an engine out again. :raises ValueError: if there is none of that name."""
    del _engines[engine_named(name).name]


def engine_names() -> tuple[str, ...]:
    """Return the names of all engines, in the order in which they were added."""
    return tuple(_engines)


def engine_named(name: Any) -> Engine:
    """Return the engine of that name. :raises ValueError: if there is none, naming those there are."""
    engine = _engines.get(name) if isinstance(name, str) else None
    if engine is None:
        raise ValueError(f"there is no engine {name!r}; choose one of {', '.join(_engines)}")
    return engine


def bind(model: Any, settings: Any = None) -> Bound[Any]:
    """Return the engine of these settings on a model.

    :param settings: None for those that the model carries, or else the first engine's.
    :raises ValueError: in one sentence, if the engine cannot serve the model. :raises TypeError: if they are no
        engine's settings.
    """
    if settings is None:
        settings = getattr(model, "drag_config", None) or next(iter(_engines.values())).defaults(model)
    engine = engine_of(settings)
    engine.check_model(model)
    return engine.bind(model, settings)


def engine_of(settings: Any) -> Engine:
    """Return the engine whose settings these are. :raises TypeError: if they are no engine's."""
    for engine in _engines.values():
        if type(settings) is engine.Settings:
            return engine
    known = ", ".join(engine.Settings.__name__ for engine in _engines.values())
    raise TypeError(f"{type(settings).__name__} is no engine's settings; give one of {known}")
