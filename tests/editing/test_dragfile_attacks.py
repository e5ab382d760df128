"""`.drag` files that were damaged, or made to do harm: whatever their bytes, only the documented errors, and soon."""

from __future__ import annotations

import copy
import json
import os
import pickle
import random
import sys
import time

import numpy as np
import pytest
import safetensors.torch
import torch

from draggan_widget import dragging
from draggan_widget.config import DragConfig
from draggan_widget.editing import DragFileError, Model, Session, container, dragfile, load_drag, save_drag
from draggan_widget.editing.export import code

KEY = "draggan_edit"
NAN = float("nan")
FILES = 5000
MOST_SECONDS = 3.0
"""Of computing, for any of the files."""
MOST_MEMORY = 200 << 20
HOSTILE = [
    None, True, False, 0, 1, -1, 2, 99, 2**31, 2**53, 2**53 + 1, 10**400, -(10**30), 0.5, -0.5, 1e308, 1e999, -1e999,
    float("nan"), "", "1", "x" * 1000, "\ud800", "\x1b[2J", "~nobody_of_that_name/x", [], {}, [[]], [1, 2], {"a": 1},
    [[[[[[]]]]]],
]  # fmt: skip


@pytest.fixture(scope="module")
def parts(generator):
    """The tensors and the values of an edit in which everything was done."""
    session = Session(generator, seed=3, config=DragConfig(learning_rate=0.05, tolerance=0.0, stall_steps=None))
    session.put_point(1, handle=(30, 30), target=(40, 30))
    session.set_mask(np.pad(np.ones((40, 40), np.float32), 12))
    session.step_once()
    session.put_point(2, handle=(20, 44), target=(20, 50))
    session.put_point(1, target=(42, 30))
    session.step_once()
    session.set_mask(None)
    session.remove_points([2])
    moment = session.now()
    session.close()
    data = dragfile.drag_bytes(moment, generator, "small")
    return data, safetensors.torch.load(data), values_of(data)


def values_of(data):
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    values = json.loads(header["__metadata__"][KEY])
    del values["checksum"]
    return values


def write(path, tensors, values, checksum=True):
    """A file of these, with a checksum that fits, or as files of before without one."""
    text = values if isinstance(values, str) else json.dumps(values)
    made = container.packed(KEY, tensors, values) if checksum else safetensors.torch.save(tensors, {KEY: text})
    path.write_bytes(made)


def test_the_attacks_begin_with_a_file_that_loads_with_and_without_a_checksum(parts, generator, tmp_path):
    data, tensors, values = parts
    (tmp_path / "a.drag").write_bytes(data)
    write(tmp_path / "b.drag", tensors, values)
    write(tmp_path / "c.drag", tensors, values, checksum=False)
    loaded = [load_drag(tmp_path / name, generator) for name in ("a.drag", "b.drag", "c.drag")]
    assert (tmp_path / "b.drag").read_bytes() == data
    for moment in loaded:
        assert [record.step for record in moment.records] == [0, 1, 2]
        assert torch.equal(moment.drag.ws, loaded[0].drag.ws)


def test_a_flipped_bit_anywhere_in_a_file_is_noticed(parts, generator, tmp_path):
    data, _, _ = parts
    path = tmp_path / "a.drag"
    chance = random.Random(0)
    text = data.index(b'"checksum')
    places = [*range(8, 60), *range(text - 20, text + 100), *chance.sample(range(len(data)), 300), len(data) - 1]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(DragFileError):
            load_drag(path, generator)
    changed = bytearray(data)
    changed[-3] ^= 1  # a number of a tensor, of which nothing else could tell
    path.write_bytes(changed)
    with pytest.raises(DragFileError, match=r"a\.drag is incomplete or altered .*checksum does not fit.*save the edit"):
        load_drag(path, generator)


def change(name, value):
    def spoil(values):
        *way, last = name.split("/")
        place = values
        for step in way:
            place = place[int(step) if isinstance(place, list) else step]
        place[int(last) if isinstance(place, list) else last] = value

    return spoil


def twice(values):
    values["drag"]["state"]["points"] *= 2


@pytest.mark.parametrize(
    "spoil",
    [
        *(
            change(name, value)
            for name in dragfile.FIELDS[1:]
            for value in ("x", 2.5, [[]], {"a": 1}, -1)
        ),
        *(
            change(f"drag/state/{name}", value)
            for name in ("config", "points", "course", "resolution", "step", "adam_steps", "loss", "version")
            for value in (None, "x", -1, [1.5], {"a": []}, True, 10**400)
        ),
        *(
            change(f"drag/state/points/0/{name}", value)
            for name in ("id", "handle", "target", "start", "seen")
            for value in (None, True, "12", 0, -1, 1.5, [1], [1, 2, 3], [1, "2"], [True, 1], [1, NAN], [999, 1])
        ),
        *(
            change(f"drag/state/course/{name}", value)
            for name in ("first_step", "idle", "nearest")
            for value in (None, -1, 1.5, "x", [None], [1, 2, 3], 4 * 10**20)
        ),
        *(change("drag/tensors/ws", value) for value in (None, True, "0", 999, -1, [0])),
        *(
            change("script/1", op)
            for op in (
                ["mask", 99], ["mask", -1], ["mask", True], ["mask", "0"], ["mask"], ["add", 1, [1, 2], [3, 999]],
                ["add", True, [1, 2], [3, 4]], ["add", 7, [1, 2], [3, "4"]], ["add", 0, [1, 2], [3, 4]],
                ["handle", 9, [1, 2]], ["remove", 9], ["steps", 0], ["steps", -3], ["steps", 1.5], ["steps", 10**400],
                ["config", {"nothing": 1}], ["config", {"block": 99.5}], ["config", []], [], [[]], {}, None, "add", 3,
            )
        ),
        *(change(f"script/{place}", ["add", 1, [1, 2], [3, 4]]) for place in (2, 3)),
        change("script/0", ["mask", None]),
        change("records/1/state/step", 2),
        change("records/1/seconds", float("nan")),
        change("records/1/seconds", -1),
        change("records/1/mask", True),
        change("drag/state/config/block", 99),
        change("generator/source", ["x"]),
        change("further", 1),
        twice,
    ],
)  # fmt: skip
def test_values_of_wrong_kinds_are_refused_when_the_file_is_read(parts, generator, tmp_path, spoil):
    _, tensors, values = parts
    values = copy.deepcopy(values)
    spoil(values)
    write(tmp_path / "a.drag", tensors, values)
    refused = r"a\.drag (is incomplete or altered|has settings that cannot be dragged with)"
    with pytest.raises(DragFileError, match=refused) as raised:
        load_drag(tmp_path / "a.drag", generator)
    assert len(str(raised.value)) < 400 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ws", lambda tensor: tensor[..., :1].contiguous()),  # which would spread over all
        ("ws", lambda tensor: tensor.double()),
        ("ws", lambda tensor: tensor.long()),
        ("ws", lambda tensor: torch.cat([tensor] * 9, dim=1)),
        ("w0", lambda tensor: torch.zeros(0)),
        ("adam.second", lambda tensor: -tensor - 1),
        ("reference.1", lambda tensor: tensor[:-1].clone()),
        ("reference.1", lambda tensor: tensor[None].clone()),
        ("reference.1", lambda tensor: tensor / 0),
        ("anchor", lambda tensor: tensor * float("nan")),
    ],
)
def test_tensors_that_are_not_an_edits_are_refused_when_the_file_is_read(parts, generator, tmp_path, name, change):
    _, tensors, values = parts
    number = str(values["drag"]["tensors"][name])
    write(tmp_path / "a.drag", {**tensors, number: change(tensors[number])}, values)
    with pytest.raises(DragFileError, match=r"a\.drag is incomplete or altered"):
        load_drag(tmp_path / "a.drag", generator)


def timed(generator, path):
    began = time.process_time()
    with pytest.raises(DragFileError) as raised:
        load_drag(path, generator)
    assert time.process_time() - began < MOST_SECONDS
    return str(raised.value)


def test_files_that_choose_their_own_time_and_memory_are_refused_soon(parts, generator, tmp_path):
    _, tensors, values = parts
    path, before = tmp_path / "a.drag", peak()
    write(path, tensors, {**values, "records": values["records"][:1] * 22_500})
    assert "more than an edit keeps" in timed(generator, path)
    for text in (
        "[" * 5_000_000,
        '{"a":' * 1_000_000,
        '{"format": ' + "9" * 5000 + "}",
        "[" + "{}," * 5_000_000 + "{}]",
    ):
        write(path, tensors, text, checksum=False)
        assert "incomplete or altered" in timed(generator, path)
    header = b'{"__metadata__":' + b"[" * 1_000_000
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert "incomplete or altered" in timed(generator, path)
    for start, says in ((2**63, "cannot be read"), (90 << 20, "cannot be read"), (0, "incomplete or altered")):
        path.write_bytes(start.to_bytes(8, "little"))
        assert says in timed(generator, path)
    with path.open("wb") as file:  # sparse: claims much and holds nothing
        file.truncate(3 << 30)
    assert "far more than an edit" in timed(generator, path)
    with path.open("wb") as file:
        file.write((200 << 20).to_bytes(8, "little"))
        file.truncate(300 << 20)
    assert "its header claims" in timed(generator, path)
    assert peak() - before < 4 * MOST_MEMORY


def test_an_edit_too_large_to_be_read_again_is_saved_with_fewer_steps_and_both_ends(
    parts, generator, tmp_path, monkeypatch
):
    data, _, _ = parts
    (tmp_path / "a.drag").write_bytes(data)
    moment = load_drag(tmp_path / "a.drag", generator)
    monkeypatch.setattr(container, "LONGEST_TEXT", len(json.dumps(values_of(data))) - 1)
    save_drag(tmp_path / "b.drag", moment, generator, None)
    again = load_drag(tmp_path / "b.drag", generator)
    assert [record.step for record in again.records] == [0, 2]
    assert torch.equal(again.drag.ws, moment.drag.ws)


def peak() -> int:
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def places(value):
    """Every container of JSON in a value, with the keys it has."""
    found = []
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, (dict, list)):
            keys = list(each) if isinstance(each, dict) else list(range(len(each)))
            found += [(each, key) for key in keys]
            stack += [each[key] for key in keys]
    return found


def mutated_values(chance, values):
    """The values of an edit with one to three changes."""
    values = pickle.loads(pickle.dumps(values))  # quicker than deepcopy
    for _ in range(chance.choice([1, 1, 2, 3])):
        there = places(values)
        place, key = chance.choice(there)
        match chance.randrange(6):
            case 0:
                del place[key]
            case 1:
                other, name = chance.choice(there)
                place[key] = copy.deepcopy(other[name])
            case 2 if isinstance(place, list):
                place.insert(key, copy.deepcopy(place[key]))
            case 3 if isinstance(place[key], (int, float)) and not isinstance(place[key], bool):
                place[key] = place[key] + chance.choice([1, -1, 0.5, 64, -1e9])
            case _:
                place[key] = chance.choice(HOSTILE)
    return values


def mutated_tensors(chance, tensors):
    """The tensors of an edit, one of them changed."""
    number = chance.choice(list(tensors))
    before = tensors[number]
    changed = chance.choice(
        [
            before[..., :1].contiguous(), before.double(), before.long(), before.flatten(), before[None].contiguous(),
            before * float("nan"), -before.abs() - 1, torch.zeros(0), torch.ones(1), before.bool(),
            before.to(torch.bfloat16), torch.cat([before, before]), torch.ones(2, 2, dtype=torch.uint8),
        ]
    )  # fmt: skip
    return {name: each for name, each in {**tensors, number: changed}.items() if chance.random() > 0.01}


def mutated_bytes(chance, data):
    """The bytes of a file with one to four changes."""
    data = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4])):
        at, length = chance.randrange(len(data) + 1), chance.choice([1, 4, 40])
        match chance.randrange(5):
            case 0 if at:
                data[at - 1] ^= 1 << chance.randrange(8)
            case 1:
                del data[at:]
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + 200] * chance.choice([1, 2, 30])
            case 4:
                data[at % 8 : at % 8 + 2] = chance.choice([b"\xff\xff", b"\0\0", b"\x7f"])
        if not data:
            break
    return bytes(data)


def test_of_5000_mutated_files_each_is_refused_in_words_or_is_an_edit_that_goes_on(
    parts, generator, tmp_path, monkeypatch
):
    data, tensors, values = parts
    mark = dragfile.fingerprint(generator)
    monkeypatch.setattr(dragfile, "fingerprint", lambda generator: mark)  # it takes as long as all the rest
    chance, before, path = random.Random(0), peak(), tmp_path / "a.drag"
    refused, taken = [], []
    for number in range(FILES):
        match number % 4:
            case 0:
                path.write_bytes(mutated_bytes(chance, data))
            case 1:
                write(path, mutated_tensors(chance, tensors), values)
            case _:
                write(path, tensors, mutated_values(chance, values), checksum=bool(number % 4 == 2))
        began = time.process_time()
        try:
            taken.append(load_drag(path, generator))
        except DragFileError as error:
            refused.append(str(error))
        assert time.process_time() - began < MOST_SECONDS
    said = [text.removeprefix(str(path)) for text in refused]
    assert [text for text in said if len(text) > 350 or not text.isprintable() or ";" not in text] == []
    assert 0.5 * FILES < len(refused) < FILES
    assert len(taken) > 50
    for moment in chance.sample(taken, 30):
        saved = tmp_path / "b.drag"
        save_drag(saved, moment, generator, "small")
        assert torch.equal(load_drag(saved, generator).drag.ws, moment.drag.ws)
        assert code(moment, Model(generator)).endswith("\n")
        if moment.drag.points:
            # Their settings may be any that a drag takes, such as radii that take long.
            config = moment.drag.config.replace(supervision_radius=3, tracking_radius=6, learning_rate=0.001)
            drag = dragging.with_config(generator, moment.drag, config)
            assert dragging.step(generator, drag).step == moment.drag.step + 1
    assert peak() - before < MOST_MEMORY
    assert sorted(os.listdir(tmp_path)) == ["a.drag", "b.drag"]
