"""All directions of one model by name: looked up, added up, measured in a latent, and described for people."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.directions.clip import PICTURE
from draggan_widget.directions.direction import Direction, DirectionError, check_amount
from draggan_widget.directions.known import known_directions, known_of
from draggan_widget.directions.unnamed import principal, sefa
from draggan_widget.directions.vocabulary import Vocabulary
from draggan_widget.directions.words import Meaning, meaning
from draggan_widget.models import Diffusion
from draggan_widget.settings import shown
from draggan_widget.texts import quoted

if TYPE_CHECKING:
    from draggan_widget.models import Generator

GROUPS = {"principal": "Components", "sefa": "SeFa", "taught": "Taught", "clip": "Words by CLIP"}
HARDLY = 0.005
"""σ up to which an amount counts as none."""


@dataclasses.dataclass(frozen=True)
class Listed:
    """What people are shown of a direction: plain values, which JSON can hold."""

    name: str
    label: str
    group: str
    """The label of its group."""
    less: str
    """What people call much less of it."""
    more: str
    least: float
    """The range of a slider, in σ."""
    most: float
    score: float | None
    """R² or AUC; see ``Direction``."""
    source: str
    offered: bool
    """Whether a slider for it is worth showing."""
    value: float | None = None
    """Of the latent that was asked about, in σ above the mean."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        return dataclasses.asdict(self)


class Directions(Mapping[str, Direction]):
    """The directions of one model by name: known attributes where it has some, else components and SeFa; and taught.

    :raises ValueError: if the latents of the model do not differ, or for a diffusion model.
    """

    def __init__(self, model: Generator) -> None:
        if isinstance(model, Diffusion):
            raise DirectionError("a diffusion model has no attributes; change its prompt, or pull points")
        self._model = model
        self._known = known_of(model)
        if self._known is None:
            found = principal(model)
            with contextlib.suppress(ValueError):  # it may have no layers of that kind
                found += sefa(model)
        else:
            found = known_directions(model, self._known)
        self._all = {direction.name: direction for direction in found}

    def __getitem__(self, name: str) -> Direction:
        try:
            return self._all[name]
        except KeyError:
            raise UnknownDirectionError(self._not_there(name)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, name: object) -> bool:
        return name in self._all

    def add(self, direction: Direction) -> None:
        """Take a further direction, or another in the place of one of that name.

        :raises DirectionError: if it is for another model, or has the name of a known attribute or a group.
        """
        direction.check(self._model)
        there = self._all.get(direction.name)
        if direction.name in self.groups or (there is not None and there.source == "known"):
            raise DirectionError(f"{quoted(direction.name)} is the name of an attribute already; give another")
        self._all[direction.name] = direction
        self.__dict__.pop("vocabulary", None)

    @property
    def known(self) -> dict[str, Direction]:
        """Those whose meaning is known, of which taught ones are made."""
        return {name: each for name, each in self._all.items() if each.source == "known"}

    @property
    def shows(self) -> str:
        """What the model's pictures show, as far as that is known: a plain text that others are compared with."""
        return PICTURE if self._known is None else self._known.shows

    @property
    def taught(self) -> list[Direction]:
        """Those that somebody taught, said to a CLIP network, or added."""
        return [each for each in self._all.values() if each.source in ("taught", "clip")]

    @property
    def groups(self) -> dict[str, list[str]]:
        """Groups, and sets of them such as "identity", by name → names of directions."""
        groups: dict[str, list[str]] = {}
        for each in self._all.values():
            groups.setdefault(each.group, []).append(each.name)
        sets = {} if self._known is None else self._known.sets
        return groups | {name: [each for part in parts for each in groups[part]] for name, parts in sets.items()}

    @functools.cached_property
    def vocabulary(self) -> Vocabulary:
        """The words that are understood: those of known attributes, and the names of the others."""
        known, phrases = ((), {}) if self._known is None else (self._known.attributes, self._known.phrases)
        others = [{"name": name} for name, each in self._all.items() if each.source != "known"]
        return Vocabulary.of([*known, *others], phrases)

    # --- amounts -----------------------------------------------------------------------------------------------------

    def change(self, amounts: Mapping[str, float]) -> Tensor:
        """Return what is added to a latent (1, num_ws, w_dim) for amounts in σ by name, in the model's kind.

        :raises DirectionError: for a name that is not there. :raises ValueError: for an amount that is no number.
        """
        like = next(self._model.parameters())
        total = torch.zeros(1, self._model.num_ws, self._model.w_dim, dtype=torch.float64)
        for name, amount in amounts.items():
            total += check_amount(name, amount) * self[name].change.double()
        return total.to(like)

    def measure(self, latent: Any, names: Iterable[str] | None = None) -> dict[str, float]:
        """Return how many σ above the mean a latent (1, num_ws, w_dim) is, by name; None for all directions."""
        checked = self._model.space.check(latent)
        wanted = [self[name] for name in (self if names is None else names)]
        if not wanted:
            return {}
        seen = torch.stack([each.reading for each in wanted]) @ checked.detach()[0].cpu().double().mean(dim=0)
        return {each.name: value - each.zero for each, value in zip(wanted, seen.tolist(), strict=True)}

    def within(self, latent: Any, amounts: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
        """Return amounts that leave a latent in the range of the model's own samples, and a sentence for each cut.

        A latent that is beyond that already is not taken back, but goes no farther.

        :raises DirectionError: for a name that is not there. :raises ValueError: for an amount that is no number.
        """
        values, kept, notes = self.measure(latent, amounts), {}, []
        for name, asked in amounts.items():
            amount, each, here = check_amount(name, asked), self[name], values[name]
            room = (min(0.0, each.least - here), max(0.0, each.most - here))
            kept[name] = float(np.clip(amount, *room))
            if abs(kept[name]) <= HARDLY < abs(amount):
                kept[name] = 0.0
            if abs(kept[name] - amount) > HARDLY:
                end = each.ends[1] if amount > 0 else each.ends[0]
                as_is = "it is as far as the model goes" if abs(kept[name]) <= HARDLY else "that is as far as it goes"
                notes.append(f"{each.label}: {kept[name]:+.2g} σ instead of {amount:+.2g} ({quoted(end)}); {as_is}")
        return kept, notes

    def understand(self, text: str, *, beyond: bool = False) -> Meaning:
        """Return what a text asks for. :param beyond: see ``words.meaning``, which says what is raised as well."""
        return meaning(text, self.vocabulary, beyond=beyond)

    def doubts(self, names: Iterable[str]) -> list[str]:
        """Return a sentence for each of these directions that was measured in pictures and does not show reliably."""
        return [
            f"{self[name].label}: in pictures of this model it does not show reliably, or not alone; see what changed"
            for name in names
            if not self[name].offered
        ]

    # --- holding -----------------------------------------------------------------------------------------------------

    def resolve(self, names: Iterable[str]) -> list[str]:
        """Return the names of directions, with those of groups and sets such as "identity" in their place, each once.

        :raises DirectionError: for a name that is neither.
        """
        groups, found = self.groups, dict[str, None]()
        for name in names:
            if name not in self._all and name not in groups:
                raise UnknownDirectionError(self._not_there(name, tuple(groups)))
            found |= dict.fromkeys(groups[name] if name not in self._all else [name])
        return list(found)

    def held(self, names: Iterable[str]) -> np.ndarray | None:
        """Return ``Edit.held`` (n, num_ws · w_dim) for these names: what no step may change of any row; None for none.

        :raises DirectionError: for a name that is not there.
        """
        resolved = self.resolve(names)
        if not resolved:
            return None
        rows = torch.stack([self[name].reading.float() for name in resolved])
        return rows.repeat(1, self._model.num_ws).numpy()

    # --- for people --------------------------------------------------------------------------------------------------

    def listed(self, latent: Any = None) -> list[Listed]:
        """Return all directions as people are shown them. :param latent: whose values are told; None for none."""
        values = {} if latent is None else self.measure(latent)
        labels = {**GROUPS, **({} if self._known is None else self._known.groups)}
        return [
            Listed(
                each.name,
                each.label,
                labels.get(each.group, each.group),
                *each.ends,
                each.least,
                each.most,
                each.score,
                each.source,
                each.offered,
                values.get(each.name),
            )
            for each in self._all.values()
        ]

    def _not_there(self, name: object, more: tuple[str, ...] = ()) -> str:
        near = difflib.get_close_matches(str(name), [*self._all, *more], 1)
        whose = "this model has no attribute" if self._known is not None else "this model has no direction"
        if near:
            return f"{whose} {shown(name)}; the nearest is {quoted(near[0])}"
        first = ", ".join(list(self._all)[:4])
        return f"{whose} {shown(name)}; it has {first}, … (see its listed())"


class UnknownDirectionError(DirectionError, KeyError):
    """There is no direction of that name; the message names the nearest."""

    def __str__(self) -> str:
        return str(self.args[0])
