"""The containers and texts of Python that files construct by name; their names in Python 2 and 3."""

from __future__ import annotations

from typing import Any

from draggan_widget.models.checkpoints.budget import Budget
from draggan_widget.models.checkpoints.byte_reader import LONG
from draggan_widget.models.checkpoints.unpickler import Constructor, is_key
from draggan_widget.models.checkpoints.values import Name, Record, Unreadable


def _dict(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Make ``OrderedDict()``, ``OrderedDict(pairs)``, ``dict(other)``."""
    made: dict[Any, Any] = {}
    for argument in arguments[:1]:
        budget.spend_steps(len(argument))
        for key, value in argument.items() if isinstance(argument, dict) else argument:
            made[_hashed(key)] = value
    return made


def _default_dict(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Make ``defaultdict(factory, other)``: the factory would be called for what is missing, so it is left out."""
    return _dict(arguments[1:], budget)


def _set(arguments: tuple[Any, ...], budget: Budget) -> Any:
    return set(_elements(arguments, budget))


def _frozen_set(arguments: tuple[Any, ...], budget: Budget) -> Any:
    return frozenset(_elements(arguments, budget))


def _elements(arguments: tuple[Any, ...], budget: Budget) -> list[Any]:
    if not arguments:
        return []
    budget.spend_steps(len(arguments[0]))
    return [_hashed(element) for element in arguments[0]]


def _hashed(value: Any) -> Any:
    if not is_key(value):
        raise Unreadable(f"uses a {type(value).__name__} as a key, in a way that no model does")
    return value


def _bytes(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Make ``bytes()``, ``bytearray(b"…")``, ``bytearray("…", "latin-1")``; ``bytes(10**12)`` stays a record."""
    if not arguments:
        return b""
    if len(arguments) == 2:
        return _encoded(arguments, budget)
    if isinstance(arguments[0], (bytes, memoryview)):
        return arguments[0]
    return Record("builtins", "bytes", arguments)


def _encoded(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Make ``_codecs.encode("…", "latin1")``: how Python 3 writes bytes for Python 2."""
    if len(arguments) == 2 and isinstance(arguments[0], str) and arguments[1] in ("latin1", "latin-1"):
        budget.spend_bytes(len(arguments[0]), "text")
        return coded_bytes(arguments[0])
    return Record("_codecs", "encode", arguments)


def coded_bytes(text: str) -> bytes | memoryview:
    """Return the bytes that a text stands for; long ones so that an array or tensor may be a view of them."""
    return text.encode("latin-1") if len(text) < LONG else memoryview(bytearray(text, "latin-1"))


def _reconstructed(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Make ``copyreg._reconstructor(class, base, state)``: how protocols 0 and 1 make an object."""
    if len(arguments) != 3 or not isinstance(arguments[0], Name):
        raise Unreadable("is no whole pickle: an object of it has no class")
    made = Record(arguments[0].module, arguments[0].name)
    if isinstance(arguments[2], dict):
        made.items.update(_dict(arguments[2:], budget))
    elif isinstance(arguments[2], list):
        budget.spend_steps(len(arguments[2]))
        made.elements += arguments[2]
    elif arguments[2] is not None:
        made.args = arguments[2:]
    return made


def _new_object(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Make ``copyreg.__newobj__(class, *args)`` and ``copyreg.__newobj_ex__(class, args, kwargs)``."""
    if not arguments or not isinstance(arguments[0], Name):
        raise Unreadable("is no whole pickle: an object of it has no class")
    budget.spend_steps(len(arguments))
    return Record(arguments[0].module, arguments[0].name, arguments[1:])


def _named(modules: tuple[str, ...], name: str, constructor: Constructor) -> dict[tuple[str, str], Constructor]:
    return {(module, name): constructor for module in modules}


BUILTINS = ("builtins", "__builtin__")
COPYREG = ("copyreg", "copy_reg")
ALLOWED: dict[tuple[str, str], Constructor] = {
    ("collections", "OrderedDict"): _dict,
    ("collections", "defaultdict"): _default_dict,
    ("_codecs", "encode"): _encoded,
    **_named(BUILTINS, "dict", _dict),
    **_named((*BUILTINS, "sets"), "set", _set),
    **_named(BUILTINS, "frozenset", _frozen_set),
    **_named(BUILTINS, "bytes", _bytes),
    **_named(BUILTINS, "bytearray", _bytes),
    **_named(COPYREG, "_reconstructor", _reconstructed),
    **_named(COPYREG, "__newobj__", _new_object),
    **_named(COPYREG, "__newobj_ex__", _new_object),
}
