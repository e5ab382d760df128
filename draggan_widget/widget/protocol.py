"""The messages between page and kernel, and nothing else: read, checked, written.

Every message is JSON discriminated on ``type``, some with one binary buffer. Positions are image pixels, x to the
right and y down, pixel centres at integers. ``js/src/protocol.ts`` is the other half; ``tests/golden/messages.json``
holds an example of each, which both halves are tested on.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from draggan_widget.editing import (
    KINDS,
    LOADING,
    NO_FEEDBACK,
    PHOTO,
    Document,
    Feedback,
    Kind,
    Placing,
    Record,
    Running,
    Snapshot,
    amounts_in,
    can_write_mp4,
    check_truncation,
    jump_setting,
    jump_told,
    limits_of,
    settings_in_use,
    settings_there,
    usual_settings,
)
from draggan_widget.engines import XY, check_xy
from draggan_widget.inversion import Square
from draggan_widget.models import check_seed
from draggan_widget.settings import check_whole
from draggan_widget.texts import one_line, printable
from draggan_widget.widget.panel_protocol import Panel, read_panel

MOST_THUMBNAILS = 200
MOST_PHOTO = 100_000_000
"""Bytes of a photograph that a page opens."""
MOST_PART = 1 << 20
"""Bytes of one part of it: hosts refuse messages of more than some 10 MB."""
MOST_AMOUNTS, MOST_AMOUNTS_NAMED = 40, 6
"""Steps after which attributes were changed that a page is told of, and attributes that are named of each."""
HARDLY = 0.005
"""σ up to which an amount counts as none."""
STAGES = ("", "pivot", "tuning")
"""Of a photograph, which can be ended; "": all of it."""


class ProtocolError(ValueError):
    """A message from the page that cannot be understood or carried out; the text says what is wrong with it."""


@dataclasses.dataclass(frozen=True)
class Sign:
    """A sign of life of one view: ``ready`` asks for everything, ``ping`` for an answer, ``bye`` is the last."""

    kind: Literal["ready", "ping", "bye"]
    view: str


@dataclasses.dataclass(frozen=True)
class Point:
    """A new point, or a change of a known one. ``pulling``: the pointer is down. ``start``: then start a run."""

    id: int
    handle: XY | None
    target: XY | None
    pulling: bool
    start: bool


@dataclasses.dataclass(frozen=True)
class Ack:
    """A view has drawn frame ``seq`` (0: none yet), or is hidden and let it pass. ``pull``: it asks for what is new.

    A pointer's ``move`` goes along while frames come, for every message costs a host's page as much as a picture.
    """

    view: str
    seq: int
    pull: bool
    move: Point | None


@dataclasses.dataclass(frozen=True)
class Remove:
    """Points to delete."""

    ids: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Command:
    """A button without arguments."""

    name: Literal[
        "start",
        "stop",
        "step_once",
        "reset",
        "undo",
        "redo",
        "before",
        "suggest_mask",
        "reset_settings",
    ]


@dataclasses.dataclass(frozen=True)
class NewImage:
    """The picture of a seed, None for a random one."""

    seed: int | None


@dataclasses.dataclass(frozen=True)
class Truncation:
    """The same seed at another truncation."""

    value: float


@dataclasses.dataclass(frozen=True)
class Label:
    """The same seed in another class. Whether there is such a class is for the edit to say."""

    value: int


@dataclasses.dataclass(frozen=True)
class Models:
    """Which models are there to choose from? The list is being opened."""


@dataclasses.dataclass(frozen=True)
class Load:
    """Go on with another model. A name is no path: only one that is listed means anything."""

    name: str


@dataclasses.dataclass(frozen=True)
class Settings:
    """Other settings from the next step on; None is the generator's own. Which values are good the edit says."""

    values: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Schema:
    """What settings are there? The drawer is being opened."""


@dataclasses.dataclass(frozen=True)
class Look:
    """Show the picture and the handles after that step, and change nothing; None for the newest."""

    step: int | None


@dataclasses.dataclass(frozen=True)
class Branch:
    """Go on from that step."""

    step: int


@dataclasses.dataclass(frozen=True)
class Course:
    """How has the edit gone since that step? -1 for all of it."""

    since: int


@dataclasses.dataclass(frozen=True)
class Thumbnails:
    """Small pictures of these steps."""

    steps: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Export:
    """The edit as a file of a kind, its moving pictures with or without ``handles``."""

    kind: Kind
    handles: bool


@dataclasses.dataclass(frozen=True)
class Cancel:
    """End the job of that id. One that is over already needs no end."""

    id: int


@dataclasses.dataclass(frozen=True)
class Part:
    """The next bytes of a photograph of ``size`` bytes that a view opens, those from ``at`` on."""

    view: str
    name: str
    size: int
    at: int
    data: bytes


@dataclasses.dataclass(frozen=True)
class Place:
    """Where in the photograph the model's picture lies, in its pixels: the centre, the height and the turn."""

    square: Square


@dataclasses.dataclass(frozen=True)
class Enough:
    """That stage of a photograph has come far enough."""

    stage: str


@dataclasses.dataclass(frozen=True)
class Mask:
    """A painted mask (H, W) in 0 … 1, 1 = may move; None when nothing is painted."""

    mask: np.ndarray | None


Photograph = Part | Place | Enough
Change = Photograph | Point | Remove | Command | NewImage | Truncation | Label | Load | Mask | Settings | Branch
Question = Models | Schema | Look | Course | Thumbnails | Export | Cancel
FromPage = Sign | Ack | Change | Question | Panel


def read(message: Any, buffers: Sequence[Any], resolution: tuple[int, int]) -> FromPage:
    """Return a message of the page, checked, for a picture of ``resolution`` (H, W).

    :raises ProtocolError: saying what is wrong with it.
    """
    if not isinstance(message, Mapping):
        raise ProtocolError(f"a message must be an object, not {message!r}")
    try:
        return _read(message, buffers, resolution)
    except KeyError as error:
        raise ProtocolError(f"a message {message.get('type')!r} needs the field {error}") from None
    except (TypeError, ValueError) as error:
        raise ProtocolError(str(error)) from None


def _read(message: Mapping[str, Any], buffers: Sequence[Any], resolution: tuple[int, int]) -> FromPage:
    match message["type"]:
        case "ready" | "ping" | "bye" as kind:
            return Sign(kind, str(message["view"]))
        case "ack":
            move = message.get("move")
            if not isinstance(move, Mapping | None):
                raise ValueError(f"a move is {move!r}; it must be an object")
            move = None if move is None else _point(move, resolution)
            return Ack(str(message["view"]), check_whole("seq", message["seq"]), bool(message["pull"]), move)
        case "point":
            return _point(message, resolution)
        case "remove":
            return Remove(tuple(check_whole("the id of a point", number) for number in message["ids"]))
        case "start" | "stop" | "step_once" | "reset" | "undo" | "redo" as name:
            return Command(name)
        case "before" | "suggest_mask" | "reset_settings" as name:
            return Command(name)
        case "schema":
            return Schema()
        case "settings":
            if not isinstance(message["values"], Mapping):
                raise ValueError(f"settings are {message['values']!r}; they must be names with values")
            return Settings(dict(message["values"]))
        case "look":
            return Look(None if message["step"] is None else check_whole("step", message["step"]))
        case "branch":
            return Branch(check_whole("step", message["step"]))
        case "course":
            return Course(check_whole("since", message["since"], least=-1))
        case "thumbnails":
            steps = tuple(check_whole("step", step) for step in message["steps"])
            if len(steps) > MOST_THUMBNAILS:
                raise ValueError(f"{len(steps)} thumbnails are too many; ask for {MOST_THUMBNAILS} at once")
            return Thumbnails(steps)
        case "export":
            if message["kind"] not in KINDS:
                raise ValueError(f"there is no export {message['kind']!r}; there are {', '.join(KINDS)}")
            return Export(message["kind"], bool(message["handles"]))
        case "photo":
            return _part(message, buffers)
        case "place":
            return Place(Square(*(message[name] for name in ("x", "y", "size", "angle"))))
        case "enough":
            if message["stage"] not in STAGES:
                raise ValueError(f"there is no stage {message['stage']!r} of a photograph")
            return Enough(message["stage"])
        case "cancel":
            return Cancel(check_whole("the id of a job", message["id"]))
        case "new_image":
            return NewImage(None if message["seed"] is None else check_seed(message["seed"]))
        case "truncation":
            return Truncation(check_truncation(message["value"]))
        case "label":
            return Label(check_whole("label", message["value"]))
        case "models":
            return Models()
        case "load":
            if not isinstance(message["name"], str):
                raise ValueError(f"the name of a model is {message['name']!r}; it must be text")
            return Load(message["name"])
        case "mask":
            return Mask(_mask(message, buffers, resolution))
        case other:
            if (panel := read_panel(message)) is not None:
                return panel
            raise ProtocolError(f"unknown message type {other!r}; page and kernel may be of different versions")


def _point(message: Mapping[str, Any], resolution: tuple[int, int]) -> Point:
    number = check_whole("the id of a point", message["id"])
    handle, target = (
        None if message.get(part) is None else check_xy(f"the {part} of point {number}", message[part], resolution)
        for part in ("handle", "target")
    )
    return Point(number, handle, target, bool(message["pulling"]), bool(message.get("start")))


def _part(message: Mapping[str, Any], buffers: Sequence[Any]) -> Part:
    size, at = check_whole("size", message["size"]), check_whole("at", message["at"])
    if not 0 < size <= MOST_PHOTO:
        raise ValueError(f"a photograph has {size:,} bytes; give one of at most {MOST_PHOTO // 1_000_000} MB")
    if not isinstance(message["name"], str) or len(buffers) != 1:
        raise ValueError("a part of a photograph is one buffer, and has a name")
    data = bytes(buffers[0])
    if not 0 < len(data) <= min(MOST_PART, size - at):
        raise ValueError(f"a part of a photograph has {len(data):,} bytes, of {size:,} from {at:,} on")
    return Part(str(message["view"]), printable(message["name"]), size, at, data)


def state_message(snapshot: Snapshot, entry: str | None = None, feedback: Feedback = NO_FEEDBACK) -> dict[str, Any]:
    """Return what a page shows but pictures, masks and lists. ``entry``: the model's name in the list of models."""
    document, model = snapshot.document, snapshot.model
    height, width = model.generator.resolution
    jump = jump_told(document.config, document.first)
    return {
        "type": "state",
        "status": snapshot.status,
        "message": snapshot.message,
        "step": snapshot.step,
        "points": [{**point, **feedback.of(point["id"])} for point in snapshot.points(snapshot.seen)],
        "seed": document.seed,
        "truncation": document.truncation,
        "label": document.label,
        "classes": model.classes,
        "width": width,
        "height": height,
        "channels": model.generator.channels,
        "generator": model.title,
        "model": entry,
        "jobs": [_job(job) for job in snapshot.jobs],
        "photo": model.photo is not None and document.seed is None,
        "trouble": snapshot.trouble,
        "can_undo": snapshot.can_undo,
        "can_redo": snapshot.can_redo,
        "undo": snapshot.undo,
        "redo": snapshot.redo,
        "edit": snapshot.edit,
        "mp4": can_write_mp4(),
        "edited": snapshot.step > 0,
        "rate": snapshot.rate,
        "warning": feedback.warning,
        "settings": settings_in_use(document, snapshot.speed) | jump,
        "defaults": usual_settings(document) | dict.fromkeys(jump, ""),
        "length": snapshot.length,
        "shown": snapshot.shown,
        "amounts": _amounts(document),
    }


def _amounts(document: Document) -> list[list[Any]]:
    """Return after which step attributes were changed, and by how much in words: [[step, words], …], the newest."""
    told = []
    for step, amounts in list(amounts_in(document).items())[-MOST_AMOUNTS:]:
        parts = [
            f"{name.replace('_', ' ')} {amount:+.2g} σ" for name, amount in amounts.items() if abs(amount) > HARDLY
        ]
        few = [*parts[:MOST_AMOUNTS_NAMED], *(["…"] if len(parts) > MOST_AMOUNTS_NAMED else [])]
        if few:
            told.append([step, printable(", ".join(few))])
    return told


def _job(job: Running) -> dict[str, Any]:
    note = job.note if job.what in (LOADING, PHOTO) else ""  # of others the page knows what to say
    return {"id": job.id, "what": job.what, "name": job.name, "note": note, "stage": job.stage, "progress": job.share}


def part_message(view: str, at: int) -> dict[str, Any]:
    """Return that a view's photograph is here up to the byte ``at``, and that the next part is wanted, if there is
    one; -1 where it is not wanted.
    """
    return {"type": "part", "view": view, "at": at}


def placing_message(placing: Placing) -> tuple[dict[str, Any], list[bytes]]:
    """Return where in a photograph the picture may lie, with the photograph, small, as JPEG."""
    file = io.BytesIO()
    placing.glance.save(file, "JPEG", quality=85)
    (width, height), squares = placing.size, [list(dataclasses.astuple(square)) for square in placing.squares]
    about = {"type": "placing", "width": width, "height": height, "shape": placing.shape}
    return {**about, "squares": squares, "note": placing.note}, [file.getvalue()]


def schema_message(document: Document) -> dict[str, Any]:
    """Return all that the drawer needs of the settings that there are for an edit, in their order.

    Who makes the first jump follows the engine, where there is a choice.
    """
    generator, known = document.model.generator, settings_there(document)
    jump = jump_setting(generator, document.config, document.first)
    engine = [known.pop("engine")] if "engine" in known else []
    fields = [*engine, *([] if jump is None else [jump]), *known.values()]
    limits = limits_of(generator)
    return {"type": "schema", "fields": [setting.schema(limits) for setting in fields]}


def course_message(since: int, records: Sequence[Record], edit: int) -> dict[str, Any]:
    """Return the course of an edit after the step ``since``. ``edit`` is the number that its states have."""
    return {
        "type": "course",
        "edit": edit,
        "since": since,
        "steps": [record.step for record in records],
        "seconds": [round(record.seconds, 3) for record in records],
        "ids": [list(record.ids) for record in records],
        "distances": [[round(float(distance), 2) for distance in record.distances] for record in records],
    }


def thumbnails_message(steps: Sequence[int], edit: int) -> dict[str, Any]:
    """Return the head of thumbnails, one JPEG a buffer."""
    return {"type": "thumbnails", "edit": edit, "steps": list(steps)}


def before_message(encoding: str, size: tuple[int, int], edit: int) -> dict[str, Any]:
    """Return the head of the picture the edit began with; ``size`` is (width, height)."""
    return {"type": "before", "edit": edit, "format": encoding, "width": size[0], "height": size[1]}


def export_message(kind: str, name: str, mime: str, text: str = "") -> dict[str, Any]:
    """Return the head of an exported file, which is the one buffer; code is ``text``."""
    return {"type": "export", "kind": kind, "name": name, "mime": mime, "text": text}


def frame_message(seq: int, step: int, encoding: str, size: tuple[int, int], ack: bool) -> dict[str, Any]:
    """Return the head of a frame, whose one buffer is the encoded picture; ``size`` is (width, height).

    ``ack``: whether an acknowledgement is asked for, which stands for all frames before it as well.
    """
    head = {"type": "frame", "seq": seq, "step": step, "format": encoding}
    return {**head, "width": size[0], "height": size[1], "ack": ack}


def mask_message(mask: np.ndarray | None, resolution: tuple[int, int]) -> tuple[dict[str, Any], list[bytes]]:
    """Return a mask (H, W) in 0 … 1, or None, with its buffer of one byte a pixel."""
    message = {"type": "mask", "width": resolution[1], "height": resolution[0]}
    return message, [] if mask is None else [np.round(mask * 255).astype(np.uint8).tobytes()]


def classes_message(names: Sequence[str]) -> dict[str, Any]:
    """Return what the classes are called, in their order; nothing where they have only numbers."""
    return {"type": "classes", "names": list(names)}


def models_message(builtin: Sequence[str], files: Sequence[str]) -> dict[str, Any]:
    """Return the models there are to choose from; a page that never hears of any shows no list."""
    return {"type": "models", "builtin": list(builtin), "files": list(files)}


def notice_message(text: str) -> dict[str, Any]:
    """Return a line for the status bar; the edit stays as it was."""
    return {"type": "notice", "text": one_line(text)}


def pong_message(sent: int, *, withheld: bool = False) -> dict[str, Any]:
    """Return the answer to a sign of life, sent while that is handled.

    :param sent: the newest frame's number. :param withheld: whether the host withholds what is not asked for.
    """
    return {"type": "pong", "sent": sent, "withheld": withheld}


def _mask(message: Mapping[str, Any], buffers: Sequence[Any], resolution: tuple[int, int]) -> np.ndarray | None:
    height, width = resolution
    if (message["height"], message["width"]) != resolution:
        raise ValueError(f"the mask is for a picture of {message['width']}×{message['height']}, not {width}×{height}")
    if not buffers:
        return None
    values = np.frombuffer(buffers[0], np.uint8)
    if values.size != height * width:
        raise ValueError(f"the mask has {values.size} bytes; {height * width} are needed")
    return values.reshape(height, width).astype(np.float32) / 255
