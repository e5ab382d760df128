"""The engines there are, by name and by their settings, and which one pulls where nobody chose."""

from __future__ import annotations

import contextlib
import warnings
import weakref
from typing import TYPE_CHECKING, Any

from draggan_widget.engines.losing import with_watch
from draggan_widget.engines.tracked import with_tracker

if TYPE_CHECKING:
    from draggan_widget.engines.base import Bound, Engine

_engines: dict[str, Engine] = {}
_told: weakref.WeakSet[Any] = weakref.WeakSet()
"""Models of which it was said that the first engine cannot serve them."""


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


def engine_names(family: str | None = None) -> tuple[str, ...]:
    """Return the names of all engines, in the order in which they were added: the first is the default.

    :param family: those of it alone, which can take each other's place; None for all.
    """
    return tuple(name for name, engine in _engines.items() if family in (None, engine.family))


def jumping_engines(family: str | None = None) -> tuple[str, ...]:
    """Return the names of engines that can make the first jump for others. :param family: as in ``engine_names``."""
    return tuple(name for name in engine_names(family) if _engines[name].jumps)


def engine_named(name: Any) -> Engine:
    """Return the engine of that name. :raises ValueError: if there is none, naming those there are."""
    engine = _engines.get(name) if isinstance(name, str) else None
    if engine is None:
        raise ValueError(f"there is no engine {name!r}; choose one of {', '.join(_engines)}")
    return engine


def bind(model: Any, settings: Any = None) -> Bound[Any]:
    """Return the engine of these settings on a model, with the tracker that they name.

    :param settings: None for ``default_config(model)``.
    :raises ValueError: in one sentence, if the engine cannot serve the model. :raises TypeError: if they are no
        engine's settings.
    """
    if settings is None:
        return _default(model)
    engine = engine_of(settings)
    engine.check_model(model)
    return _bound(engine, model, settings)


def _bound(engine: Engine, model: Any, settings: Any) -> Bound[Any]:
    """Return an engine on a model, with what settings that engines share put around it."""
    bound = engine.bind(model, settings)
    return with_watch(with_tracker(bound, engine.takes_trackers), bound)


def default_config(model: Any, engine: str | None = None) -> Any:
    """Return the settings that hold on a model where nobody gave any. Whoever takes ``config=None`` asks here.

    :param engine: the name of the one that was chosen, which gives its own for the model. None: the first engine that
        can serve the model; a warning says once for each model why another one cannot.
    :raises ValueError: for an engine there is none of. Without one: if none can serve the model, why the first cannot.
    """
    return _default(model).settings if engine is None else engine_named(engine).defaults(model)


def _default(model: Any) -> Bound[Any]:
    """Return the first engine that can serve a model, with its own settings; the one first that it was made for."""
    refusal: ValueError | None = None
    made_for = getattr(model, "made_for", None)
    for engine in sorted(_engines.values(), key=lambda each: each.name != made_for):
        try:
            engine.check_model(model)
            bound = _bound(engine, model, engine.defaults(model))
        except ValueError as error:
            refusal = refusal or error
        else:
            if refusal is not None:
                _tell(model, engine, refusal)
            return bound
    assert refusal is not None, "there are no engines"
    raise refusal


def _tell(model: Any, engine: Engine, refusal: ValueError) -> None:
    if model not in _told:
        with contextlib.suppress(TypeError):  # of a model that cannot be referred to weakly
            _told.add(model)
        warnings.warn(f"the engine {engine.name} pulls on this model: {refusal}", stacklevel=4)


def engine_of(settings: Any) -> Engine:
    """Return the engine whose settings these are. :raises TypeError: if they are no engine's."""
    for engine in _engines.values():
        if type(settings) is engine.Settings:
            return engine
    known = ", ".join(engine.Settings.__name__ for engine in _engines.values())
    raise TypeError(f"{type(settings).__name__} is no engine's settings; give one of {known}")
