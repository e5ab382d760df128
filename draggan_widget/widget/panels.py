"""What a page's panels ask for: attributes that are slid, said, held and taught, and engines side by side.

Messages come on whatever thread; nothing is computed there. Answers go out from the worker's thread.
"""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from draggan_widget.editing import (
    LEARNT,
    Asked,
    Document,
    Model,
    Pulled,
    Session,
    held_in,
    known_words,
    prompt_of,
    pull_of,
)
from draggan_widget.engines import engine_named, engine_names, engine_of
from draggan_widget.models import mapping_fingerprint
from draggan_widget.texts import one_line
from draggan_widget.widget import panel_protocol as protocol
from draggan_widget.widget.attributes import Attributes

Tell = Callable[[dict[str, Any], list[bytes]], None]
MORE = (Path(__file__).parent / "static" / "more.js").read_bytes()
"""The code of the panels, of the same version as the page that asks for it."""
SIDE, SMALL = 320, 72
"""Longest side in pixels of a picture that is compared, and of one that is marked."""
MOST_MARKS = 60
TELL_EVERY, SHOW_EVERY = 0.3, 1.5
"""Seconds between two words, and two pictures, of how far an engine is."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Mark:
    """A picture that somebody marked."""

    side: str
    latent: Tensor
    whose: str
    """``mapping_fingerprint`` of its model."""
    picture: bytes
    """Small, as JPEG."""


class Panels:
    """Answers the panels of a session's pages.

    :param tell: sends a message to all pages. :param attributes: those of the session's pictures.
    """

    def __init__(self, session: Session, tell: Tell, attributes: Attributes) -> None:
        self._session, self._tell, self._attributes = session, tell, attributes
        self._marks: list[_Mark] = []
        self._compared: dict[str, _Compared] = {}
        self._of: Model | None = None
        """Of whose picture they are."""
        self._round = 0

    def take(self, message: protocol.Panel) -> None:
        """Leave a message to the worker."""
        session, attributes = self._session, self._attributes
        match message:
            case protocol.More():
                self._tell({"type": "more"}, [MORE])
            case protocol.Ask("attributes"):
                session.show(self._tell_attributes, "attributes")
            case protocol.Ask("values"):
                session.show(self._tell_values, "values")
            case protocol.Ask():
                session.show(self._tell_engines, "engines")
            case protocol.ChangeTo(number, values, pulling):
                self._answer(number, session.change(attributes.reaching(values), sliding=pulling), soon=pulling)
            case protocol.Say(number, text):
                self._say(number, text)
            case protocol.Prompt(asked, text):
                session.show(lambda: self._prompt(asked, text))
            case protocol.Lock(name, on):
                session.hold_as(attributes.locking(name, on)).add_done_callback(lambda _: self._later())
            case protocol.Mark(side, number):
                session.show(lambda: self._mark(side, number))
            case protocol.Teach(number, name):
                session.show(lambda: self._teach(number, name))
            case protocol.Compare(engines):
                session.show(lambda: self._compare(engines))
            case protocol.Take(engine):
                self._take(engine)

    def follow(self, model: Model) -> None:
        """Let go of a comparison of another model's picture: it would keep that model. For the worker's thread."""
        if self._of is None or self._of.goes_on_as(model):
            return
        for each in self._compared.values():
            each.end()
        self._of, self._compared = None, {}
        self._tell(protocol.panel_message("round", {"engines": []}), [])

    # --- attributes --------------------------------------------------------------------------------------------------

    def _tell_attributes(self) -> None:
        model = self._session.latest.model.generator
        try:
            directions = self._attributes.here(model)
        except ValueError as error:  # of a model whose latents do not differ, say
            told: dict[str, Any] = {"attributes": [], "groups": [], "sets": [], "why": one_line(error)}
        else:
            names = ("name", "label", "less", "more", "least", "most", "score", "source")
            labels = {each.name: each.group for each in directions.listed()}
            listed = [
                each.to_dict() | {"group": directions[each.name].group} for each in directions.listed() if each.offered
            ]
            groups = {each["group"]: labels[each["name"]] for each in listed}
            sets = {name: members for name, members in directions.groups.items() if name not in groups}
            told = {
                "attributes": [{name: each[name] for name in (*names, "group")} for each in listed],
                "groups": [{"name": name, "label": label} for name, label in groups.items()],
                "sets": [{"name": name, "members": members} for name, members in sets.items()],
                "why": "",
            }
        self._tell(protocol.panel_message("attributes", told), [])
        self._tell_prompt()
        self._tell_marks()
        self._tell_amounts()

    def _tell_values(self) -> None:
        if prompt_of(self._session.latest.seen.model) is None:
            self._tell_amounts()
        else:
            self._tell_prompt()

    def _tell_amounts(self) -> None:
        """Say what the picture has of each attribute; nothing where it has none, but a prompt."""
        document = self._session.latest.seen
        try:
            directions = self._attributes.here(document.model.generator)
        except ValueError:
            return
        now, began = (
            {name: round(value, 3) for name, value in directions.measure(latent).items()}
            for latent in (document.drag.ws, document.drag.w0)
        )
        held = directions.resolve(held_in(document))
        self._tell(protocol.panel_message("values", {"values": now, "began": began, "held": held}), [])

    def _later(self) -> None:
        self._session.soon(self._tell_values)

    def _answer(self, number: int, asked: Future[Any], *, soon: bool = False) -> None:
        """Answer when it is done, and tell values. :param soon: the answer comes first: a page that slides waits for it
        with the next value, and takes the values as they come. Else the page may show by the answer what it was told.
        """

        def answer(done: Future[Any]) -> None:
            if done.cancelled():
                return
            error = done.exception()
            notes = done.result() or () if error is None else (one_line(error),)
            told = protocol.answer_message(number, notes, done=error is None)
            if soon:
                self._tell(told, [])
            if error is None:
                self._tell_values()
            if not soon:
                self._tell(told, [])

        asked.add_done_callback(answer)

    def _say(self, number: int, text: str) -> None:
        asking = self._attributes.saying(text)

        def heard(document: Document) -> Asked:
            asked, directions = asking(document), self._attributes.here(document.model.generator)
            changed = {name: amount for name, amount in asked.amounts.items() if amount}
            done = ", ".join(f"{directions[name].label} {amount:+.2g} σ" for name, amount in changed.items())
            return dataclasses.replace(asked, notes=(*([done] if done else []), *asked.notes))

        self._answer(number, self._session.change(heard))

    # --- the prompt --------------------------------------------------------------------------------------------------

    def _tell_prompt(self) -> None:
        """Say what the prompt is, all words that it may have where these are few, and whether a picture is learnt."""
        model = self._session.latest.seen.model
        told = {"prompt": prompt_of(model), "words": list(known_words(model)), "learnt": model.begun == LEARNT}
        self._tell(protocol.panel_message("prompt", told), [])

    def _prompt(self, number: int, text: str) -> None:
        try:
            loaded = self._session.prompt(text)
        except ValueError as error:
            self._tell(protocol.answer_message(number, [one_line(error)], done=False), [])
        else:
            self._answer(number, loaded)

    # --- teaching ----------------------------------------------------------------------------------------------------

    def _mark(self, side: str | None, number: int | None) -> None:
        if side is None:
            self._marks = [mark for place, mark in enumerate(self._marks) if place != number]
        elif len(self._marks) < MOST_MARKS:
            document = self._session.latest.seen
            picture = jpeg(self._session.thumbnail(document), SMALL)
            whose = mapping_fingerprint(document.model.generator)
            self._marks = [*self._marks, _Mark(side, document.drag.ws.detach().clone(), whose, picture)]
        self._tell_marks()

    def _tell_marks(self) -> None:
        whose = mapping_fingerprint(self._session.latest.model.generator)
        self._marks = [mark for mark in self._marks if mark.whose == whose]  # those of another model mean nothing here
        sides = [mark.side for mark in self._marks]
        self._tell(protocol.panel_message("marks", {"sides": sides}), [mark.picture for mark in self._marks])

    def _teach(self, number: int, name: str) -> None:
        more, less = ([mark.latent for mark in self._marks if mark.side == side] for side in ("more", "less"))
        try:
            taught = self._attributes.teach(name.strip(), more, less)
        except ValueError as error:
            self._tell(protocol.answer_message(number, [one_line(error)], done=False), [])
            return
        self._marks = []
        self._tell_attributes()
        score = "" if taught.score is None else f" Of pairs that were left out it told {taught.score:.0%} apart."
        self._tell(protocol.answer_message(number, [f"{taught.label} is among the taught ones.{score}"]), [])

    # --- engines side by side ----------------------------------------------------------------------------------------

    def _tell_engines(self) -> None:
        document = self._session.latest.document
        present = engine_of(document.config)
        engines = [
            {"name": name, "help": engine_named(name).help, "refusal": _refusal(name, document.model.generator)}
            for name in engine_names(present.family)
        ]
        self._tell(protocol.panel_message("engines", {"engines": engines, "present": present.name}), [])
        for each in list(self._compared.values()):
            each.tell(self._tell, again=True)

    def _compare(self, engines: tuple[str, ...]) -> None:
        for each in self._compared.values():
            each.end()
        self._compared = {}
        self._round += 1
        try:
            begun = pull_of(self._session.latest.document)
        except ValueError as error:
            self._tell(protocol.panel_message("refused", {"why": one_line(error)}), [])
            return
        self._of = begun.model
        self._tell(protocol.panel_message("round", {"engines": list(dict.fromkeys(engines))}), [])
        for engine in dict.fromkeys(engines):
            compared = self._compared[engine] = _Compared(self._session, engine, self._round)
            compared.begin(begun, self._tell)

    def _take(self, engine: str) -> None:
        compared = self._compared.get(engine)
        if compared is not None and compared.pulled is not None:
            self._session.take(compared.pulled)


class _Compared:
    """One engine of a comparison: how far it is, and what it has come to."""

    def __init__(self, session: Session, engine: str, number: int) -> None:
        self._session, self._engine, self._number = session, engine, number
        self.pulled: Pulled | None = None
        self._status, self._why, self._far = "waits", "", 0.0
        self._pictured: Pulled | None = None
        self._picture = b""
        self._told_at = self._shown_at = float("-inf")
        self._future: Future[Pulled] | None = None

    def begin(self, begun: Document, tell: Tell) -> None:
        """Have it pull when its turn comes."""

        def goes_on(pulled: Pulled) -> None:
            self.pulled, self._status = pulled, "runs"
            self.tell(tell)

        self.tell(tell, again=True)
        self._future = self._session.pull_by(begun, self._engine, goes_on)
        self._future.add_done_callback(lambda done: self._session.soon(lambda: self._ended(done, tell)))

    def end(self) -> None:
        """Have it end, as far as it has come."""
        if self._future is not None:
            self._future.cancel()

    def tell(self, tell: Tell, *, again: bool = False) -> None:
        """Say how far it is, if that is due. :param again: whether it is due in any case, with the picture."""
        now, pulled = time.monotonic(), self.pulled
        if not again and now - self._told_at < TELL_EVERY:
            return
        self._told_at = now
        buffers = []
        if pulled is not None and (again or now - self._shown_at >= SHOW_EVERY):
            if self._pictured is not pulled:
                self._picture = jpeg(self._session.picture(pulled.document), SIDE)
            self._pictured, self._shown_at = pulled, now
            buffers = [self._picture]
        told = {
            "round": self._number,
            "engine": self._engine,
            "status": self._status,
            "why": self._why,
            "reason": pulled.reason if pulled else None,
            "step": pulled.step if pulled else 0,
            "seconds": round(pulled.seconds, 2) if pulled else 0.0,
            "distance": round(pulled.distance, 2) if pulled else None,
        }
        tell(protocol.panel_message("compared", told), buffers)

    def _ended(self, done: Future[Pulled], tell: Tell) -> None:
        if self._session.closed:
            return
        try:
            self.pulled, self._status = done.result(), "done"
        except CancelledError:
            self._status = "cancelled"
        except Exception as error:  # of one engine; the others go on
            self._status, self._why = "failed", one_line(error)
        self.tell(tell, again=True)


def _refusal(engine: str, model: Any) -> str:
    """Return why an engine cannot serve a model, in a sentence; empty where it can."""
    try:
        asked = engine_named(engine)
        asked.check(model, asked.defaults(model))
    except ValueError as error:
        return one_line(error)
    return ""


def jpeg(picture: Image.Image, side: int) -> bytes:
    """Return a picture as a JPEG of at most ``side`` pixels on a side."""
    small = picture.convert("L" if picture.mode == "L" else "RGB")
    small.thumbnail((side, side))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=88)
    return file.getvalue()
