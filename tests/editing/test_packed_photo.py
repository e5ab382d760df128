"""A photograph in little memory: the same again to the bit, and refused where it was altered."""

from __future__ import annotations

import dataclasses
import io
import json
import zlib

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from random_stylegan2 import small_stylegan2

from draggan_widget.editing import DragFile, DragFileError, Model, container, dragfile
from draggan_widget.editing.beginnings import first_document, with_model
from draggan_widget.editing.packed_photo import PackedPhoto
from draggan_widget.inversion import Inversion, Opened, invert
from draggan_widget.models import fingerprint

QUICK = Inversion(pivot_steps=2, tuning_steps=2)
KEY = "draggan_edit"


@pytest.fixture(scope="module")
def base():
    return Model(small_stylegan2(32), "small")


@pytest.fixture(scope="module")
def photo(base):
    noise = np.random.RandomState(0).randint(0, 256, (20, 22, 4)).astype(np.uint8)
    picture = Image.fromarray(noise).resize((60, 50), Image.Resampling.BICUBIC)
    picture.info["icc_profile"] = b"not to be kept"
    opened = Opened(picture.convert("RGB"), picture.getchannel("A"), ("A note.",))
    return invert(base.generator, opened, square=(30, 25, 40, 3), settings=QUICK)


@pytest.fixture(scope="module")
def data(base, photo):
    """The bytes of a saved edit of it."""
    model = base.tuned(photo, "me.jpg")
    return dragfile.drag_bytes(with_model(first_document(base, None, 3, 0.7), model), model.generator, None)


def test_it_is_the_same_again_to_the_bit_and_takes_less_than_its_weights(base, photo):
    packed = PackedPhoto.of(photo, base.generator, "me.jpg")
    again = packed.open(base)
    assert fingerprint(again.generator) == fingerprint(photo.model)
    assert again.photo is not None
    assert torch.equal(again.photo.latent, photo.latent)
    assert (again.photo.square, again.photo.report) == (photo.square, photo.report)
    assert again.photo.picture.tobytes() == photo.picture.tobytes()
    assert again.photo.alpha.tobytes() == photo.alpha.tobytes()
    assert again.photo.crop.tobytes() == photo.crop.tobytes()
    assert (again.title, again.untuned, again.packed) == ("me", base, packed)
    weights = sum(each.nbytes for each in photo.tuned.changes.values())
    assert sum(map(len, packed.weights.values())) < 0.9 * weights
    assert b"not to be kept" not in packed.picture
    shared = [
        name
        for name, weight in again.generator.state_dict().items()
        if weight.data_ptr() == base.generator.state_dict()[name].data_ptr()
    ]
    own = again.generator.state_dict()
    assert all(weight.data_ptr() == own[name].data_ptr() for name, weight in again.photo.tuned.changes.items())
    assert shared  # what was not tuned is not there a second time


def altered(data, change):
    """The bytes of a file whose values and tensors were changed, with a checksum that fits."""
    tensors = safetensors.torch.load(data)
    length = int.from_bytes(data[:8], "little")
    values = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][KEY])
    values.pop("checksum")
    change(values["model"]["changes"], tensors)
    return container.packed(KEY, tensors, values)


def weights_of(changes):
    return next(name for name in changes["arrays"] if name.startswith("weights "))


def put(name, array):
    """Have an array of a photograph be another one."""

    def change(changes, tensors):
        key = weights_of(changes) if name == "weights" else name
        tensors[str(changes["arrays"][key])] = torch.as_tensor(array)

    return change


def field(**fields):
    return lambda changes, tensors: changes.update(fields)


def renamed(changes, tensors):
    changes["arrays"]["weights network.nowhere"] = changes["arrays"].pop(weights_of(changes))


BOMB = np.frombuffer(zlib.compress(bytes(50 << 20), 9), np.uint8).copy()


@pytest.mark.parametrize(
    "change",
    [
        put("picture", np.zeros(100, np.uint8)),
        put("picture", np.zeros(100, np.float32)),
        put("latent", np.zeros((1, 2, 3), np.float32)),
        put("latent", np.full((1, 8, 16), np.nan, np.float32)),
        put("latent", np.zeros((1, 8, 16), np.int64)),
        put("weights", np.zeros(10, np.uint8)),
        put("weights", np.zeros(10, np.float32)),
        put("weights", BOMB),
        renamed,
        field(square={"x": 1, "y": 1, "size": -5, "angle": 0}),
        field(square={"x": 9e9, "y": 1, "size": 50, "angle": 0}),
        field(square=[1, 2, 3]),
        field(square={"z": 1}),
        field(report={}),
        field(report=None),
        field(arrays=None),
        field(arrays={}),
        field(arrays={"latent": 99, "picture": -1}),
        lambda changes, tensors: changes["report"].update(steps="many"),
        lambda changes, tensors: changes["report"].update(other=1),
        lambda changes, tensors: changes["report"]["psnr"].update(pivot=float("nan")),
    ],
)
def test_what_was_altered_is_refused_in_one_sentence(base, data, tmp_path, change):
    (tmp_path / "a.drag").write_bytes(altered(data, change))
    with pytest.raises(DragFileError, match=r"is incomplete or altered|has settings") as raised:
        DragFile.read(tmp_path / "a.drag").document(base)
    assert "\n" not in str(raised.value)


def test_another_model_and_changes_of_a_newer_version_are_refused(base, data, tmp_path):
    path = tmp_path / "a.drag"
    path.write_bytes(data)
    assert DragFile.read(path).source == "small"
    assert DragFile.read(path).document(base).model.title == "me"
    other = small_stylegan2(32)
    with torch.no_grad():
        next(other.parameters()).add_(1)
    with pytest.raises(DragFileError, match="another generator"):
        DragFile.read(path).document(other)
    path.write_bytes(altered(data, field(more=1)))
    with pytest.raises(DragFileError, match="newer version"):
        DragFile.read(path).document(base)


def test_what_an_edit_of_a_photograph_goes_on_with_may_be_a_tuned_model_itself(base, data, tmp_path):
    path = tmp_path / "a.drag"
    path.write_bytes(data)
    tuned = DragFile.read(path).document(base).model
    assert DragFile.read(path).document(tuned).model.untuned is base
    assert dataclasses.asdict(tuned.photo.square) == {"x": 30, "y": 25, "size": 40, "angle": 3}
    file = io.BytesIO()
    tuned.photo.picture.save(file, "PNG")
    assert Image.open(io.BytesIO(file.getvalue())).size == (60, 50)
