from __future__ import annotations

import dataclasses
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from random_stylegan2 import small_stylegan2

from draggan_widget import Editor
from draggan_widget.config import DragConfig
from draggan_widget.editing import DragFile, DragFileError, Session, dragfile, load_drag, save_drag
from draggan_widget.editing.compact_files import Stored
from draggan_widget.engines import Bound, Engine, Step, engine_names, register, unregister
from draggan_widget.models import save_generator
from draggan_widget.models.checkpoints import load
from draggan_widget.settings import Settings


def after_a_step(generator, config=None):
    session = Session(generator, seed=1, config=config)
    session.put_point(1, handle=(30, 30), target=(36, 30))
    session.step_once()
    document = session.now()
    session.close()
    return document


@pytest.fixture
def document(generator):
    return after_a_step(generator)


@pytest.fixture
def of_draggan(generator):
    return after_a_step(generator, DragConfig())


def number(header, name):
    """The tensor of the present state by that name."""
    state = header["state"]
    return str(state[name] if name in ("latent", "origin") else state["tensors"][name])


def test_a_missing_file_is_not_found(generator, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.drag"):
        load_drag(tmp_path / "none.drag", generator)


def test_another_generator_is_refused_by_its_weights_and_named(document, generator, tmp_path):
    save_drag(tmp_path / "a.drag", document, generator, "mine")
    with pytest.raises(DragFileError, match=r"made with another generator \(mine\)"):
        load_drag(tmp_path / "a.drag", small_stylegan2(seed=1))
    assert torch.equal(load_drag(tmp_path / "a.drag", small_stylegan2(seed=0)).drag.ws, document.drag.ws)


@pytest.fixture
def editions(tmp_path, monkeypatch):
    """Built-in names: the present edition of "heads", and its first one."""
    folder = tmp_path / "builtin"
    folder.mkdir()
    for seed, name in ((1, "heads"), (0, "heads-1")):
        save_generator(folder / f"{name}.safetensors", small_stylegan2(seed=seed))
    monkeypatch.setattr(load, "BUILTIN", folder)


@pytest.mark.usefixtures("editions")
def test_an_edit_of_an_older_edition_is_opened_with_that(document, generator, tmp_path):
    save_drag(tmp_path / "a.drag", document, generator, "heads")
    with pytest.raises(DragFileError, match=r"made with the built-in heads-1; load it with that one"):
        load_drag(tmp_path / "a.drag", small_stylegan2(seed=1))
    editor = Editor.load(tmp_path / "a.drag")
    try:
        np.testing.assert_array_equal(editor.latent, document.drag.ws.numpy())
        editor.save(tmp_path / "b.drag")
    finally:
        editor.close()
    assert DragFile.read(tmp_path / "b.drag").source == "heads-1"


@pytest.mark.usefixtures("editions")
def test_an_edit_of_an_edition_that_is_not_here_says_so(document, generator, tmp_path):
    other = small_stylegan2(seed=2)
    save_drag(tmp_path / "a.drag", document, other, "heads")
    assert DragFile.read(tmp_path / "a.drag").builtin is None
    with pytest.raises(DragFileError, match=r"another edition of heads than this version has \(heads, heads-1\)"):
        Editor.load(tmp_path / "a.drag")


def test_damaged_and_foreign_files_are_named(document, generator, tmp_path):
    path = tmp_path / "a.drag"
    save_drag(path, document, generator, None)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DragFileError, match="cannot be read"):
        load_drag(path, generator)
    safetensors.torch.save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(DragFileError, match="holds no edit"):
        load_drag(path, generator)


def test_a_broken_save_leaves_the_old_file(document, generator, tmp_path, monkeypatch):
    path = tmp_path / "a.drag"
    save_drag(path, document, generator, None)
    before = path.read_bytes()

    def break_off(partial, data):
        with partial.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", break_off)
    with pytest.raises(
        OSError, match=r"a\.drag cannot be written: .*the disk is full: make room.*before is as it was$"
    ):
        save_drag(path, document, generator, None)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.drag"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda header, tensors: header.pop("model"),
        lambda header, tensors: header["model"].pop("changes"),
        lambda header, tensors: header["origin"].update(seed="seven"),
        lambda header, tensors: header["origin"].update(truncation=None),
        lambda header, tensors: header["origin"].pop("label"),
        lambda header, tensors: header["origin"].update(further=1),
        lambda header, tensors: header["state"].update(further=1),
        lambda header, tensors: header["state"].pop("held"),
        lambda header, tensors: header["state"]["points"].append([2, [99, 0], [0, 0], [0, 0]]),
        lambda header, tensors: header["state"]["points"].append([2, [9, 0], [0, 0], [0, 0]]),  # nothing is known of it
        lambda header, tensors: tensors.update({number(header, "origin"): torch.zeros(1, 3, 16)}),
        lambda header, tensors: tensors[number(header, "origin")].fill_(float("nan")),
        lambda header, tensors: tensors.update({number(header, "latent"): torch.zeros(1, 99, 16)}),
        lambda header, tensors: tensors.pop(number(header, "adam.first")),
        lambda header, tensors: header["records"][0]["tensors"].pop("adam.second"),
        lambda header, tensors: header["records"][0].update(seconds="long"),
        lambda header, tensors: header["records"][0].pop("seconds"),
        lambda header, tensors: header["state"].update(mask=int(number(header, "origin"))),
        lambda header, tensors: header.pop("script"),
        lambda header, tensors: header.pop("finish"),
    ],
)
def test_contents_that_do_not_fit_are_refused_when_the_file_is_read(of_draggan, generator, tmp_path, spoil):
    path = tmp_path / "a.drag"
    save_drag(path, of_draggan, generator, None)
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["draggan_edit"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header.pop("checksum")
    spoil(header, tensors)
    safetensors.torch.save_file(tensors, path, metadata={"draggan_edit": json.dumps(header)})
    with pytest.raises(DragFileError, match="incomplete or altered"):
        load_drag(path, generator)


BAD_SETTINGS = [
    ({"learning_rate": 50}, "learning_rate is 50"),
    ({"max_steps": 0}, "max_steps is 0"),
    ({"tracking_radius": 1000}, "tracking_radius is 1000"),
]


@pytest.mark.parametrize(("bad", "told"), BAD_SETTINGS)
@pytest.mark.parametrize("where", ["state", "record", "script"])
def test_an_edit_with_settings_out_of_bounds_is_refused_by_name_and_nothing_is_lost(
    of_draggan, generator, tmp_path, bad, told, where
):
    path = tmp_path / "a.drag"
    save_drag(path, of_draggan, generator, None)
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["draggan_edit"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header.pop("checksum")
    settings = {
        "state": header["state"]["settings"],
        "record": header["records"][1]["settings"],
        "script": header["script"][0][2],
    }
    settings[where].update(bad)
    safetensors.torch.save_file(tensors, path, metadata={"draggan_edit": json.dumps(header)})
    content = path.read_bytes()
    session = Session(generator, seed=2)
    session.put_point(3, handle=(20, 20), target=(25, 20))
    session.step_once()
    before = session.newest()
    with pytest.raises(DragFileError, match=rf"a\.drag has settings that cannot be dragged with: {told}"):
        session.open(DragFile.read(path)).result(20)
    after = session.newest()
    session.close()
    assert after.document is before.document
    assert (after.undo, after.status, after.speed) == (before.undo, before.status, before.speed)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "text", ["not json", "[]", "{}", '{"format": 2}', '{"format": 3}', '{"format": 3, "model": ["source"]}']
)
def test_a_header_that_is_none_is_named(generator, tmp_path, text):
    path = tmp_path / "a.drag"
    safetensors.torch.save_file({"a": torch.zeros(2)}, path, metadata={"draggan_edit": text})
    with pytest.raises(DragFileError, match="incomplete or altered"):
        load_drag(path, generator)


def test_a_newer_format_and_a_missing_folder_are_named(document, generator, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        save_drag(tmp_path / "none" / "a.drag", document, generator, None)
    path = tmp_path / "a.drag"
    for header in ({"format": 9}, {"format": 9, "generator": {"fingerprint": "", "source": None}}, {"format": 4}):
        safetensors.torch.save_file({"a": torch.zeros(2)}, path, metadata={"draggan_edit": json.dumps(header)})
        with pytest.raises(DragFileError, match=r"format [49], this version reads 2 and 3; update draggan_widget$"):
            load_drag(path, generator)
    for said in (True, "3", 3.0, [3], {"3": 3}, None, 10**400):
        safetensors.torch.save_file(
            {"a": torch.zeros(2)}, path, metadata={"draggan_edit": json.dumps({"format": said})}
        )
        with pytest.raises(DragFileError, match=r"a\.drag (has format|is incomplete or altered)") as raised:
            load_drag(path, generator)
        assert len(str(raised.value)) < 400 + len(str(tmp_path))
    # The format before that which this version still reads.
    safetensors.torch.save_file({"a": torch.zeros(2)}, path, metadata={"draggan_edit": '{"format": 1}'})
    with pytest.raises(DragFileError, match="format 1, this version reads 2 and 3; draggan_widget 0.1 of before"):
        load_drag(path, generator)


def test_a_state_is_read_onto_the_generators_device(document, generator, tmp_path, monkeypatch):
    path = tmp_path / "a.drag"
    save_drag(path, document, generator, None)
    device, moved, to = next(generator.parameters()).device, set(), torch.Tensor.to
    asked = []

    class Watched(Stored):
        def __init__(self, tensor, model):
            asked.append(model)
            super().__init__(tensor, model)

    def watched(tensor, *where, **how):
        moved.update({id(tensor)} if where == (device,) else ())
        return to(tensor, *where, **how)

    read = {}

    def kept(tensors, number):
        read[number] = tensors[number]
        return tensors[number]

    class Tensors(dict):
        __getitem__ = lambda self, number: kept(dict(self), number)  # noqa: E731

    file = dragfile.DragFile.read(path)
    file = dataclasses.replace(file, _tensors=Tensors(file._tensors))
    monkeypatch.setattr(dragfile, "Stored", Watched)
    monkeypatch.setattr(torch.Tensor, "to", watched)
    file.document(generator)
    assert asked == [generator]
    assert len(read) == len(file._tensors)
    assert {id(tensor) for tensor in read.values()} <= moved


@pytest.mark.parametrize("method", ["default", "paper", "official"])
def test_from_every_step_of_a_loaded_edit_it_goes_on_exactly_as_it_did(generator, tmp_path, method):
    config = DragConfig(method=method, learning_rate=0.05, mask_weight=5.0, tolerance=0.0, stall_steps=None)
    first = Session(generator, seed=3, config=config)
    first.put_point(1, handle=(30, 30), target=(40, 30))
    for change in (
        lambda: None,
        lambda: first.set_mask(np.pad(np.ones((40, 40), np.float32), 12)),
        lambda: first.put_point(2, handle=(20, 44), target=(20, 50)),
        lambda: first.set_config(config.replace(space="w", learning_rate=0.02)),
        lambda: first.set_mask(None),
        lambda: first.remove_points([1]),
    ):
        change()
        first.step_once()
        first.step_once()
    document = first.now()
    save_drag(tmp_path / "a.drag", document, generator, None)
    second = Session(generator, seed=4)
    second.restore(load_drag(tmp_path / "a.drag", generator))
    try:
        for step in (0, 3, 6, 9, 11):
            for session in (first, second):
                session.restore(document if session is first else load_drag(tmp_path / "a.drag", generator))
                session.branch(step)
                session.step_once()
                session.step_once()
                # One at a time: of a generator that two use at once, one may read cells and the other whole maps.
                session.now()
            ours, theirs = second.now(), first.now()
            assert torch.equal(ours.drag.ws, theirs.drag.ws), step
            np.testing.assert_array_equal(ours.drag.handles, theirs.drag.handles)
            np.testing.assert_array_equal(ours.mask, theirs.mask)
            assert ours.drag.config == theirs.drag.config
            assert ours.script[-1] == theirs.script[-1]
            assert [record.step for record in ours.records] == list(range(step + 3))
    finally:
        first.close()
        second.close()


def test_what_states_share_is_in_the_file_once_and_shared_again_when_it_is_read(generator, tmp_path):
    session = Session(generator, seed=3, config=DragConfig(learning_rate=0.05, tolerance=0.0, stall_steps=None))
    session.set_mask(np.pad(np.ones((40, 40), np.float32), 12))
    session.put_point(1, handle=(30, 30), target=(40, 30))
    for _ in range(20):
        session.step_once()
    document = session.now()
    session.close()
    path = tmp_path / "a.drag"
    save_drag(path, document, generator, None)
    with safetensors.safe_open(path, framework="pt") as file:
        shapes = [tuple(file.get_slice(name).get_shape()) for name in file.keys()]  # noqa: SIM118
    edited, whole = (1, 6, generator.w_dim), (1, generator.num_ws, generator.w_dim)
    assert shapes.count((64, 64)) == 1
    assert shapes.count(whole) == 1
    assert shapes.count(edited) == 3 * 20
    loaded = load_drag(path, generator)
    records = loaded.records
    for share in ("w0", "anchor", "mask"):
        shared = {id(getattr(record.kept.memory.rest, share)) for record in records}
        assert shared == {id(getattr(loaded.drag.memory, share))}
    assert {id(record.kept.edit.origin) for record in records} == {id(loaded.drag.edit.origin)}
    assert {id(record.kept.memory.rest.w0) for record in records} == {id(loaded.drag.edit.origin)}
    masks = [loaded.mask, loaded.drag.mask, *(op[1] for op in loaded.script if op[0] == "mask")]
    assert len({id(mask) for mask in masks}) == 1
    assert {id(mask) for record in records for mask in (record.kept.mask, record.kept.edit.mask)} == {id(loaded.mask)}
    reference = loaded.drag.memory.points[0].reference
    assert {id(record.kept.memory.rest.points[0].reference) for record in records[1:]} == {id(reference)}


@dataclasses.dataclass(frozen=True)
class Nudging(Settings):
    """Settings of an engine of somebody else."""

    by: float = 0.1


class BoundNudge(Bound):
    """Which remembers how often it nudged, and goes farther each time."""

    def begin(self, edit):
        return torch.zeros(2, dtype=torch.int64)

    def advance(self, edit, memory, at_most=1):
        latent = edit.latent + self.settings.by * float(memory[0])
        return [Step(dataclasses.replace(edit, latent=latent, step=edit.step + 1), memory + 1)]

    def verdict(self, edit, memory):
        return None

    def pack(self, memory):
        return {"counts": memory}, {"often": int(memory[0])}

    def unpack(self, edit, tensors, values):
        if values["often"] != int(tensors["counts"][0]):
            raise ValueError("it nudged another number of times")
        return tensors["counts"]


class Nudge(Engine):
    name = "nudge"
    help = "Adds to the latent"
    Settings = Nudging

    def bind(self, model, settings):
        return BoundNudge(model, settings)


@pytest.fixture
def nudge():
    engine = register(Nudge())
    yield engine
    if "nudge" in engine_names():
        unregister("nudge")


@pytest.fixture
def nudged(nudge, generator, tmp_path):
    """The path of an edit of that engine, which DragGAN began, and its moment."""
    session = Session(generator, seed=1, config=DragConfig())
    session.put_point(1, handle=(30, 30), target=(36, 30))
    session.step_once()
    session.set_config(Nudging(0.01))
    session.step_once()
    session.step_once()
    document = session.now()
    session.close()
    save_drag(tmp_path / "a.drag", document, generator, None)
    return tmp_path / "a.drag", document


def test_an_edit_of_two_engines_goes_on_exactly_from_the_steps_of_each(nudged, generator):
    path, document = nudged
    loaded = load_drag(path, generator)
    assert [record.kept.settings for record in loaded.records] == [record.kept.settings for record in document.records]
    assert {type(record.kept.settings) for record in loaded.records} == {DragConfig, Nudging}
    assert loaded.drag.config == Nudging(0.01)
    ours, theirs = (
        [each.drag, *(record.kept.state(generator, record.ws) for record in each.records)]
        for each in (loaded, document)
    )
    assert [state.step for state in ours] == [3, 0, 1, 2, 3]
    for one, other in zip(ours, theirs, strict=True):
        after, expected = one.steps(2), other.steps(2)
        assert torch.equal(after.ws, expected.ws)
        assert after.points == expected.points
        assert not torch.equal(after.ws, one.ws)
    assert loaded.script == document.script


def test_an_edit_of_an_engine_that_is_not_there_is_refused_and_loads_once_it_is_there_again(nudged, nudge, generator):
    path, document = nudged
    before = path.read_bytes()
    unregister("nudge")
    with pytest.raises(
        DragFileError,
        match=r"a\.drag cannot go on here: there is no engine 'nudge' here, only natural, .*fastdrag; register it",
    ):
        load_drag(path, generator)
    assert path.read_bytes() == before
    register(nudge)
    assert torch.equal(load_drag(path, generator).drag.ws, document.drag.ws)


@pytest.mark.parametrize(
    ("part", "error", "says"),
    [
        (
            "bind",
            ValueError("it has no rows"),
            r"cannot go on here: its engine nudge cannot serve this model: it has no",
        ),
        ("unpack", ValueError("of another kind"), r"is incomplete or altered \(ValueError: of another kind\); save"),
        ("unpack", AssertionError("odd"), r"is incomplete or altered \(AssertionError: odd\); save"),
        ("unpack", StopIteration(), r"is incomplete or altered"),
        ("from_dict", KeyError("by"), r"is incomplete or altered \(KeyError: 'by'\); save"),
    ],
)
def test_whatever_an_engine_has_against_a_file_is_told_in_one_sentence(
    nudged, generator, monkeypatch, part, error, says
):
    path, _ = nudged
    before = path.read_bytes()

    def refuse(*given):
        raise error

    monkeypatch.setattr({"bind": Nudge, "unpack": BoundNudge, "from_dict": Nudging}[part], part, refuse)
    with pytest.raises(DragFileError, match=rf"a\.drag {says}") as raised:
        load_drag(path, generator)
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == before
