"""A tuned copy of a model: what differs, and a generator made of that and its base."""

from __future__ import annotations

import copy
import json

import pytest
import safetensors.torch
import torch
from planted import Planted
from random_stylegan2 import small_stylegan2
from random_stylegan3 import small_stylegan3

from draggan_widget import CheckpointError, drag, load_generator
from draggan_widget.models import TunedCopy, difference, fingerprint

NEVER = "no_such_file.safetensors"


def faces():
    return load_generator("faces", device="cpu")


def residual():
    return small_stylegan2(architecture="resnet")


def with_changes_by_hand(base, *, seed=0):
    """A generator of its own, some of whose synthesis weights are others, as tuning leaves them."""
    made, random = copy.deepcopy(base), torch.Generator().manual_seed(seed)
    weights = [name for name, _ in made.named_parameters() if ".synthesis." in name and name.endswith(".weight")]
    for name, weight in made.named_parameters():
        if name in weights[2::3]:
            weight.data += 0.05 * torch.randn(weight.shape, generator=random)
    return made


@pytest.fixture
def base():
    return small_stylegan2(32)


@pytest.fixture
def tuned(base):
    return difference(base, with_changes_by_hand(base))


def storages(generator):
    return {name: tensor.untyped_storage().data_ptr() for name, tensor in generator.state_dict().items()}


@pytest.mark.parametrize("used", [False, True], ids=["new", "used_before"])
@pytest.mark.parametrize("make", [small_stylegan2, small_stylegan3, residual, faces])
def test_a_tuned_copy_makes_the_pictures_of_its_weights_and_shares_the_rest(make, used, tmp_path):
    base = make()
    by_hand, ws = with_changes_by_hand(base), base.mapping(seed=3)
    if used:
        base.synthesize(ws), base.sample_features(ws, 2, torch.zeros(1, 2))
    before, plain = fingerprint(base), copy.deepcopy(base).synthesize(ws)
    difference(base, by_hand).save(tmp_path / "mine.safetensors")
    tuned = TunedCopy.load(tmp_path / "mine.safetensors")
    copied = tuned.apply(base)
    assert 0 < len(tuned.changes) < len(base.state_dict()) / 2
    picture = copied.synthesize(ws)
    assert torch.equal(picture, by_hand.synthesize(ws))
    features = [each.sample_features(ws, 2, torch.full((1, 2), 9.0)) for each in (copied, by_hand)]
    assert torch.equal(*features)
    assert not torch.equal(picture, plain)
    assert torch.equal(base.synthesize(ws), plain), "the base is as it was"
    assert fingerprint(base) == before
    assert fingerprint(copied) == fingerprint(by_hand)
    mine, theirs = storages(copied), storages(base)
    assert {name for name in mine if mine[name] != theirs[name]} == set(tuned.changes), "the rest is in memory once"
    assert not any(weight.requires_grad for weight in copied.parameters())


def test_casting_a_tuned_copy_leaves_its_base_as_it_is(base, tuned):
    before = fingerprint(base)
    copied = tuned.apply(base).double()
    copied.synthesize(copied.mapping(seed=1))
    assert fingerprint(base) == before
    assert {weight.dtype for weight in base.parameters()} == {torch.float32}


def test_a_tuned_copy_is_dragged_like_any_other_generator(base, tuned):
    by_hand, config = with_changes_by_hand(base), base.drag_config.replace(max_steps=3)
    ends = [
        drag(each, each.mapping(seed=1), [(10, 10)], [(16, 10)], config=config) for each in (tuned.apply(base), by_hand)
    ]
    assert torch.equal(ends[0].ws, ends[1].ws)
    assert ends[0].handles.tolist() == ends[1].handles.tolist()


def test_a_copy_whose_mapping_did_not_change_has_the_metric_of_its_base(base, tuned, tmp_path, monkeypatch):
    metric, copied = base.space.metric(), tuned.apply(base)
    monkeypatch.setenv("DRAGGAN_WIDGET_CACHE", str(tmp_path))  # where there is nothing
    with monkeypatch.context() as without:
        without.setattr(type(base), "mapper", None)
        assert torch.equal(copied.space.metric().covariance, metric.covariance)
    other = copy.deepcopy(base)
    other.network["mapping"].fc0.weight.data *= 2
    assert not torch.equal(difference(base, other).apply(base).space.metric().covariance, metric.covariance)
    assert torch.equal(base.space.metric().covariance, metric.covariance)


def test_nothing_changed_is_a_tuned_copy_too(base, tmp_path):
    nothing = difference(base, copy.deepcopy(base))
    assert dict(nothing.changes) == {}
    nothing.save(tmp_path / "nothing.safetensors")
    copied = TunedCopy.load(tmp_path / "nothing.safetensors").apply(base)
    assert fingerprint(copied) == fingerprint(base)


def test_another_kind_of_generator_can_be_tuned():
    base, by_hand = Planted((32, 32)), Planted((32, 32))
    by_hand.scale.data.fill_(2)
    copied = difference(base, by_hand).apply(base)
    ws = base.mapping(seed=1)
    assert torch.equal(copied.synthesize(ws), by_hand.synthesize(ws))


def test_it_is_refused_on_another_base_in_a_sentence(base, tuned):
    for other in (small_stylegan2(32, seed=1), small_stylegan2(64), copy.deepcopy(base).double(), tuned.apply(base)):
        with pytest.raises(
            ValueError, match="^this tuned copy was made of another model, as its weights tell; apply it"
        ):
            tuned.apply(other)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda name, weight: {f"{name}er": weight}, r"has weights that its model has not \('network.*er'\)"),
        (lambda name, weight: {str(n): weight for n in range(9)}, r"has not \('0', '1', '2', …\)"),
        (lambda name, weight: {name: weight[:1]}, r"as float32 of \(1, .*, its model as float32 of \(\d"),
        (lambda name, weight: {name: weight.double()}, "as float64 of .*, its model as float32 of"),
        (lambda name, weight: {name: weight * float("nan")}, "weights that are not finite"),
    ],
)
def test_changes_that_do_not_fit_their_base_are_refused_and_leave_it_as_it_is(base, tuned, spoil, says):
    before = fingerprint(base)
    with pytest.raises(ValueError, match=says):
        TunedCopy(tuned.base, spoil(*next(iter(tuned.changes.items())))).apply(base)
    assert fingerprint(base) == before


def test_no_difference_is_taken_of_what_is_not_comparable_or_not_finite(base):
    for other in (small_stylegan2(64), small_stylegan3(32), copy.deepcopy(base).double()):
        with pytest.raises(ValueError, match="has other weights than its base, a StyleGAN2; give two"):
            difference(base, other)
    broken = copy.deepcopy(base)
    next(broken.parameters()).data[0] = float("inf")
    with pytest.raises(ValueError, match="weights that are not finite .*; tune again"):
        difference(base, broken)


# --- files ------------------------------------------------------------------------------------------------------------


def written(path, header, tensors=None):
    path.write_bytes(safetensors.torch.save(tensors or {"a": torch.ones(1)}, header))
    return path


def test_a_file_of_something_else_is_refused_in_a_sentence(base, tuned, tmp_path):
    from draggan_widget.models import save_generator

    save_generator(tmp_path / "whole.safetensors", base)
    (tmp_path / "text.txt").write_text("a letter")
    for name in ("whole.safetensors", "text.txt"):
        with pytest.raises(CheckpointError, match=f"{name} holds no tuned copy; give a file that TunedCopy.save wrote"):
            TunedCopy.load(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no file"):
        TunedCopy.load(tmp_path / NEVER)
    tuned.save(tmp_path / "mine.safetensors")
    with pytest.raises(CheckpointError, match="holds what was changed of a generator, .*: load the one it was made of"):
        load_generator(tmp_path / "mine.safetensors")


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("no json", "damaged tuned copy: it does not say what it was made of"),
        ("[]", "damaged tuned copy: it does not say what it was made of"),
        (json.dumps({"format": 1}), "damaged tuned copy: it does not say what it was made of"),
        (json.dumps({"format": 1, "base": 7}), "damaged tuned copy: it does not say what it was made of"),
        (json.dumps({"format": 2, "base": ""}), "tuned copy of format 2, this version reads 1; update draggan_widget"),
    ],
)
def test_a_file_that_does_not_say_what_it_was_made_of_is_refused(header, says, tmp_path):
    with pytest.raises(CheckpointError, match=f"mine.safetensors is a {says}"):
        TunedCopy.load(written(tmp_path / "mine.safetensors", {"draggan_tuned": header}))


def test_a_file_cut_short_at_any_place_is_refused(tuned, tmp_path):
    tuned.save(tmp_path / "mine.safetensors")
    data = (tmp_path / "mine.safetensors").read_bytes()
    for length in (0, 7, 9, 200, len(data) // 2, len(data) - 1):
        (tmp_path / "short.safetensors").write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r"short\.safetensors"):
            TunedCopy.load(tmp_path / "short.safetensors")


def test_saving_where_that_cannot_be_says_so_and_leaves_what_was_there(tuned, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        tuned.save(tmp_path / "none" / "mine.safetensors")
    tuned.save(tmp_path / "mine.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.safetensors"], "no partial file stays"
