from __future__ import annotations

import os

import pytest
import safetensors.torch
import torch
from random_stylegan2 import small_stylegan2

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
