"""The settings of the engine in use, as the editor has them: a mapping, and their short form as attributes."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import anywidget
import traitlets

from draggan_widget.editing import (
    SETTINGS,
    Session,
    Snapshot,
    check_settings,
    settings_for,
    settings_in_use,
    settings_there,
)
from draggan_widget.engines import engine_named, engine_names, engine_of
from draggan_widget.settings import Setting, settings_in

T = TypeVar("T")
ALL = "*"


def owners_of(name: str, family: str | None = None) -> list[str]:
    """Return the names of the engines, those of a family or all, that have a setting of that name."""
    return [engine for engine in engine_names(family) if name in settings_in(engine_named(engine).Settings)]


def is_setting(editor: type, name: str, config: Any) -> bool:
    """Return whether a keyword is a setting, of the engine that ``config`` is of or of another."""
    if name == "engine" or name in settings_for(config):
        return True
    return bool(owners_of(name)) and (name in SETTING_TRAITS or not hasattr(editor, name))


def lacking(engine: str, name: str) -> str:
    """Return a sentence about a setting that the engine in use lacks; it names the engines that have it."""
    others = owners_of(name, engine_named(engine).family)
    if not others:
        return f"the engine {engine} has no setting {name!r}, and no other engine has"
    verb = "has" if len(others) == 1 else "have"
    return f'the engine {engine} has no setting {name!r}; {", ".join(others)} {verb} it: editor.engine = "{others[0]}"'


class Mirrored(traitlets.Any):
    """A trait that follows the session. What somebody assigns is checked, and compared with what holds by then.

    :param check: makes the value of the trait out of an assigned one, or raises ``ValueError`` or ``TypeError``.
    """

    allow_none = False  # it is for the check to say whether None is taken

    def __init__(self, default: Any, check: Callable[[Any], Any] = lambda value: value, help: str = "") -> None:
        super().__init__(default, help=help)
        self._check = check
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the value as it is kept."""
        return trait_error(self._check, value) if obj._by_user(self.name) else value

    def set(self, obj: Any, value: Any) -> None:
        """Assign it."""
        if obj._by_user(self.name):
            obj._refresh(assigning=True)
        super().set(obj, value)


class EngineSetting(Mirrored):
    """A setting as a trait: the short form of the one in ``editor.settings``. None takes the model's own.

    While the engine in use has no setting of its name, there is no such attribute.
    """

    def __init__(self, setting: Setting) -> None:
        told = f"{setting.help} It must be {setting.wanted}; None takes the model's own again."
        super().__init__(None, help=told)

    def get(self, obj: Any, cls: Any = None) -> Any:
        """Return its value."""
        self._need(obj)
        return super().get(obj, cls)

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the value as it is kept, checked against the bounds that the engine in use gives."""
        if not obj._by_user(self.name):
            return value
        checked = value if value is None else trait_error(obj._settings_there()[self.name].check, value)
        obj._check_settings({self.name: checked})  # the engine may refuse it, which who assigns is to hear at once
        return list(checked) if isinstance(checked, tuple) else checked

    def set(self, obj: Any, value: Any) -> None:
        """Assign it."""
        self._need(obj)
        super().set(obj, value)

    def _need(self, obj: Any) -> None:
        # While the session's values are adopted, theirs is the engine that counts.
        if obj._by_user(self.name) and self.name not in obj._settings_there():
            raise AttributeError(lacking(obj._engine_there(), str(self.name)), name=self.name, obj=obj)


def _known_settings() -> dict[str, Setting]:
    """Return the settings of all engines there are, and of runs, by name; of one name that of the first engine."""
    engines = [settings_in(engine_named(name).Settings) for name in engine_names()]
    return {**SETTINGS, **{name: setting for known in reversed(engines) for name, setting in known.items()}}


SETTING_TRAITS = {name: EngineSetting(setting) for name, setting in _known_settings().items()}
"""Of the engines that are there on import, and of runs. Settings of later ones are attributes, but no traits."""


class WithSettings(anywidget.AnyWidget):
    """An anywidget that has the settings of its session's engine, as ``settings`` and as attributes.

    A subclass sets ``_session`` before this one's constructor runs.
    """

    vars().update(SETTING_TRAITS)

    _session: Session
    _adopting: tuple[int, str] | None
    """The thread that sets traits to what the session says, and which of them it sets just now, ``ALL`` for any."""
    _untraited: dict[str, Any]
    """What was told last of settings that are no traits."""

    @property
    def settings(self) -> EngineSettings:
        """The settings of the engine in use, by name: a mapping to read and to set."""
        return EngineSettings(self)

    def _config_there(self) -> Any:
        return self._session.latest.document.drag.config

    def _engine_there(self) -> str:
        return engine_of(self._config_there()).name

    def _settings_there(self) -> dict[str, Setting]:
        return settings_there(self._session.latest.document)

    def _setting(self, name: str) -> Any:
        return getattr(self, name) if name in SETTING_TRAITS else settings_told(self._session.latest)[name]

    def _set_settings(self, values: dict[str, Any]) -> None:
        self._check_settings(values)
        trait_error(self._carry_out, self._session.set_settings(values))

    def _check_settings(self, values: dict[str, Any]) -> None:
        now = self._session.latest
        trait_error(check_settings, now.document, now.speed, values)

    def __getattr__(self, name: str) -> Any:
        """Return the setting of that name. Python asks for it where there is no such attribute."""
        if not name.startswith("_") and "_session" in self.__dict__:
            if name in self._settings_there() and name not in SETTING_TRAITS:
                return self._setting(name)
            if owners_of(name):
                raise AttributeError(lacking(self._engine_there(), name), name=name, obj=self)
        return object.__getattribute__(self, name)  # raises what Python raises

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or hasattr(type(self), name) or "_session" not in self.__dict__:
            super().__setattr__(name, value)
        elif name in self._settings_there():
            self._set_settings({name: value})
        elif owners_of(name):
            raise AttributeError(lacking(self._engine_there(), name), name=name, obj=self)
        else:
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        there = self._settings_there() if "_session" in self.__dict__ else SETTING_TRAITS
        return sorted({*super().__dir__(), *there} - (SETTING_TRAITS.keys() - there.keys()))

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """Return what the page is sent: settings that the engine in use lacks are left out."""
        keys = self.keys if key is None else [key] if isinstance(key, str) else list(key)
        if lost := SETTING_TRAITS.keys() & {*keys}:
            lost -= self._settings_there().keys()
        state: dict[str, Any] = super().get_state([name for name in keys if name not in lost], drop_defaults)
        return state

    def trait_values(self, **metadata: Any) -> dict[str, Any]:
        """Return the values of all traits, as in traitlets, without settings that the engine in use lacks."""
        lost = SETTING_TRAITS.keys() - self._settings_there().keys()
        return {name: getattr(self, name) for name in self.trait_names(**metadata) if name not in lost}

    def _say_changed(self, name: str, value: Any) -> None:
        """Tell observers of a setting that is no trait, because its engine did not come with the package."""
        old = self._untraited.get(name)
        self._untraited[name] = value
        if old != value:
            self.notify_change(traitlets.Bunch(name=name, old=old, new=value, owner=self, type="change"))

    def _by_user(self, name: str) -> bool:
        """Return whether somebody else than ``_adopt`` sets a trait: an observer, or another thread meanwhile."""
        adopting = self._adopting
        return adopting is None or adopting[0] != threading.get_ident() or adopting[1] not in (name, ALL)

    def _carry_out(self, command: Future[None]) -> None:
        raise NotImplementedError


class EngineSettings(Mapping[str, Any]):
    """The settings of the engine that an editor uses, by name; ``editor.NAME`` is the short form of each.

    Read and set them as items or attributes: ``editor.settings["learning_rate"] = 0.003``. What is set is checked as
    the short form is, obeyed from the next step on, and there when the assignment returns; None takes the model's own
    again. ``update`` sets several, all or none.

    :raises KeyError: for a name that this engine lacks (as an attribute: ``AttributeError``).
    :raises traitlets.TraitError: for a value that the setting may not have.
    """

    _editor: weakref.ref[WithSettings]

    def __init__(self, editor: WithSettings) -> None:
        # Weakly: shown at the end of a cell, these must not keep the editor of a cell that runs again.
        object.__setattr__(self, "_editor", weakref.ref(editor))

    def __getitem__(self, name: str) -> Any:
        editor = self._alive()
        if name not in self._fields():
            raise KeyError(lacking(editor._engine_there(), name))
        return editor._setting(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def update(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), /, **more: Any) -> None:
        """Set several settings at once; if one cannot be taken none is."""
        editor, fields = self._alive(), self._fields()
        changes = {**dict(values), **more}
        for name in changes:
            if name not in fields:
                raise KeyError(lacking(editor._engine_there(), name))
        editor._set_settings(changes)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields())

    def __len__(self) -> int:
        return len(self._fields())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0], name=name, obj=self) from None

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            self[name] = value
        except KeyError as error:
            raise AttributeError(error.args[0], name=name, obj=self) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self})

    def __repr__(self) -> str:
        editor = self._editor()
        if editor is None:
            return "settings of an editor that is gone"
        fields = self._fields()
        values = {name: repr(self[name]) for name in fields}
        wide, long = max(map(len, fields), default=0), max(map(len, values.values()), default=0)
        lines = [
            f"  {name:{wide}} = {values[name]:{long}}  {field.label}: {field.wanted}" for name, field in fields.items()
        ]
        return "\n".join([f"settings of the engine {editor._engine_there()}", *lines])

    def _alive(self) -> WithSettings:
        editor = self._editor()
        if editor is None:
            raise ReferenceError("the editor of these settings is gone; take those of another: editor.settings")
        return editor

    def _fields(self) -> dict[str, Setting]:
        return settings_in(type(self._alive()._config_there()))


def trait_error(check: Callable[..., T], *arguments: Any) -> T:
    """Return what ``check`` makes of its arguments. :raises traitlets.TraitError: for what it refuses."""
    try:
        return check(*arguments)
    except (TypeError, ValueError) as error:
        raise traitlets.TraitError(str(error)) from None


def settings_told(snapshot: Snapshot) -> dict[str, Any]:
    """Return the settings that a snapshot has, by name."""
    return settings_in_use(snapshot.document, snapshot.speed)
