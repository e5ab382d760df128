from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from random_stylegan2 import small_stylegan2

from draggan_widget import DragConfig
from draggan_widget.editing import Feedback, Placing, Session, Texture
from draggan_widget.inversion import Square
from draggan_widget.widget import panel_protocol, protocol
from draggan_widget.widget.attributes import Attributes
from draggan_widget.widget.panels import Panels

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "messages.json").read_text())
SIZE = (64, 64)
KINDS = {
    **dict.fromkeys(("ready", "ping", "bye"), protocol.Sign),
    "ack": protocol.Ack,
    "point": protocol.Point,
    "remove": protocol.Remove,
    "settings": protocol.Settings,
    "look": protocol.Look,
    "branch": protocol.Branch,
    "course": protocol.Course,
    "thumbnails": protocol.Thumbnails,
    "export": protocol.Export,
    "new_image": protocol.NewImage,
    "truncation": protocol.Truncation,
    "label": protocol.Label,
    "models": protocol.Models,
    "schema": protocol.Schema,
    "load": protocol.Load,
    "cancel": protocol.Cancel,
    "photo": protocol.Part,
    "place": protocol.Place,
    "enough": protocol.Enough,
    "more": panel_protocol.More,
    **dict.fromkeys(("attributes", "values", "engines"), panel_protocol.Ask),
    "change": panel_protocol.ChangeTo,
    "say": panel_protocol.Say,
    "prompt": panel_protocol.Prompt,
    "lock": panel_protocol.Lock,
    "mark": panel_protocol.Mark,
    "teach": panel_protocol.Teach,
    "compare": panel_protocol.Compare,
    "take": panel_protocol.Take,
    "mask": protocol.Mask,
}
"""What messages are read as; all others are commands."""


def buffers_of(entry):
    return [bytes(length) for length in entry["buffers"]]


@pytest.mark.parametrize("entry", GOLDEN["to_kernel"], ids=lambda entry: entry["message"]["type"])
def test_every_golden_message_of_the_page_is_read(entry):
    message = entry["message"]
    size = (message.get("height", 512), message.get("width", 512))
    read = protocol.read(message, buffers_of(entry), size)
    assert type(read) is KINDS.get(message["type"], protocol.Command)
    fields = {field.name: getattr(read, field.name) for field in dataclasses.fields(read)}
    if isinstance(read, (protocol.Sign, protocol.Command)):
        assert fields.pop("kind" if isinstance(read, protocol.Sign) else "name") == message["type"]
    if isinstance(read, panel_protocol.Ask):
        assert fields.pop("what") == message["type"]
    if isinstance(read, protocol.Mask):
        assert fields.keys() == {"mask"}
        assert (read.mask is None) == (not entry["buffers"])
        assert read.mask is None or (read.mask.shape == size and not read.mask.any())
        return
    if isinstance(read, protocol.Place):
        assert dataclasses.asdict(read.square) == {name: message[name] for name in ("x", "y", "size", "angle")}
        return
    if isinstance(read, protocol.Part):
        assert len(fields.pop("data")) == entry["buffers"][0]
    assert message.keys() <= {"type", *fields}
    for name, value in fields.items():
        if name == "move" and value is not None:
            assert value == protocol.read(message["move"], [], size)
        elif name in message:
            assert (list(value) if isinstance(value, tuple) else value) == message[name]
        else:
            assert value in (None, False)  # what a message leaves out


def test_the_golden_messages_cover_every_type_of_both_directions():
    kinds = {direction: {entry["message"]["type"] for entry in GOLDEN[direction]} for direction in GOLDEN}
    commands = {"start", "stop", "step_once", "reset", "undo", "redo", "before", "suggest_mask"}
    commands |= {"reset_settings"}
    assert kinds["to_kernel"] == commands | {
        *("ready", "ping", "bye", "ack", "point", "remove", "new_image", "truncation", "label", "mask"),
        *("models", "load", "settings", "schema", "look", "branch", "course", "thumbnails", "export"),
        *("cancel", "photo", "place", "enough"),
        *("more", "attributes", "values", "engines", "change", "say", "prompt"),
        *("lock", "mark", "teach", "compare", "take"),
    }
    assert kinds["to_page"] == {
        *("state", "frame", "mask", "classes", "models", "notice", "pong"),
        *("course", "thumbnails", "before", "export", "schema", "part", "placing"),
        *("more", "panel"),
    }


def test_what_the_kernel_writes_has_the_fields_of_the_golden_messages():
    session = Session(small_stylegan2(64), seed=3, config=DragConfig())  # of which the golden messages are
    session.put_point(1, handle=(1, 2), target=(3, 4))
    session.step_once()
    records = session.now().records
    feedback = Feedback({1: 0.5}, {1: Texture(True, (3.0, 4.0))}, "Point 1 is lost.")
    written = [
        (protocol.state_message(session.latest), []),
        (protocol.state_message(session.latest, "a.pkl", feedback), []),
        (protocol.course_message(-1, records, 3), []),
        (protocol.thumbnails_message([0, 1, 2], 3), [b"a", b"b", b"c"]),
        (protocol.before_message("png", SIZE, 3), [b"x"]),
        (protocol.export_message("gif", "a.gif", "image/gif"), [b"x"]),
        (protocol.export_message("code", "a.py", "text/x-python", "1 + 1"), []),
        (protocol.frame_message(1, 2, "jpeg", SIZE, True), [b"x"]),
        protocol.mask_message(np.ones(SIZE), SIZE),
        protocol.mask_message(None, SIZE),
        (protocol.notice_message("no"), []),
        (protocol.part_message("k3x9q2m7", 5), []),
        protocol.placing_message(Placing(Image.new("RGB", (8, 6)), (80, 60), 1.0, (Square(40, 30, 20),), "A note.")),
        (protocol.pong_message(3), []),
        (protocol.classes_message(["cat", "dog"]), []),
        (protocol.models_message(["faces"], ["a.pkl"]), []),
        (protocol.schema_message(session.latest.document), []),
    ]
    session.close()
    for message, buffers in written:
        json.dumps(message)
        golden = [entry for entry in GOLDEN["to_page"] if entry["message"]["type"] == message["type"]]
        assert golden
        assert all(entry["message"].keys() == message.keys() for entry in golden)
        assert len(buffers) in {len(entry["buffers"]) for entry in golden}
        if message["type"] == "state":
            assert all(point.keys() == message["points"][0].keys() for e in golden for point in e["message"]["points"])
            for part in ("settings", "defaults"):
                assert all(entry["message"][part].keys() == message[part].keys() for entry in golden)
        if message["type"] == "schema":
            named = [field["name"] for field in message["fields"]]
            assert [field["name"] for field in golden[0]["message"]["fields"]] == named
            assert set(named) == written[0][0]["settings"].keys()
            for ours, theirs in zip(message["fields"], golden[0]["message"]["fields"], strict=True):
                ours, theirs = ({**field, "most": 0, "choices": []} for field in (ours, theirs))
                if ours["name"] == "first":
                    ours["help"] = theirs["help"]  # why there is none for the model
                assert ours == theirs, "but for what depends on the model"


def test_what_panels_are_told_has_the_fields_of_the_golden_messages():
    told = []
    session = Session(small_stylegan2(64), seed=3)
    attributes = Attributes(session, lambda command: command.result())
    panels = Panels(session, lambda message, buffers: told.append((message, buffers)), attributes)
    begun = session.latest.document
    for message in (
        panel_protocol.More(),
        panel_protocol.Ask("attributes"),
        panel_protocol.Mark("more", None),
        panel_protocol.Say(1, "more of nothing"),
        panel_protocol.Ask("engines"),
        panel_protocol.Compare(("natural",)),
    ):
        panels.take(message)
    session.newest()
    session.put_point(1, handle=(20, 20), target=(24, 20))
    panels.take(panel_protocol.Compare(("natural", "nobody")))
    ended = {"done", "failed"}
    limit = time.monotonic() + 60
    while len({m["told"]["status"] for m, _ in told if m.get("panel") == "compared"} & ended) < 2:
        assert time.monotonic() < limit
        session.newest()
        time.sleep(0.01)
    session.close()
    assert begun.drag.step == 0
    golden = [entry for entry in GOLDEN["to_page"] if entry["message"]["type"] in ("panel", "more")]
    assert {entry["message"].get("panel") for entry in golden} == {message.get("panel") for message, _ in told}
    for message, buffers in told:
        json.dumps(message)
        alike = [entry for entry in golden if entry["message"].get("panel") == message.get("panel")]
        assert message.keys() == alike[0]["message"].keys()
        if message["type"] == "more":
            assert len(buffers) == 1
            continue
        assert all(entry["message"]["told"].keys() == message["told"].keys() for entry in alike)
        for name in ("attributes", "groups", "sets", "engines"):
            ours, theirs = (each["told"].get(name) for each in (message, alike[0]["message"]))
            if ours and isinstance(ours[0], dict):
                assert all(each.keys() == theirs[0].keys() for each in ours)


def test_a_mask_survives_the_way_to_the_page_and_back():
    mask = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(SIZE)
    message, buffers = protocol.mask_message(mask, SIZE)
    read = protocol.read(message, [memoryview(buffers[0])], SIZE)
    np.testing.assert_allclose(read.mask, mask, atol=0.5 / 255 + 1e-6)
    assert protocol.read({"type": "mask", "width": 64, "height": 64}, [], SIZE).mask is None


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("hello", "must be an object"),
        ({}, "needs the field 'type'"),
        ({"type": "jump"}, "unknown message type 'jump'.*different versions"),
        ({"type": "ack", "view": "a"}, "'ack' needs the field 'seq'"),
        ({"type": "ack", "view": "a", "seq": "3", "pull": True}, "seq is '3'"),
        ({"type": "ack", "view": "a", "seq": 3}, "'ack' needs the field 'pull'"),
        ({"type": "ack", "view": "a", "seq": 3, "pull": True, "move": {"id": 1}}, "'ack' needs the field 'pulling'"),
        (
            {"type": "ack", "view": "a", "seq": 3, "pull": True, "move": "left"},
            "a move is 'left'; it must be an object",
        ),
        (
            {"type": "point", "id": 1, "handle": [1, 2], "target": [99, 2], "pulling": True},
            "target of point 1 is outside",
        ),
        ({"type": "point", "id": 1, "handle": [None, 2], "pulling": True}, "handle of point 1"),
        ({"type": "new_image", "seed": 1.5}, "seed is 1.5"),
        ({"type": "new_image", "seed": -1}, "from 0 to"),
        ({"type": "truncation", "value": "big"}, "truncation is 'big'"),
        ({"type": "truncation", "value": float("nan")}, "truncation"),
        ({"type": "label", "value": -1}, "label is -1"),
        ({"type": "label", "value": None}, "label is None"),
        ({"type": "load", "name": ["a.pkl"]}, "must be text"),
        ({"type": "settings", "values": [1]}, "names with values"),
        ({"type": "look", "step": -1}, "step is -1"),
        ({"type": "look"}, "'look' needs the field 'step'"),
        ({"type": "branch", "step": None}, "step is None"),
        ({"type": "course", "since": -2}, "since is -2"),
        ({"type": "thumbnails", "steps": list(range(201))}, "201 thumbnails are too many"),
        ({"type": "export", "kind": "bmp", "handles": False}, "no export 'bmp'; there are png, gif"),
        (
            {"type": "change", "id": 1, "values": {"smile": "much"}, "pulling": True},
            "value of 'smile' must be",
        ),
        ({"type": "change", "id": 1, "values": {}, "pulling": True}, "values must be names with numbers"),
        ({"type": "change", "id": 1, "values": {"smile": float("inf")}, "pulling": True}, "must be a number"),
        ({"type": "say", "id": 1, "text": "a" * 1001}, "at most 1000 characters"),
        ({"type": "lock", "name": 3, "on": True}, "name must be a text"),
        ({"type": "mark", "side": "more", "number": 1}, "a mark is"),
        ({"type": "mark", "side": None, "number": None}, "a mark is"),
        ({"type": "teach", "id": -1, "name": "a"}, "id is -1"),
        ({"type": "compare", "engines": []}, "at least one engine"),
        ({"type": "take"}, "'take' needs the field 'engine'"),
        ({"type": "load"}, "'load' needs the field 'name'"),
        ({"type": "mask", "width": 32, "height": 64}, "32×64, not 64×64"),
        ({"type": "remove", "ids": [True]}, "id of a point"),
    ],
)
def test_bad_messages_are_named(message, says):
    with pytest.raises(protocol.ProtocolError, match=says):
        protocol.read(message, [], SIZE)


def test_a_mask_with_too_few_bytes_is_named():
    with pytest.raises(protocol.ProtocolError, match="3 bytes; 4096 are needed"):
        protocol.read({"type": "mask", "width": 64, "height": 64}, [b"abc"], SIZE)
