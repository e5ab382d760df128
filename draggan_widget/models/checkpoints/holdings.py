"""What a file's value holds that may be a network, whatever it is wrapped in and whatever its key is.

People save state dicts and whole modules, alone, in dicts and lists, within DataParallel, next to averages, optimisers
and arguments. So nothing is looked up by a key: everything is gone through, and what a thing is follows from the names
of its tensors. Keys only say which of several generators is the better one: an average makes better pictures.
"""

from __future__ import annotations

import dataclasses
import re
from collections import deque
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.models.checkpoints.nvidia_module import MOST, Module, is_module, items
from draggan_widget.models.checkpoints.values import Record, Unreadable

DEEPEST = 12
"""Containers around a network."""
AVERAGED = re.compile(
    r"(?<![A-Za-z])(?i:ema|smooth|shadow|averaged?|avg|swa)(?![a-z])|(?<=[a-zG])E(?:ma(?![a-z])|MA)|Gs$"
)
DISCRIMINATORS = re.compile(r"(?:^|[._])(?:net)?(?:d|disc|discriminator)(?=$|[._])|_d(?=_|$)", re.IGNORECASE)
GENERATORS = re.compile(r"(?:^|[._])(?:net)?(?:g|gs|gen|generator)(?=$|[._])", re.IGNORECASE)
COUNTERS = re.compile(
    r"(?:.*\.)?(?:total_ops|total_params|n_averaged|num_updates|num_batches_tracked|initted|step|decay)"
)
"""Last names of single numbers that profilers and averaging wrappers keep among the weights."""
CONSUMERS = re.compile(r"super_?res|render|nerf|volume|decoder|refine|upsampl|condition", re.IGNORECASE)
"""Names of parts that go on with what a generator next to them makes, or steer it."""
STRANGERS = {
    "a StyleGAN1": re.compile(r"(?:^|\.)progression\.\d+\."),
    "lucidrains' StyleGAN2, a network of its own,": re.compile(r"(?:^|\.)(?:GE?|SE?)\.(?:net|blocks)\.\d+\."),
    "a diffusion model": re.compile(r"model\.diffusion_model\.|(?:^|\.)down_blocks\.\d+\.(?:resnets|attentions)\."),
}
"""Networks of other kinds that people try, by names of their weights."""
FEW = 5
"""Tensors of which a table without a name for what it is need not be told."""
MOST_PARTS = 200_000
"""Tensors and modules that all modules of a file together may be taken apart into; what they share counts each time."""
PICTURES = (1, 3, 4)
"""Channels of a picture: grey, RGB, RGBA."""


@dataclasses.dataclass
class Holding:
    """A table of tensors by name, or a whole module, somewhere in a file.

    ``path`` is the keys that lead to it, ``around`` the dicts on that way, the nearest first.
    """

    path: tuple[str, ...]
    content: dict[Any, Any] | Record
    around: tuple[Mapping[Any, Any], ...]
    parts_left: list[int]
    """Of ``MOST_PARTS``, one number for all holdings of a file."""

    @property
    def key(self) -> str | None:
        """The path as text, such as ``"models.g_ema"``; None for the file itself."""
        return ".".join(self.path) or None

    @cached_property
    def module(self) -> Module:
        """Its tensors and, of a whole module, its settings.

        :raises Unreadable: for a generator, as its key says, whose modules are nested without end.
        """
        if not isinstance(self.content, Record):
            return Module.of_state_dict(table(self.content))
        try:
            if self.parts_left[0] < 0:
                raise Unreadable("holds modules without end; give a file with nothing but the generator")
            module = Module.of(self.content) or Module.of_state_dict({})
            self.parts_left[0] -= sum(1 + len(part.own) for _, part in module.modules())
        except Unreadable:
            self.parts_left[0] -= MOST
            if is_generators(self):
                raise
            return Module.of_state_dict({})  # what else a file keeps need not be understood
        return module

    @cached_property
    def tensors(self) -> dict[str, Any]:
        """All its tensors by their full names, without mere counters."""
        return without_counters(self.module.tensors())

    def said(self, prefix: str = "") -> str:
        """Return where its weights are, in words."""
        place = "the file itself" if self.key is None else repr(self.key[:80])
        return f"{place}, names after {prefix[:80]!r}" if prefix else place


def holdings(value: Any) -> list[Holding]:
    """Everything in a file's value that may be a network: averages first, discriminators last."""
    found: list[Holding] = []
    seen: set[object] = set()
    parts_left = [MOST_PARTS]
    waiting: deque[tuple[tuple[str, ...], Any, tuple[Mapping[Any, Any], ...]]] = deque([((), value, ())])
    while waiting:
        path, part, around = waiting.popleft()
        if len(path) > DEEPEST:
            continue
        is_whole = isinstance(part, Record) and is_module(part)
        # The same module may have two names, one of which says more: "G" at the start of a training, and "G_ema".
        mark = (id(part), _merit(".".join(path))) if is_whole else id(part)
        if mark in seen:
            continue
        seen.add(mark)
        if is_whole:
            found.append(Holding(path, part, around, parts_left))
            continue
        content = _inside(part)
        if any(isinstance(entry, (Tensor, np.ndarray)) for entry in content.values()):
            found.append(Holding(path, dict(content), (content, *around), parts_left))
        for name, entry in content.items():
            if isinstance(entry, (dict, list, tuple, Record)):
                waiting.append(((*path, str(name)), entry, (content, *around)))
    return sorted(found, key=lambda holding: (*_merit(".".join(holding.path)), len(holding.path)))


def _inside(part: Any) -> Mapping[Any, Any]:
    """Return what is in a container, by key, number or attribute."""
    if isinstance(part, dict):
        return part
    if isinstance(part, Record):
        return {**items(part.state), **items(part), **_containers(part.elements)}
    return _containers(part)


def _containers(elements: Any) -> dict[int, Any]:
    """Return the containers in a list, by number; tensors in it have no names, and tell nothing."""
    if not isinstance(elements, (list, tuple)):
        return {}
    return {place: entry for place, entry in enumerate(elements) if isinstance(entry, (dict, list, tuple, Record))}


def _merit(name: str) -> tuple[int, int]:
    """Smaller for what is more likely the generator with the better pictures."""
    return int(bool(DISCRIMINATORS.search(name))), int(not AVERAGED.search(name))


def best_prefix(prefixes: Iterable[str]) -> str:
    """Return the prefix of the averaged generator's names among those of one table, else the shortest."""
    return min(prefixes, key=lambda prefix: (_merit(prefix.rstrip(".")), len(prefix), prefix))


def is_generators(holding: Holding) -> bool:
    """Return whether its key says that it is a generator."""
    return not holding.path or bool(GENERATORS.search(holding.path[-1])) or bool(AVERAGED.search(holding.path[-1]))


def table(content: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a state dict with arrays as tensors, which share their memory where they can."""
    made = {}
    for name, entry in content.items():
        if isinstance(name, str):
            # A single number may have become one of Python's on its way through numpy.
            is_number = isinstance(entry, np.ndarray) or (isinstance(entry, float) and "." in name)
            changed = as_tensor(entry) if is_number else None
            made[name] = entry if changed is None else changed
    return made


def without_counters(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a table but for single numbers that profilers and averaging wrappers put there."""
    return {
        name: entry
        for name, entry in tensors.items()
        if not (isinstance(entry, Tensor) and entry.numel() <= 1 and COUNTERS.fullmatch(name))
    }


def as_tensor(array: Any) -> Tensor | None:
    """Return an array or number as a tensor, uncopied where torch takes it as it is; None for what is not made of
    numbers.
    """
    if isinstance(array, Tensor):
        return array
    try:
        return torch.from_numpy(np.require(array, requirements=["C", "W"]))
    except (TypeError, ValueError):
        return None


def neighbours(names: Iterable[str], prefix: str) -> list[str]:
    """Return the parts that stand next to the one whose names begin with ``prefix``, such as "decoder" next to
    "backbone.".
    """
    if not prefix:
        return []
    outer, _, own = prefix.rstrip(".").rpartition(".")
    start = f"{outer}." if outer else ""
    tops = dict.fromkeys(name[len(start) :].partition(".")[0] for name in names if name.startswith(start))
    return [top for top in tops if top != own]


def check_pictures(holding: Holding, prefix: str, channels: int, *, kind: str) -> None:
    """Check that a generator found in a table makes pictures, and is no part of another model.

    :param prefix: with which its names begin. :param channels: of what it makes.
    :param kind: whose layout it has, to go on after "holds".
    :raises Unreadable: saying what there is.
    """
    beside = neighbours(holding.tensors, prefix)
    next_to = f", next to {', '.join(repr(name[:40]) for name in beside[:4])}" if beside else ""
    if channels not in PICTURES:
        raise Unreadable(
            f"holds {kind} whose maps have {channels} channels and are no pictures{next_to}: a part of another model, "
            "such as a 3-D GAN like EG3D; give a generator of grey, RGB or RGBA pictures"
        )
    if consumers := [name for name in beside if CONSUMERS.search(name)]:
        raise Unreadable(
            f"holds {kind} as a part of another model, whose {', '.join(repr(name[:40]) for name in consumers[:4])} "
            "go on with what it makes; give a generator that makes pictures by itself"
        )


def name_networks(value: Any) -> str:
    """Return the largest networks that a value holds, in words, where none of them can be read; empty if there are
    none.
    """
    told = []
    for holding in sorted(holdings(value), key=lambda holding: -len(holding.tensors))[:3]:
        names = list(holding.tensors)
        if len(names) >= FEW:
            kind = next(
                (kind for kind, sign in STRANGERS.items() if any(map(sign.search, names))), "an unknown network"
            )
            told.append(f"{kind} with {len(names)} tensors in {holding.said()}, such as {names[0][:40]!r}")
    return "; ".join(told)
