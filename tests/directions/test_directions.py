"""Directions: known, found and taught ones, their values, and their files."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from planted import Planted
from random_stylegan2 import small_stylegan2
from random_stylegan3 import small_stylegan3

from draggan_widget import load_generator
from draggan_widget.directions import (
    Direction,
    DirectionError,
    Directions,
    exact_change,
    known_of,
    principal,
    renamed,
    sefa,
    taught,
)
from draggan_widget.directions.known import attributes_of
from draggan_widget.directions.teaching import auc


@pytest.fixture(scope="module")
def faces():
    return load_generator("faces", device="cpu")


@pytest.fixture(scope="module")
def known(faces):
    return Directions(faces)


@pytest.fixture(scope="module")
def small():
    return small_stylegan2()


# --- known ------------------------------------------------------------------------------------------------------------


def test_the_weights_in_the_package_have_known_attributes():
    # Where this fails, the weights were replaced: run examples/generators/faces/attributes.py faces --out DIR --write,
    # or with --adopt alone where there is no time to measure what they do.
    assert known_of(load_generator("faces", device="cpu")) is not None


def test_all_80_attributes_can_be_read_off_the_latent(known):
    assert len(known) == 80
    scores = [direction.score for direction in known.values()]
    assert min(scores) >= 0.85
    assert np.median(scores) >= 0.99


def test_a_change_changes_its_attribute_by_as_many_sigma_and_holds_the_others(faces, known):
    latent = faces.space.draw(seed=5, truncation=0.7)
    before, after = (known.measure(each) for each in (latent, latent + known.change({"smile": 1.5, "age": -0.5})))
    moved = {name: after[name] - before[name] for name in before}
    assert moved.pop("smile") == pytest.approx(1.5, abs=1e-3)
    assert moved.pop("age") == pytest.approx(-0.5, abs=1e-3)
    assert max(map(abs, moved.values())) < 1e-3


def test_values_are_those_of_the_numbers_that_the_latent_was_made_of(faces, known):
    z, w = faces.space.samples(200, seed=77)
    latents = w.float()[:, None].expand(-1, faces.num_ws, -1)
    said = torch.tensor([list(known.measure(each[None]).values()) for each in latents[:40]])
    assert float((said - attributes_of(z)[:40]).abs().mean()) < 0.1


def test_the_exact_change_of_a_known_z_is_like_that_of_the_regression(faces, known):
    z = np.random.RandomState(3).randn(80)
    latent = faces.mapping(z[None])
    exact = known.measure(latent + exact_change(faces, z, {"yaw": 0.5})[None])
    before = known.measure(latent)
    assert exact["yaw"] - before["yaw"] == pytest.approx(0.5, abs=0.1)
    with pytest.raises(ValueError, match="there is no attribute"):
        exact_change(faces, z, {"yaww": 1})
    with pytest.raises(ValueError, match="nobody knows"):
        exact_change(small_stylegan2(), z, {"yaw": 1})
    for amount in (float("nan"), None, "much"):
        with pytest.raises(ValueError, match="the amount of 'yaw' is"):
            exact_change(faces, z, {"yaw": amount})


def test_amounts_end_where_the_model_ends_and_that_is_said(faces, known):
    latent = faces.space.draw(seed=5, truncation=0.7)
    kept, notes = known.within(latent, {"smile": 50, "age": 0.1})
    after = known.measure(latent + known.change(kept))
    assert after["smile"] == pytest.approx(known["smile"].most, abs=0.01)
    assert kept["age"] == 0.1
    assert len(notes) == 1
    assert notes[0].startswith("Smile: ")
    again, notes = known.within(latent + known.change(kept), {"smile": 1})
    assert again["smile"] == pytest.approx(0, abs=0.01)
    assert "as far as the model goes" in notes[0]


@pytest.mark.parametrize("amount", [None, "x", float("nan"), True])
def test_an_amount_that_is_no_number_is_refused(known, amount):
    with pytest.raises(ValueError, match="the amount of 'smile' is"):
        known.change({"smile": amount})


def test_an_unknown_attribute_is_told_with_the_nearest(known):
    with pytest.raises(DirectionError, match="no attribute 'smlie'; the nearest is 'smile'"):
        known.change({"smlie": 1})


def test_identity_is_shape_sex_age_and_build(known):
    names = set(known.resolve(["identity"]))
    assert {"sex", "age", "weight", "muscle", "nose_width", "jaw_width"} <= names
    assert not {"smile", "yaw", "hair_length", "light_x"} & names
    held = known.held(["identity", "hair_length"])
    assert held.shape == (len(names) + 1, 14 * 336)


def test_what_people_are_shown_is_plain_and_complete(faces, known):
    listed = known.listed(faces.space.draw(seed=1, truncation=1.0))
    smile = next(each for each in listed if each.name == "smile").to_dict()
    assert (smile["label"], smile["group"], smile["less"], smile["more"]) == (
        "Smile",
        "Expression",
        "frowning",
        "smiling",
    )
    assert smile["least"] < smile["value"] < smile["most"]
    assert smile["score"] > 0.95


# --- any model --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [small_stylegan2, small_stylegan3])
def test_any_model_has_components_and_sefa_directions_of_one_sigma_each(make):
    model = make()
    _, w = model.space.samples(2000, seed=1)
    for found in (principal(model, 4), sefa(model, 4)):
        assert len(found) == 4
        for direction in found:
            values = w @ direction.reading - direction.zero
            assert float(values.std()) == pytest.approx(1, abs=0.1)
            assert float(direction.change[0].double() @ direction.reading) == pytest.approx(1, abs=1e-5)


def test_the_first_sefa_direction_changes_styles_most(small):
    from draggan_widget.directions.unnamed import affine_weights

    weights = torch.cat(affine_weights(small))
    gains = [float((weights @ each.change[0].double()).norm() / each.change[0].norm()) for each in sefa(small, 5)]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 1.02 * float((weights @ torch.eye(weights.shape[1]).double()).norm(dim=0).median())


def test_a_model_without_affine_layers_has_components_alone():
    planted = Planted((64, 64))
    assert {each.source for each in Directions(planted).values()} == {"principal"}
    with pytest.raises(ValueError, match="no affine layers"):
        sefa(planted)


# --- taught -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["smile", "hair_length", "yaw"])
def test_a_direction_taught_by_20_examples_is_confirmed_by_200_others(faces, known, name):
    number = list(known).index(name)
    z, w = faces.space.samples(220, seed=99)
    truth = attributes_of(z)[:, number] > 0
    examples, marks = w[:20], truth[:20]
    direction = taught(faces, "liked", examples[marks], examples[~marks], basis=known.known)
    unseen = torch.where(truth[20:], 1.0, -1.0).double()
    assert auc(w[20:] @ direction.reading, unseen) >= 0.9
    assert direction.score >= 0.8
    assert float(direction.change[0].double() @ direction.reading) == pytest.approx(1, abs=0.05)


def test_a_direction_is_taught_without_known_attributes_from_more_examples(small):
    _, w = small.space.samples(260, seed=5)
    secret = principal(small, 3)[1]
    truth = w @ secret.reading - secret.zero > 0
    direction = taught(small, "x", w[:60][truth[:60]], w[:60][~truth[:60]])
    assert auc(w[60:] @ direction.reading, torch.where(truth[60:], 1.0, -1.0).double()) >= 0.8
    assert 0.6 <= direction.score <= 1


def test_examples_that_say_nothing_are_scored_as_chance(small):
    _, w = small.space.samples(40, seed=6)
    assert taught(small, "noise", w[:20], w[20:]).score <= 0.75


@pytest.mark.parametrize(("more", "less"), [(1, 0), (1, 5), (5, 1), (0, 0)])
def test_one_example_or_one_side_alone_teaches_nothing(small, more, less):
    _, w = small.space.samples(10, seed=6)
    with pytest.raises(DirectionError, match=f"taught with {more} of more and {less} of less; mark at least 2"):
        taught(small, "x", w[:more], w[5 : 5 + less])


def test_examples_that_are_no_latents_of_the_model_are_refused(small):
    good = torch.zeros(2, small.w_dim)
    with pytest.raises(ValueError, match="more has shape"):
        taught(small, "x", torch.zeros(2, 7), good)
    with pytest.raises(ValueError, match="less holds NaN"):
        taught(small, "x", good, good * float("nan"))
    with pytest.raises(DirectionError, match="same picture"):
        taught(small, "x", good, good)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_direction_comes_back_from_its_file_the_same(small, tmp_path):
    direction = renamed(principal(small, 1)[0], "wide", "Wide")
    direction.save(tmp_path / "wide.safetensors")
    loaded = Direction.load(tmp_path / "wide.safetensors", small)
    for field in dataclasses.fields(Direction):
        one, other = getattr(direction, field.name), getattr(loaded, field.name)
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    assert (tmp_path / "wide.safetensors").stat().st_size < 20_000


def test_a_direction_of_another_model_is_refused(small, tmp_path):
    principal(small, 1)[0].save(tmp_path / "one.safetensors")
    other = small_stylegan2(seed=9)
    with pytest.raises(DirectionError, match="'principal-1' is for another model"):
        Direction.load(tmp_path / "one.safetensors", other)
    with pytest.raises(DirectionError, match="for another model"):
        Directions(other).add(principal(small, 1)[0])


def test_files_that_are_no_directions_are_refused_and_never_replaced(small, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(DirectionError, match=r"x\.safetensors"):
        Direction.load(path)
    with pytest.raises(FileExistsError, match="is not a direction"):
        principal(small, 1)[0].save(path)
    with pytest.raises(FileNotFoundError):
        Direction.load(tmp_path / "none.safetensors")


def test_a_damaged_file_is_told_as_such(small, tmp_path):
    path = tmp_path / "x.safetensors"
    principal(small, 1)[0].save(path)
    data = path.read_bytes()
    for broken in (data[:-9], data.replace(b'\\"least\\": -3.0', b'\\"least\\": +9.0'), data[:60]):
        path.write_bytes(broken)
        with pytest.raises(DirectionError):
            Direction.load(path)


def test_a_taught_direction_cannot_take_the_name_of_a_known_one_or_of_a_group(faces, known):
    for name in ("smile", "identity", "hair"):
        other = dataclasses.replace(known["age"], name=name, source="taught", group="taught")
        with pytest.raises(DirectionError, match="is the name of an attribute already"):
            known.add(other)
