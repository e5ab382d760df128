"""A pickle machine of our own that only ever makes inert values.

Why not ``pickle.Unpickler`` with a strict ``find_class``: its memo is an array that a file of ten bytes can grow to
gigabytes, it nests without bound, and it copies every byte string. Here everything is counted, names stay names, and
long byte strings are read once, and not copied.

The opcodes are those of protocols 0 to 5 (PEP 3154, PEP 574, and the comments of CPython's ``pickletools``).
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from draggan_widget.models.checkpoints.budget import Budget
from draggan_widget.models.checkpoints.byte_reader import LONG, LONGEST_NAME, Tape
from draggan_widget.models.checkpoints.filebytes import Data, FileBytes
from draggan_widget.models.checkpoints.values import Name, Record, Unreadable, check_nesting
from draggan_widget.texts import one_line

Constructor = Callable[[tuple[Any, ...], Budget], Any]
Progress = Callable[[float], None]
Persistent = Callable[[Any], Any]

LONGEST_NUMBER = 1000
"""Bytes of an integer."""
MOST_TUPLE_KEYS = 4096
RECORD_STEPS = 3
"""Steps that a record counts for: it takes more memory than other values."""


@dataclasses.dataclass(frozen=True)
class Again:
    """Where long bytes of a file lie that a pickle remembers: most are never asked for again, so they are not kept."""

    start: int
    end: int
    in_tuple: bool = False
    """Whether they are the one argument of a call, which pickles remember as well."""


class PendingArray(Record):
    """An array of which only the class is known: its shape and bytes follow, and then it is replaced."""


class Machine(Tape):
    """Runs one pickle from ``start``; afterwards ``position`` is the byte after it.

    :param allowed: what may be constructed, by (module, name). Everything else becomes a ``Record``.
    :param build: the array that a ``PendingArray`` becomes by its state.
    :param persistent: what a persistent id stands for; without it, it stays a ``Record``.
    """

    def __init__(
        self,
        data: Data,
        budget: Budget,
        allowed: Mapping[tuple[str, str], Constructor],
        build: Callable[[Any, Budget], Any],
        *,
        start: int = 0,
        persistent: Persistent | None = None,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(data, budget, start)
        self._allowed = allowed
        self._build = build
        self._persistent = persistent
        self._progress = progress
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._slots: dict[int, list[int]] = {}  # where in the memo each pending array is, by its id
        self._tuple_keys = 0

    def run(self) -> Any:
        """Return the value of the pickle. :raises Unreadable: whatever may be wrong with it."""
        try:
            value = self._run()
        except Unreadable:
            raise
        except (IndexError, KeyError) as error:
            raise Unreadable(f"is no whole pickle: it is damaged near byte {self.position}") from error
        except (ValueError, TypeError, OverflowError, ArithmeticError, RuntimeError, struct.error) as error:
            reason = one_line(error, 100)
            raise Unreadable(f"is damaged near byte {self.position} of its pickle ({reason})") from error
        except MemoryError as error:
            raise Unreadable(f"needs more memory than there is, near byte {self.position}") from error
        check_nesting(value)
        if self._progress is not None:
            self._progress(1.0)
        return value

    def _run(self) -> Any:
        data, steps, budget = self.data, STEPS, self.budget
        size = len(data)
        count = 0
        while self.position < size:
            code = data[self.position]
            self.position += 1
            budget.spend_steps(1)
            if code == STOP:
                return self._stack.pop()
            step = steps.get(code)
            if step is None:
                raise Unreadable(f"is no pickle, or a damaged one: byte {self.position - 1} is no known instruction")
            step(self)
            count += 1
            if self._progress is not None and not count & 255:
                self._progress(self.position / size)
        raise Unreadable(f"breaks off after {size} bytes, before its end; the download was cut short, get it again")

    # --- stack, memo, containers -----------------------------------------------------------------------------------

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        values = self._stack
        self._stack = self._marked.pop()
        return values

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def _put(self, index: int) -> None:
        if index < 0:
            raise Unreadable("is no whole pickle: it remembers a value under a negative number")
        value = self._stack[-1]
        self._memo[index] = value
        in_tuple = isinstance(value, tuple) and len(value) == 1
        content = value[0] if in_tuple else value
        if isinstance(content, memoryview) and content is self.latest and isinstance(self.data, FileBytes):
            self._memo[index] = Again(self.latest_at, self.latest_at + len(content), in_tuple)
        if isinstance(value, PendingArray):
            self._slots.setdefault(id(value), []).append(index)

    def _get(self, index: int) -> None:
        value = self._memo[index]
        if isinstance(value, Again):
            self.budget.spend_copying(value.end - value.start)
            content = self.data[value.start : value.end]
            value = (content,) if value.in_tuple else content
        self._stack.append(value)

    def _key(self, value: Any) -> Any:
        """Return ``value`` if it is harmless to hash and to compare, over and over."""
        if is_key(value) or isinstance(value, (Record, Tensor)):
            return value
        if isinstance(value, tuple) and len(value) <= 32 and all(is_key(part) for part in value):
            # Tuples of numbers can be made to collide, which makes dicts slow in the square of their number.
            self._tuple_keys += 1
            if self._tuple_keys <= MOST_TUPLE_KEYS:
                return value
        raise Unreadable(f"uses a {type(value).__name__} as a key, in a way that no model does")

    def _set_items(self, target: Any, pairs: list[Any]) -> None:
        items = target.items if isinstance(target, Record) else target
        if not isinstance(items, dict) or len(pairs) % 2:
            raise Unreadable(f"is no whole pickle: it sets items of a {type(target).__name__}")
        for index in range(0, len(pairs), 2):
            items[self._key(pairs[index])] = pairs[index + 1]

    def _append(self, target: Any, values: list[Any]) -> None:
        elements = target.elements if isinstance(target, Record) else target
        if isinstance(elements, set):
            elements.update(self._key(value) for value in values)
        elif isinstance(elements, list):
            elements += values
        else:
            raise Unreadable(f"is no whole pickle: it appends to a {type(target).__name__}")

    # --- names, calls, state ---------------------------------------------------------------------------------------

    def _global(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > 2 * LONGEST_NAME:
            raise Unreadable("is no whole pickle: it names a class by something other than a name")
        self._push(Name(module, name))

    def _call(self, callee: Any, arguments: Any) -> Any:
        """Return what REDUCE makes: a value of an allowed constructor, else a record."""
        if not isinstance(arguments, tuple):
            raise Unreadable("is no whole pickle: it calls something without arguments")
        if isinstance(callee, Name):
            constructor = self._allowed.get((callee.module, callee.name))
            if constructor is not None:
                return constructor(arguments, self.budget)
        return self._new(callee, arguments)

    def _new(self, callee: Any, arguments: Any, keywords: Any = None) -> Any:
        """Return what NEWOBJ makes: a dict for the dict classes of Python, else a record."""
        if not isinstance(arguments, tuple) or not isinstance(keywords, (dict, type(None))):
            raise Unreadable("is no whole pickle: it makes an object without arguments")
        if isinstance(callee, Name):
            if not arguments and (callee.module, callee.name) in DICTS:
                return {}
            self.budget.spend_steps(RECORD_STEPS)
            return Record(callee.module, callee.name, arguments, keywords or {})
        if isinstance(callee, Record):  # the result of getattr(Class, "method"), say
            return Record(callee.module, f"{callee.name}()", (callee, *arguments[:32]), keywords or {})
        raise Unreadable(f"calls a {type(callee).__name__} as if it were a class")

    def _set_state(self, state: Any) -> None:
        target = self._stack[-1]
        if isinstance(target, PendingArray):
            array = self._build(state, self.budget)
            self._stack[-1] = array
            for index in self._slots.pop(id(target), ()):
                self._memo[index] = array
        elif isinstance(target, Record):
            target.state = state
        elif not isinstance(target, (dict, list, set, Tensor)):
            raise Unreadable(f"is no whole pickle: it gives state to a {type(target).__name__}")
        # The attributes of dicts (such as the _metadata of a state dict) and of tensors are of no use to anybody.

    def _persistent_id(self, name: Any) -> None:
        self._push(Record("", "persistent id", (name,)) if self._persistent is None else self._persistent(name))

    # --- opcodes with more to them ---------------------------------------------------------------------------------

    def _protocol(self) -> None:
        version = self.unsigned(1)
        if version > 5:
            raise Unreadable(f"is a pickle of protocol {version}; those up to 5 can be read")

    def _int_line(self) -> None:
        text = self.short_line().strip()
        self._push({"00": False, "01": True}[text] if text in ("00", "01") else int(text))

    def _long_line(self) -> None:
        self._push(int(self.short_line().strip().rstrip("L")))

    def _long(self, width: int) -> None:
        number = int.from_bytes(self.take(width), "little", signed=width > 1)
        if not 0 <= number <= LONGEST_NUMBER:
            raise Unreadable(f"holds an integer of {number:,} bytes, as no model does")
        self._push(int.from_bytes(self.take(number), "little", signed=True))

    def _old_string(self, number: int) -> None:
        # What Python 2 called str is text or bytes. Latin-1 keeps both; long ones are arrays for sure.
        self._push(self.long_bytes(number) if number >= LONG else self.text(number, "latin-1"))

    def _instance(self) -> None:
        arguments = tuple(self._since_mark())
        self._global(self.short_line(), self.short_line())
        self._push(self._call(self._stack.pop(), arguments))

    def _object(self) -> None:
        values = self._since_mark()
        self._push(self._call(values[0], tuple(values[1:])))

    def _dict(self) -> None:
        pairs = self._since_mark()
        made: dict[Any, Any] = {}
        self._set_items(made, pairs)
        self._push(made)

    def _frozen_set(self) -> None:
        self._push(frozenset(self._key(value) for value in self._since_mark()))

    def _tuple(self, number: int) -> None:
        if len(self._stack) < number:
            raise Unreadable(f"is no whole pickle: it is damaged near byte {self.position}")
        self._stack[-number:] = [tuple(self._stack[-number:])]

    def _two(self, action: Callable[[Any, Any], Any]) -> None:
        second = self._stack.pop()
        self._push(action(self._stack.pop(), second))

    def _new_with_keywords(self) -> None:
        keywords, arguments = self._stack.pop(), self._stack.pop()
        self._push(self._new(self._stack.pop(), arguments, keywords))

    def _stack_global(self) -> None:
        name = self._stack.pop()
        self._global(self._stack.pop(), name)

    def _set_one(self) -> None:
        value = self._stack.pop()
        key = self._stack.pop()
        self._set_items(self._stack[-1], [key, value])

    def _append_one(self) -> None:
        value = self._stack.pop()
        self._append(self._stack[-1], [value])

    def _set_many(self) -> None:
        pairs = self._since_mark()
        self._set_items(self._stack[-1], pairs)

    def _append_many(self) -> None:
        values = self._since_mark()
        self._append(self._stack[-1], values)

    def _refuse(self) -> None:
        raise Unreadable("is a pickle that cannot be read without the program that wrote it")

    def _pass(self) -> None:
        """For what only says how the pickle is laid out."""


def is_key(value: Any) -> bool:
    """Return whether a value is short and harmless to hash and to compare, over and over, as the key of a dict."""
    if isinstance(value, (str, bytes)):
        return len(value) <= LONGEST_NAME
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    return value is None or isinstance(value, (float, Name))


STOP = ord(".")
DICTS = {
    ("collections", "OrderedDict"),
    ("builtins", "dict"),
    ("__builtin__", "dict"),
}
_OPCODES: dict[bytes, Callable[[Machine], Any]] = {
    b"(": Machine._mark,
    b"0": Machine._pop,
    b"1": Machine._since_mark,
    b"2": lambda m: m._push(m._stack[-1]),
    b"F": lambda m: m._push(float(m.short_line())),
    b"G": lambda m: m._push(struct.unpack(">d", m.take(8))[0]),
    b"I": Machine._int_line,
    b"J": lambda m: m._push(int.from_bytes(m.take(4), "little", signed=True)),
    b"K": lambda m: m._push(m.unsigned(1)),
    b"M": lambda m: m._push(m.unsigned(2)),
    b"L": Machine._long_line,
    b"\x8a": lambda m: m._long(1),
    b"\x8b": lambda m: m._long(4),
    b"N": lambda m: m._push(None),
    b"\x88": lambda m: m._push(True),
    b"\x89": lambda m: m._push(False),
    b"S": lambda m: m._push(m.quoted_line()),
    b"T": lambda m: m._old_string(m.unsigned(4)),
    b"U": lambda m: m._old_string(m.unsigned(1)),
    b"V": lambda m: m._push(m.unicode_line()),
    b"X": lambda m: m._push(m.text(m.unsigned(4))),
    b"\x8c": lambda m: m._push(m.text(m.unsigned(1))),
    b"\x8d": lambda m: m._push(m.text(m.unsigned(8))),
    b"B": lambda m: m._push(m.bytes_of(m.unsigned(4))),
    b"C": lambda m: m._push(m.bytes_of(m.unsigned(1))),
    b"\x8e": lambda m: m._push(m.bytes_of(m.unsigned(8))),
    b"\x96": lambda m: m._push(m.bytes_of(m.unsigned(8))),
    b"\x97": Machine._refuse,  # a buffer outside the file
    b"\x98": Machine._pass,
    b"l": lambda m: m._push(m._since_mark()),
    b"]": lambda m: m._push([]),
    b"a": Machine._append_one,
    b"e": Machine._append_many,
    b"t": lambda m: m._push(tuple(m._since_mark())),
    b")": lambda m: m._push(()),
    b"\x85": lambda m: m._tuple(1),
    b"\x86": lambda m: m._tuple(2),
    b"\x87": lambda m: m._tuple(3),
    b"d": Machine._dict,
    b"}": lambda m: m._push({}),
    b"s": Machine._set_one,
    b"u": Machine._set_many,
    b"\x8f": lambda m: m._push(set()),
    b"\x90": Machine._append_many,
    b"\x91": Machine._frozen_set,
    b"g": lambda m: m._get(int(m.short_line())),
    b"h": lambda m: m._get(m.unsigned(1)),
    b"j": lambda m: m._get(m.unsigned(4)),
    b"p": lambda m: m._put(int(m.short_line())),
    b"q": lambda m: m._put(m.unsigned(1)),
    b"r": lambda m: m._put(m.unsigned(4)),
    b"\x94": lambda m: m._put(len(m._memo)),
    b"c": lambda m: m._global(m.short_line(), m.short_line()),
    b"\x93": Machine._stack_global,
    b"R": lambda m: m._two(m._call),
    b"\x81": lambda m: m._two(m._new),
    b"\x92": Machine._new_with_keywords,
    b"b": lambda m: m._set_state(m._stack.pop()),
    b"i": Machine._instance,
    b"o": Machine._object,
    b"P": lambda m: m._persistent_id(m.short_line()),
    b"Q": lambda m: m._persistent_id(m._stack.pop()),
    b"\x80": Machine._protocol,
    b"\x95": lambda m: m.take(8),  # a frame, of which only the length is said
    b"\x82": Machine._refuse,  # classes by numbers that a program has agreed upon
    b"\x83": Machine._refuse,
    b"\x84": Machine._refuse,
}
STEPS = {code[0]: step for code, step in _OPCODES.items()}
