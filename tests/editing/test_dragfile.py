from __future__ import annotations

import json
import os

import pytest
import safetensors.torch
import torch
from random_stylegan2 import small_stylegan2

from draggan_widget.dragging import DragState
from draggan_widget.editing import DragFileError, Session, load_drag, save_drag


@pytest.fixture
def moment(generator):
    session = Session(generator, seed=1)
    yield session.now()
    session.close()


def test_a_missing_file_is_not_found(generator, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.drag"):
        load_drag(tmp_path / "none.drag", generator)


def test_another_generator_is_refused_by_its_weights_and_named(moment, generator, tmp_path):
    save_drag(tmp_path / "a.drag", moment, generator, "mine")
    with pytest.raises(DragFileError, match=r"made with another generator \(mine\)"):
        load_drag(tmp_path / "a.drag", small_stylegan2(seed=1))
    assert torch.equal(load_drag(tmp_path / "a.drag", small_stylegan2(seed=0)).drag.ws, moment.drag.ws)


def test_damaged_and_foreign_files_are_named(moment, generator, tmp_path):
    path = tmp_path / "a.drag"
    save_drag(path, moment, generator, None)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DragFileError, match="cannot be read"):
        load_drag(path, generator)
    safetensors.torch.save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(DragFileError, match="holds no edit"):
        load_drag(path, generator)


def test_a_broken_save_leaves_the_old_file(moment, generator, tmp_path, monkeypatch):
    path = tmp_path / "a.drag"
    save_drag(path, moment, generator, None)
    before = path.read_bytes()

    def break_off(_tensors, partial, metadata):
        partial.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(safetensors.torch, "save_file", break_off)
    with pytest.raises(OSError, match="disk full"):
        save_drag(path, moment, generator, None)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.drag"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda header, tensors: header.pop("generator"),
        lambda header, tensors: header.update(seed="seven"),
        lambda header, tensors: header.update(truncation=None),
        lambda header, tensors: header["drag"].update(resolution=[32, 32]),
        lambda header, tensors: header["drag"]["points"].append(
            {"id": 1, "handle": [99, 0], "target": [0, 0], "start": [0, 0]}
        ),
        lambda header, tensors: tensors.update({"drag.ws": tensors["drag.ws"][:, :3].clone()}),
        lambda header, tensors: tensors["drag.ws"].fill_(float("nan")),
        lambda header, tensors: tensors.pop("drag.adam.first"),
        lambda header, tensors: tensors.update(mask=torch.ones(3, 3)),
    ],
)
def test_contents_that_do_not_fit_are_refused_when_the_file_is_read(moment, generator, tmp_path, spoil):
    path = tmp_path / "a.drag"
    save_drag(path, moment, generator, None)
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["draggan_edit"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    spoil(header, tensors)
    safetensors.torch.save_file(tensors, path, metadata={"draggan_edit": json.dumps(header)})
    with pytest.raises(DragFileError, match="incomplete or altered"):
        load_drag(path, generator)


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '{"format": 1}'])
def test_a_header_that_is_none_is_named(generator, tmp_path, text):
    path = tmp_path / "a.drag"
    safetensors.torch.save_file({"a": torch.zeros(2)}, path, metadata={"draggan_edit": text})
    with pytest.raises(DragFileError, match="incomplete or altered"):
        load_drag(path, generator)


def test_a_newer_format_and_a_missing_folder_are_named(moment, generator, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        save_drag(tmp_path / "none" / "a.drag", moment, generator, None)
    path = tmp_path / "a.drag"
    header = {"format": 9, "generator": {"fingerprint": "", "source": None}}
    safetensors.torch.save_file({"a": torch.zeros(2)}, path, metadata={"draggan_edit": json.dumps(header)})
    with pytest.raises(DragFileError, match="format 9, this version reads 1; update"):
        load_drag(path, generator)


def test_a_state_is_read_onto_the_generators_device(moment, generator, tmp_path, monkeypatch):
    path = tmp_path / "a.drag"
    save_drag(path, moment, generator, None)
    asked = []
    real = DragState.from_tensors

    def from_tensors(tensors, description, device="none"):
        asked.append(device)
        return real(tensors, description, device)

    monkeypatch.setattr(DragState, "from_tensors", from_tensors)
    load_drag(path, generator)
    assert asked == [next(generator.parameters()).device]
