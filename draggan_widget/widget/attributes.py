"""Attributes of the picture that an editor shows: changed, held, taught, said in words, and listed for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from draggan_widget.analysis import changed_attributes
from draggan_widget.directions import (
    Clip,
    Direction,
    DirectionError,
    Directions,
    Listed,
    Sight,
    check_amount,
    check_name,
    load_clip,
    taught,
)
from draggan_widget.editing import Asked, Asking, Document, Session, held_in

if TYPE_CHECKING:
    import os

    import numpy as np
    import pandas as pd

    from draggan_widget.models import Generator


class Attributes:
    """The attributes of a session's pictures. Methods may be called from any thread, and wait.

    :param carry_out: waits for a command, and raises what it raised.
    """

    def __init__(self, session: Session, carry_out: Callable[[Future[Any]], Any]) -> None:
        self._session = session
        self._carry_out = carry_out
        self._made: tuple[Generator, Directions] | None = None
        self._clip: tuple[str, Clip] | None = None
        self._sight: Sight | None = None

    # --- looking -----------------------------------------------------------------------------------------------------

    @property
    def directions(self) -> Directions:
        """Those of the present model by name, taught ones included."""
        return self._session.read(lambda: self._of(self._session.generator))

    def listed(self, document: Document | None = None) -> list[Listed]:
        """Return all of them as people are shown them: label, group, range, R², and what the picture has of each.

        :param document: of which moment; None for now.
        """

        def listed() -> list[Listed]:
            shown = document or self._session.latest.document
            return self._of(shown.model.generator).listed(shown.drag.ws)

        return self._session.read(listed)

    def table(self, *, least: float = 0.02) -> pd.DataFrame:
        """Return what the edit has changed since it began, the largest change first. See ``changed_attributes``.

        :param least: changes below it, in σ, are left out. :raises ModuleNotFoundError: without pandas.
        """

        def table() -> pd.DataFrame:
            drag = self._session.latest.document.drag
            return changed_attributes(self._of(drag.model), drag.w0, drag.ws, least=least)

        return self._session.read(table)

    @property
    def held(self) -> tuple[str, ...]:
        """Names of what is held, as somebody gave them: attributes, groups, or sets such as "identity"."""
        return held_in(self._session.now())

    # --- changing ----------------------------------------------------------------------------------------------------

    def adding(self, amounts: Mapping[str, float]) -> Asking:
        """Return what ``Session.change`` takes to add amounts in σ; for those who do not wait."""

        def asking(document: Document) -> Asked:
            directions = self._of(document.model.generator)
            return _asked(directions, *directions.within(document.drag.ws, amounts))

        return asking

    def saying(self, text: str) -> Asking:
        """Return what ``Session.change`` takes to do what a text asks for; its notes name what was not understood."""

        def asking(document: Document) -> Asked:
            directions = self._of(document.model.generator)
            understood = directions.understand(text)
            asked = _asked(directions, *directions.within(document.drag.ws, dict(understood.changes)))
            doubts = directions.doubts(name for name, _ in understood.changes)
            return dataclasses.replace(asked, notes=(*understood.notes(), *doubts, *asked.notes))

        return asking

    def locking(self, name: str, on: bool) -> Callable[[Document], tuple[tuple[str, ...], np.ndarray | None]]:
        """Return what ``Session.hold_as`` takes to hold an attribute, a group or a set as well, or no longer.

        Of a group that is held, one that is let go leaves the others.
        """

        def asking(document: Document) -> tuple[tuple[str, ...], np.ndarray | None]:
            directions, held = self._of(document.model.generator), held_in(document)
            if on:
                names = tuple(dict.fromkeys((*held, name)))
            else:
                gone = set(directions.resolve([name]))
                parts = {each: directions.resolve([each]) for each in held}
                names = tuple(
                    dict.fromkeys(
                        kept
                        for each, members in parts.items()
                        for kept in (
                            [member for member in members if member not in gone] if gone & {*members} else [each]
                        )
                    )
                )
            return names, directions.held(names)

        return asking

    def here(self, model: Generator) -> Directions:
        """Return the directions of a model; only for the worker's thread, which owns it."""
        return self._of(model)

    def reaching(self, values: Mapping[str, float]) -> Asking:
        """Return what ``Session.change`` takes to bring attributes to values, in σ above the model's mean."""

        def asking(document: Document) -> Asked:
            directions, latent = self._of(document.model.generator), document.drag.ws
            here = directions.measure(latent, values)
            amounts = {name: check_amount(name, value) - here[name] for name, value in values.items()}
            return _asked(directions, *directions.within(latent, amounts))

        return asking

    def change(self, amounts: Mapping[str, float], *, sliding: bool = False) -> list[str]:
        """Add amounts in σ; return sentences about what could not be had. See ``Editor.change``.

        :param sliding: whether a slider is still held: amounts then count from where it was taken hold of.
        """
        done = self._changed(self.adding(amounts), amounts, sliding=sliding)
        return [*self.directions.doubts(amounts), *done]

    def set(self, values: Mapping[str, float], *, sliding: bool = False) -> list[str]:
        """Bring attributes to values, in σ above the model's mean; what a slider does. Else as ``change``."""
        return self._changed(self.reaching(values), values, sliding=sliding)

    def say(self, text: str, *, clip: Clip | str | os.PathLike[str] | None = None) -> list[str]:
        """Do what a text asks for; return sentences about what could not be had, or was not understood.

        :param clip: sees what words beyond the list mean; what it has found stays among the directions.
        """
        understood = self.directions.understand(text, beyond=clip is not None)
        amounts, notes = dict(understood.changes), understood.notes()
        for phrase, amount in understood.beyond:
            if clip is not None:
                notes.append(self._found(phrase, clip))
            amounts[phrase] = amount
        return [*notes, *self.change(amounts)]

    def hold(self, names: Iterable[str]) -> None:
        """Hold these besides what is held. :raises DirectionError: for a name that is not there."""
        names, directions = tuple(names), self.directions
        if not names:
            raise DirectionError('nothing was named to hold; give attributes or groups, such as hold("identity")')
        together = dict.fromkeys((*self.held, *names))
        self._finished(self._session.hold(tuple(together), directions.held(together)))

    def release(self, names: Iterable[str]) -> None:
        """Hold these no longer; without names, nothing. :raises DirectionError: if one of them is not held."""
        gone, held = tuple(names), self.held
        for name in gone:
            if name not in held:
                told = f"held are {', '.join(held)}" if held else "nothing is held"
                raise DirectionError(f"{name!r} is not held; {told}")
        left = tuple(name for name in held if gone and name not in gone)
        self._finished(self._session.hold(left, self.directions.held(left)))

    def teach(self, name: str, more: Any, less: Any, *, label: str | None = None) -> Direction:
        """Find the direction in which examples differ, and take it among the others. See ``directions.taught``."""

        def learn() -> Direction:
            model = self._session.generator
            directions = self._of(model)
            direction = taught(model, name, more, less, basis=directions.known, label=label)
            directions.add(direction)
            return direction

        return self._session.read(learn)

    def add(self, direction: Direction) -> None:
        """Take a direction, of a file say. :raises DirectionError: if it is for another model."""
        self._session.read(lambda: self._of(self._session.generator).add(direction))

    # --- in parts ----------------------------------------------------------------------------------------------------

    def _found(self, phrase: str, clip: Clip | str | os.PathLike[str]) -> str:
        """Take the direction of a phrase, as CLIP sees it, among the others; return how surely it was found."""
        check_name(phrase)
        model = self._session.read(lambda: self._session.generator)
        if not isinstance(clip, Clip):
            if self._clip is None or self._clip[0] != str(clip):
                self._clip = str(clip), load_clip(clip)
            clip = self._clip[1]
        sight = self._sight
        if sight is None or sight.model is not model or sight.clip is not clip:
            made = clip
            sight = self._sight = self._session.read(lambda: Sight(model, made))
        whose = self.directions.shows
        text = f"{whose}, {phrase}"
        self._session.read(lambda: sight.towards(text, whose))  # what it cannot read is told before the looking
        while self._session.read(sight.look):  # a few pictures at a time, so that the page answers meanwhile
            pass

        def found() -> Direction:
            directions = self._of(model)
            direction = sight.direction(text, against=whose, name=phrase, basis=directions.known)
            directions.add(direction)
            return direction

        direction = self._session.read(found)
        return f"{direction.label}: found by CLIP, which is explained by the model's latents to {direction.score:.0%}"

    def _of(self, model: Generator) -> Directions:
        """Return the directions of a model; in the worker's thread, which owns it."""
        if self._made is None or self._made[0] is not model:
            made = Directions(model)
            if self._made is not None:  # what was taught goes on with a copy that was tuned for a photograph
                for direction in self._made[1].taught:
                    if direction.serves(model):
                        made.add(direction)
            self._made = model, made
        return self._made[1]

    def _changed(self, asking: Asking, names: Iterable[str], *, sliding: bool) -> list[str]:
        names, directions = tuple(names), self.directions
        if not names:
            raise DirectionError('nothing was named to change; give an attribute and an amount: change("smile", +1)')
        for name in names:
            directions[name]  # an unknown one is told here, and stops no run
        return list(self._finished(self._session.change(asking, sliding=sliding)))

    def _finished(self, command: Future[Any]) -> Any:
        self._carry_out(command)
        return command.result() if command.done() else ()


def _asked(directions: Directions, amounts: Mapping[str, float], notes: Iterable[str]) -> Asked:
    change = directions.change(amounts)[0].cpu().numpy()
    return Asked({name: float(amount) for name, amount in amounts.items()}, change, tuple(notes))
