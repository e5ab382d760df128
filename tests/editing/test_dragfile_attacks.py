"""`.drag` files that were damaged, or made to do harm: whatever their bytes, only the documented errors, and soon."""

from __future__ import annotations

import copy
import dataclasses
import functools
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
from random_stylegan2 import small_stylegan2

from draggan_widget.config import DragConfig
from draggan_widget.editing import DragFileError, Model, Session, code_of, container, dragfile, load_drag, save_drag
from draggan_widget.editing import compact_files as storing
from draggan_widget.editing.script import to_json

KEY = "draggan_edit"
NAN = float("nan")
FILES = 5000
OLD_FILES = 1000
"""Of format 2."""
MOST_SECONDS = 3.0
"""Of computing, for any of the files."""
MOST_MEMORY = 200 << 20
HOSTILE = [
    None, True, False, 0, 1, -1, 2, 99, 2**31, 2**53, 2**53 + 1, 10**400, -(10**30), 0.5, -0.5, 1e308, 1e999, -1e999,
    float("nan"), "", "1", "x" * 1000, "\ud800", "\x1b[2J", "~nobody_of_that_name/x", [], {}, [[]], [1, 2], {"a": 1},
    [[[[[[]]]]]],
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def fingerprinted_once():
    """A network's hash is computed once: it takes as long as all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dragfile, "fingerprint", functools.cache(dragfile.fingerprint))
        yield


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
    document = session.now()
    session.close()
    data = dragfile.drag_bytes(document, generator, "small")
    return data, safetensors.torch.load(data), values_of(data)


@pytest.fixture(scope="module")
def old_parts(parts, generator, tmp_path_factory):
    """The same of that edit as it was written in format 2."""
    path = tmp_path_factory.mktemp("old") / "a.drag"
    path.write_bytes(parts[0])
    tensors, values = as_format_2(load_drag(path, generator), generator)
    data = container.packed(KEY, tensors, values)
    return data, safetensors.torch.load(data), values_of(data)


def as_format_2(document, generator):
    """The tensors and the values of an edit as format 2 had them."""
    storage = storing.Storage()

    def put_state(drag):
        tensors, description = drag.memory.to_parts()
        for name, base in (("ws", tensors["w0"]), ("adam.first", 0), ("adam.second", 0)):
            edited = torch.nonzero((tensors[name] != base).any(dim=2).any(dim=0))
            tensors[name] = tensors[name][:, : int(edited[-1]) + 1 if len(edited) else 0]
        description["loss"] = dict(drag.loss)
        return {"state": description, "tensors": {name: storage.put(tensor) for name, tensor in tensors.items()}}

    def put_mask(mask):
        return None if mask is None else storage.put(mask)

    records = [
        {
            **put_state(record.kept.state(generator, record.ws)),
            "seconds": record.seconds,
            "mask": put_mask(record.kept.mask),
        }
        for record in document.records
    ]
    script, masks = to_json(document.script)
    return storage.tensors, {
        "format": 2,
        "generator": {"source": "small", "fingerprint": dragfile.fingerprint(generator)},
        "seed": document.seed,
        "truncation": document.truncation,
        "label": document.label,
        "drag": put_state(document.drag),
        "mask": put_mask(document.mask),
        "records": records,
        "script": [["config", op[2]] if op[0] == "config" else op for op in script],
        "script_masks": [storage.put(mask) for mask in masks],
    }


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


@pytest.fixture(params=[3, 2], ids=["format_3", "format_2"])
def either(request, parts, old_parts):
    """The parts of that edit in each of the formats that are read."""
    return parts if request.param == 3 else old_parts


def test_the_attacks_begin_with_a_file_that_loads_with_and_without_a_checksum(either, generator, tmp_path):
    data, tensors, values = either
    (tmp_path / "a.drag").write_bytes(data)
    write(tmp_path / "b.drag", tensors, values)
    write(tmp_path / "c.drag", tensors, values, checksum=False)
    loaded = [load_drag(tmp_path / name, generator) for name in ("a.drag", "b.drag", "c.drag")]
    assert (tmp_path / "b.drag").read_bytes() == data
    for document in loaded:
        assert [record.step for record in document.records] == [0, 1, 2]
        assert torch.equal(document.drag.ws, loaded[0].drag.ws)


def test_an_edit_in_format_2_goes_on_from_every_step_exactly_as_in_format_3(parts, old_parts, generator, tmp_path):
    moments = []
    for data, _, values in (parts, old_parts):
        path = tmp_path / f"{values['format']}.drag"
        path.write_bytes(data)
        moments.append(load_drag(path, generator))
    new, old = moments
    assert [values["format"] for _, _, values in (parts, old_parts)] == [3, 2]
    assert [[op[0], *op[2:]] for op in new.script if op[0] != "mask"] == [
        [op[0], *op[2:]] for op in old.script if op[0] != "mask"
    ]
    assert {op[1] for op in new.script if op[0] == "config"} == {op[1] for op in old.script if op[0] == "config"}
    assert [record.seconds for record in new.records] == [record.seconds for record in old.records]
    for place in (None, 0, 1, 2):
        states = [
            document.drag
            if place is None
            else document.records[place].kept.state(generator, document.records[place].ws)
            for document in moments
        ]
        for _ in range(3):
            ours, theirs = states
            assert ours.bound.settings == theirs.bound.settings
            assert torch.equal(ours.ws, theirs.ws)
            assert torch.equal(ours.w0, theirs.w0)
            assert ours.points == theirs.points
            assert dict(ours.loss) == dict(theirs.loss)
            np.testing.assert_array_equal(ours.mask, theirs.mask)
            states = [state.steps(1) for state in states]
    again = dragfile.drag_bytes(old, generator, "small")  # saved again, it is of the new format
    same = dragfile.drag_bytes(with_nothing_below(new), generator, "small")
    assert values_of(again) == values_of(same)
    stored, expected = safetensors.torch.load(again), safetensors.torch.load(same)
    assert stored.keys() == expected.keys()
    assert all(torch.equal(stored[number], tensor) for number, tensor in expected.items())


def with_nothing_below(document):
    """The edit as format 2 knew it, which kept no picture that shows outside a mask."""
    drag = dataclasses.replace(document.drag, edit=dataclasses.replace(document.drag.edit, below=()))
    records = [
        dataclasses.replace(
            each, kept=dataclasses.replace(each.kept, edit=dataclasses.replace(each.kept.edit, below=()))
        )
        for each in document.records
    ]
    return dataclasses.replace(document, drag=drag, records=tuple(records))


def test_a_flipped_bit_anywhere_in_a_file_is_noticed(either, generator, tmp_path):
    data, _, _ = either
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
    state = values["drag"]["state"] if "drag" in values else values["state"]
    state["points"] *= 2
    if "memory" in state:
        state["memory"]["seen"] *= 2


def reordered(values):
    values["records"].reverse()


SCRIPTS = [
    *(
        change("script/1", op)
        for op in (
            ["mask", 99], ["mask", -1], ["mask", True], ["mask", "0"], ["mask"], ["add", 1, [1, 2], [3, 999]],
            ["add", True, [1, 2], [3, 4]], ["add", 7, [1, 2], [3, "4"]], ["add", 0, [1, 2], [3, 4]],
            ["handle", 9, [1, 2]], ["remove", 9], ["steps", 0], ["steps", -3], ["steps", 1.5], ["steps", 10**400],
            ["config", {"nothing": 1}], ["config", []], [], [[]], {}, None, "add", 3,
            ["config", "draggan"], ["config", "draggan", {"nothing": 1}],
            ["config", "draggan", []], ["config", ["draggan"], {}], ["config", None, {}], ["config", 1, {}],
            ["config", "draggan", {}, {}],
        )
    ),
    *(change(f"script/{place}", ["add", 1, [1, 2], [3, 4]]) for place in (2, 3)),
    change("script/0", ["mask", None]),
    change("script_masks", [None]),
    change("script_masks", [True]),
    change("script_masks", {"0": 0}),
]  # fmt: skip
SPOILED = [
    *(
        change(name, value)
        for name in sorted(dragfile.FIELDS[3] - {"format"})
        for value in ("x", 2.5, [[]], {"a": 1}, -1, None)
        if (name, value) != ("finish", [[]])  # which is one of a newer version
    ),
    *(
        change(f"origin/{name}", value)
        for name in ("seed", "truncation", "label")
        for value in ("x", 2.5, [[]], {"a": 1}, -1, True, NAN, 10**400)
    ),
    change("model/changes", "x"),
    change("model/changes", []),
    change("model/source", ["x"]),
    change("model/further", 1),
    change("origin/further", 1),
    change("state/further", 1),
    change("records/1/further", 1),
    change("further", 1),
    *(
        change(f"{state}/{name}", value)
        for state in ("state", "records/1")
        for name in sorted(storing.FIELDS - {"held", "wish"})
        for value in (None, "x", -1, [1.5], {"a": []}, True, 10**400)
        if (name, value) not in (("mask", None), ("engine", "x"))  # which is said in other words
    ),
    *(
        change(f"state/{name}", value)
        for name in ("latent", "origin", "mask", "held", "wish", "tensors/anchor", "tensors/adam.first")
        for value in (True, "0", 999, -1, [0], 1.0, 10**400, {})
    ),
    *(change(f"state/{name}", None) for name in ("tensors/anchor", "tensors/adam.second", "tensors/reference.1")),
    # Numbers that are equal to one that was read before.
    *(
        change(f"records/2/{name}", value)
        for name in ("origin", "tensors/anchor", "mask")
        for value in (True, False, 1.0)
    ),
    *(change("state/engine", value) for value in (["draggan"], {"draggan": 1}, 1, False)),
    *(
        change(f"state/settings/{name}", value)
        for name in ("nothing", "Method", "__class__")
        for value in (None, 1)
    ),
    # As text they are those of the state that was read before.
    lambda values: values["records"][1].update(settings=str(values["state"]["settings"])),
    lambda values: values["records"][1].update(settings=json.dumps(values["state"]["settings"])),
    lambda values: values["records"][1].update(settings=list(values["state"]["settings"].items())),
    *(
        change(f"state/points/0/{place}", value)
        for place in range(4)
        for value in (
            None, True, "12", 0, -1, 1.5, [1], [1, 2, 3], [1, "2"], [True, 1], [1, NAN], [999, 1], [1, 10**400],
        )
    ),
    *(
        change("state/points/0", value)
        for value in (None, [], 1, "1", [1], [1, [1, 2], [3, 4]], [1, [1, 2], [3, 4], [5, 6], [7, 8]], {"id": 1})
    ),
    change("state/points/0/0", 2**53 + 1),
    *(
        change(f"state/memory/{name}", value)
        for name in ("seen", "adam_steps", "course")
        for value in (None, "x", -1, [1.5], {"a": []}, True, 10**400)
    ),
    *(
        change("state/memory/seen/0", value)
        for value in (None, True, "12", [1], [1, "2"], [True, 1], [1, NAN], [999, 1])
    ),
    *(
        change(f"state/memory/course/{name}", value)
        for name in ("first_step", "idle", "nearest")
        for value in (None, -1, 1.5, "x", [None], [1, 2, 3], 4 * 10**20)
    ),
    change("state/memory/further", 1),
    *(change(f"state/tensors/{name}", 0) for name in ("ws", "w0", "mask", "reference.9", "further")),
    # Each of the right kind where it comes from, and of the wrong one where it is put.
    lambda values: values["records"][1]["tensors"].update({"reference.1": values["state"]["origin"]}),
    lambda values: values["records"][1]["tensors"].update({"reference.1": values["script_masks"][0]}),
    lambda values: values["records"][1].update(mask=values["state"]["origin"]),
    lambda values: values["records"][1].update(origin=values["script_masks"][0]),
    lambda values: values["records"][1]["tensors"].update(anchor=values["state"]["tensors"]["reference.1"]),
    lambda values: values["state"].update(held=values["script_masks"][0]),
    lambda values: values["state"].update(wish=values["script_masks"][0]),
    *(change("state/loss/motion", value) for value in (None, True, "1", [1], 10**400)),
    *(change("records/1/seconds", value) for value in (NAN, -1, "1", None, True, 1e999, 10**400)),
    change("records/1/step", 2),
    change("records/1/mask", True),
    change("state/step", 1),
    change("records/1", None),
    change("records/1", []),
    reordered,
    twice,
    lambda values: values["records"].insert(1, values["records"][1]),
    *SCRIPTS,
]  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILED)
def test_values_of_wrong_kinds_are_refused_when_the_file_is_read(parts, generator, tmp_path, spoil):
    refused(parts, generator, tmp_path, spoil)


@pytest.mark.parametrize(
    "spoil",
    [
        *(
            change(name, value)
            for name in sorted(dragfile.FIELDS[2] - {"format"})
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
        *SCRIPTS,
        change("records/1/state/step", 2),
        change("records/1/seconds", float("nan")),
        change("records/1/seconds", -1),
        change("records/1/mask", True),
        change("generator/source", ["x"]),
        change("further", 1),
        reordered,
        twice,
        # Each of the right kind where it comes from, and of the wrong one where it is put.
        lambda values: values["records"][1]["tensors"].update({"reference.1": values["drag"]["tensors"]["w0"]}),
        lambda values: values["records"][1]["tensors"].update(mask=values["drag"]["tensors"]["w0"]),
        lambda values: values["records"][1]["tensors"].pop("mask"),
        lambda values: values["drag"]["tensors"].update(mask=values["script_masks"][0]),
    ],
)  # fmt: skip
def test_values_of_wrong_kinds_in_format_2_are_refused_when_the_file_is_read(old_parts, generator, tmp_path, spoil):
    refused(old_parts, generator, tmp_path, spoil)


def refused(parts, generator, tmp_path, spoil):
    _, tensors, values = parts
    values = copy.deepcopy(values)
    spoil(values)
    write(tmp_path / "a.drag", tensors, values)
    refused = r"a\.drag (is incomplete or altered|has settings that cannot be dragged with)"
    with pytest.raises(DragFileError, match=refused) as raised:
        load_drag(tmp_path / "a.drag", generator)
    assert len(str(raised.value)) < 400 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            change("state/engine", "gone"),
            r"cannot go on here: there is no engine 'gone' here, only natural, draggan, .*fastdrag; register",
        ),
        (change("records/1/engine", "gone"), r"cannot go on here: there is no engine 'gone' here"),
        (
            change("state/engine", "x" * 1000),
            r"cannot go on here: there is no engine 'x+….*predicted, dragdiffusion, fastdrag; register",
        ),
        (change("state/engine", "\x1b[2J\ud800"), r"cannot go on here: there is no engine '.*' here"),
        (change("state/engine", ""), r"cannot go on here: there is no engine '' here"),
        (change("script/1", ["config", "gone", {}]), r"cannot go on here: there is no engine 'gone' here"),
        (
            change("state/settings/block", 99),
            r"cannot go on here: its engine draggan cannot serve this model: config\.block is 99; this generator has",
        ),
        (change("records/1/settings/block", [2, 99]), r"cannot go on here: its engine draggan cannot serve this model"),
        (change("state/settings/max_steps", 10**400), r"has settings that cannot be dragged with: max_steps is"),
        (change("state/settings/learning_rate", 1e999), r"has settings that cannot be dragged with: learning_rate is"),
        (change("state/settings/method", ["paper"]), r"has settings that cannot be dragged with: method is"),
        (change("state/settings/block", [[1]]), r"has settings that cannot be dragged with: block is"),
        (change("script/0", ["config", {"block": 99.5}]), r"has settings that cannot be dragged with: block is 99.5"),
        (
            change("script/1", ["config", "draggan", {"block": 99.5}]),
            r"has settings that cannot be dragged with: block",
        ),
        (change("script/0", ["config", "draggan", {"tracking_radius": 10**9}]), r"has settings that cannot be dragged"),
        (change("finish", [{"kind": "blend"}]), r"has what only a newer version can do; update draggan_widget$"),
        (change("model/changes", {"layer": 3}), r"has what only a newer version can do; update draggan_widget$"),
        (change("format", 4), r"has format 4, this version reads 2 and 3; update draggan_widget$"),
        (
            change("state/memory/seen", []),
            r"is incomplete or altered \(ValueError: what the engine remembers is of another edit\); save the edit",
        ),
    ],
)
def test_what_an_edit_lacks_here_is_said_in_one_sentence_and_the_file_stays(parts, generator, tmp_path, spoil, says):
    sentence(parts, generator, tmp_path, spoil, says)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            change("drag/state/config/block", 99),
            r"cannot go on here: its engine draggan cannot serve this model: config",
        ),
        (change("drag/state/config/max_steps", 10**400), r"has settings that cannot be dragged with: max_steps is"),
        (change("script/0", ["config", {"block": 99.5}]), r"has settings that cannot be dragged with: block is 99.5"),
        (change("drag/state/config/learning_rate", NAN), r"has settings that cannot be dragged with: learning_rate is"),
    ],
)
def test_what_an_edit_of_format_2_lacks_is_said_in_one_sentence(old_parts, generator, tmp_path, spoil, says):
    sentence(old_parts, generator, tmp_path, spoil, says)


def sentence(parts, generator, tmp_path, spoil, says):
    _, tensors, values = parts
    values = copy.deepcopy(values)
    spoil(values)
    path = tmp_path / "a.drag"
    write(path, tensors, values)
    before = path.read_bytes()
    with pytest.raises(DragFileError, match=rf"a\.drag {says}") as raised:
        load_drag(path, generator)
    text = str(raised.value)
    assert text.isprintable()
    assert len(text) < 400 + len(str(tmp_path))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ws", lambda tensor: tensor[..., :1].contiguous()),  # which would spread over all
        ("ws", lambda tensor: tensor.double()),
        ("ws", lambda tensor: tensor.long()),
        ("ws", lambda tensor: torch.cat([tensor] * 9, dim=1)),
        ("ws", lambda tensor: tensor * float("nan")),
        ("ws", lambda tensor: tensor.to(torch.float16)),
        ("ws", lambda tensor: torch.ones(())),
        ("w0", lambda tensor: torch.zeros(0)),
        ("w0", lambda tensor: tensor.double()),
        ("w0", lambda tensor: torch.cat([tensor, tensor])),
        ("w0", lambda tensor: tensor / 0),
        ("adam.first", lambda tensor: tensor[..., :1].contiguous()),
        ("adam.first", lambda tensor: tensor * float("nan")),
        ("adam.first", lambda tensor: tensor.double()),
        ("adam.second", lambda tensor: -tensor - 1),
        ("reference.1", lambda tensor: tensor[:-1].clone()),
        ("reference.1", lambda tensor: tensor[None].clone()),
        ("reference.1", lambda tensor: tensor / 0),
        ("reference.1", lambda tensor: tensor.double()),
        ("reference.1", lambda tensor: torch.cat([tensor, tensor])),
        ("anchor", lambda tensor: tensor * float("nan")),
        ("anchor", lambda tensor: tensor[:, :1].contiguous()),
        ("anchor", lambda tensor: tensor.double()),
        ("mask", lambda tensor: tensor[:-1].contiguous()),
        ("mask", lambda tensor: tensor * 2),
        ("mask", lambda tensor: tensor - 1),
        ("mask", lambda tensor: tensor * float("nan")),
        ("mask", lambda tensor: tensor.to(torch.bfloat16)),
        ("mask", lambda tensor: tensor.to(torch.complex64)),
        ("mask", lambda tensor: torch.zeros(0)),
    ],
)
def test_tensors_that_are_not_an_edits_are_refused_when_the_file_is_read(either, generator, tmp_path, name, change):
    _, tensors, values = either
    values = copy.deepcopy(values)
    if name == "mask":
        number = str(values["script_masks"][0])
    elif "drag" in values:
        number = str(values["drag"]["tensors"][name])
    else:
        state, part = values["state"], {"ws": "latent", "w0": "origin"}.get(name, name)
        place = state if part in state else state["tensors"]
        # What is equal is stored once; here by itself, so that nothing else is spoiled along with it.
        number, tensors = "99", {**tensors, "99": tensors[str(place[part])].clone()}
        place[part] = 99
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


def test_what_a_file_names_often_is_checked_and_held_once(parts, generator, tmp_path, monkeypatch):
    _, tensors, values = parts
    path, before = tmp_path / "a.drag", peak()
    script = [*values["script"], *[["mask", 0]] * 50_000]  # with a copy each of 800 MB
    write(path, tensors, {**values, "script": script, "script_masks": values["script_masks"] * 1000})
    began = time.process_time()
    document = load_drag(path, generator)
    assert time.process_time() - began < MOST_SECONDS
    assert len({id(op[1]) for op in document.script if op[0] == "mask" and op[1] is not None}) == 1
    assert peak() - before < MOST_MEMORY
    # As when the learning rate was changed on the way: the model is asked once for all settings of one block.
    values = copy.deepcopy(values)
    for number, state in enumerate([values["state"], *values["records"]]):
        state["settings"]["learning_rate"] = 0.01 + 0.001 * number
    write(path, tensors, values)
    asked, fresh = [], small_stylegan2()
    ask = type(fresh).sample_features
    monkeypatch.setattr(type(fresh), "sample_features", lambda *given, **how: asked.append(1) or ask(*given, **how))
    document = load_drag(path, fresh)
    assert len({record.kept.settings for record in document.records}) == 3
    assert len(asked) == 1


def test_an_edit_too_large_to_be_read_again_is_saved_with_fewer_steps_and_both_ends(
    parts, generator, tmp_path, monkeypatch
):
    data, _, _ = parts
    (tmp_path / "a.drag").write_bytes(data)
    document = load_drag(tmp_path / "a.drag", generator)
    monkeypatch.setattr(container, "LONGEST_TEXT", len(json.dumps(values_of(data))) - 1)
    save_drag(tmp_path / "b.drag", document, generator, None)
    again = load_drag(tmp_path / "b.drag", generator)
    assert [record.step for record in again.records] == [0, 2]
    assert torch.equal(again.drag.ws, document.drag.ws)


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


@pytest.mark.parametrize("files", [FILES, OLD_FILES], ids=["format_3", "format_2"])
def test_of_thousands_of_mutated_files_each_is_refused_in_words_or_is_an_edit_that_goes_on(
    parts, old_parts, generator, tmp_path, files
):
    data, tensors, values = parts if files == FILES else old_parts
    chance, before, path = random.Random(0), peak(), tmp_path / "a.drag"
    refused, taken = [], []
    for number in range(files):
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
    assert 0.5 * files < len(refused) < files
    assert len(taken) > files / 100
    for document in chance.sample(taken, 30):
        saved = tmp_path / "b.drag"
        save_drag(saved, document, generator, "small")
        assert torch.equal(load_drag(saved, generator).drag.ws, document.drag.ws)
        assert code_of(document, Model(generator)).endswith("\n")
        if document.drag.points:
            # Their settings may be any that a drag takes, such as radii that take long.
            config = document.drag.config.replace(supervision_radius=3, tracking_radius=6, learning_rate=0.001)
            assert document.drag.with_config(config).steps(1).step == document.drag.step + 1
    assert peak() - before < MOST_MEMORY
    assert sorted(os.listdir(tmp_path)) == ["a.drag", "b.drag"]
