"""A trained network answers a pull in one pass; what is of no use is dropped, and what does not fit refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import predictors
import pytest
import torch
from planted import REACH
from predictors import Roaming
from random_stylegan2 import small_stylegan2

from draggan_widget import drag
from draggan_widget.engines import Edit, EditPoint, Natural, Predicted, State, begin_with, bind, engine_named
from draggan_widget.engines.predicted import METHODS, MOST_PIECES, BoundPredicted, Predictor, Shape, give, predictor_for
from draggan_widget.engines.predicted.predictor import About


@pytest.fixture(params=METHODS)
def method(request):
    give(predictors.planted(), predictors.trained(request.param))
    return request.param


@pytest.fixture
def mute(tmp_path):
    """A predictor that says nothing, on a model of its own."""
    model = Roaming()
    give(model, predictors.untrained(tmp_path))
    return model


def test_a_trained_network_takes_most_of_the_way_away_in_one_pass(method):
    model = predictors.planted()
    for target in ((38, 32), (32, 27), (29, 35)):
        state = begin_with(model, predictors.bump(), [(1, (32, 32), target)], None, Predicted(method=method))
        (after,) = state.advance()
        asked = np.hypot(*np.subtract(target, (32, 32)))
        left = np.hypot(*(model.centre(after.ws).numpy() - target))
        assert left < 0.4 * asked
        assert np.abs(after.handles[0] - model.centre(after.ws).numpy()).max() < 0.6, "the handle is where the bump is"
        assert after.report["gain"] > 0.5
        assert torch.equal(state.ws, predictors.bump())


def test_usercontrollable_jumps_once_and_autodraggan_looks_and_goes_on(method):
    result = drag(predictors.planted(), predictors.bump(), [(32, 32)], [(44, 38)], config=Predicted(method=method))
    if method == "usercontrollable":
        assert result.steps == 1
    assert result.distances[0] < 5
    once = drag(predictors.planted(), predictors.bump(), [(32, 32)], [(44, 38)], config=Predicted(method, max_steps=1))
    assert once.steps == 1


def test_a_long_way_is_answered_in_pieces_one_after_another_and_a_short_one_in_one():
    predictor = predictors.trained("autodraggan")
    for length, pieces in ((2, 1), (7.9, 2), (60, MOST_PIECES), (12, 3)):
        motion = np.array([[length, 0.0]])
        changes = predictor.jump(predictors.bump(), torch.zeros(1, 3), np.array([[32.0, 32]]), motion)
        assert changes.shape == (pieces, 4, 2)
    for growth, pieces in ((0.1, 1), (-0.5, 3), (1.0, MOST_PIECES)):
        grown = predictor.jump(
            predictors.bump(), torch.zeros(1, 3), np.array([[32.0, 32]]), 0 * motion, np.array([growth])
        )
        assert len(grown) == pieces
    gone = changes[:, 0, 0]
    assert bool((gone.diff() > 0).all()), "each piece goes on from the one before it"
    once = predictors.trained("usercontrollable")
    assert once.jump(predictors.bump(), torch.zeros(1, 3), np.array([[32.0, 32]]), motion).shape == (1, 4, 2)


def test_usercontrollable_answers_in_proportion_to_the_way():
    predictor = predictors.trained("usercontrollable")
    place = np.array([[32.0, 32]])
    one, two = (
        predictor.jump(predictors.bump(), torch.zeros(1, 3), place, np.array([[length, 0.0]])) for length in (3, 6)
    )
    assert torch.allclose(2 * one, two, atol=1e-6)


def test_points_that_are_to_stay_and_places_outside_a_mask_are_told_to_the_network(method, monkeypatch):
    told = []
    monkeypatch.setattr(Predictor, "jump", lambda self, latent, features, places, motions, growth: (
        told.append((places, motions)) or torch.zeros(1, 4, 2)
    ))  # fmt: skip
    mask = np.zeros((64, 64), bool)
    mask[20:44, 20:44] = True
    points = [(1, (32, 32), (38, 32)), (2, (26, 26), (26, 26))]
    for anchors, count in ((0, 2), (4, 6), (64, 12)):
        begin_with(predictors.planted(), predictors.bump(), points, mask, Predicted(method, anchors=anchors)).advance()
        places, motions = told.pop()
        assert len(places) == count, "no more than it was trained for"
        assert motions[:2].tolist() == [[6, 0], [0, 0]]
        assert not motions[2:].any()
        columns, rows = places[2:].astype(int).T
        assert not mask[rows, columns].any()


def test_a_jump_that_brings_too_little_is_dropped_and_ends_the_run(mute):
    result = drag(mute, predictors.bump(), [(32, 32)], [(40, 32)], config=Predicted())
    assert (result.reason, result.steps) == ("stalled", 1)
    assert result.state.report["dropped"]
    assert torch.equal(result.ws, predictors.bump())
    assert result.handles.tolist() == [[32, 32]]


def test_what_is_held_no_jump_changes(method):
    model = predictors.planted()
    held = np.zeros((1, 8), np.float32)
    held[0, ::2] = 0.25  # the place of the bump across
    state = begin_with(model, predictors.bump(), [(1, (32, 32), (37, 37))], None, Predicted(method)).with_held(held)
    (after,) = state.advance()
    moved = (after.ws - state.ws)[0].mean(dim=0)
    assert abs(float(moved[0])) < 1e-5
    assert float(moved[1]) * REACH > 1


def test_a_target_that_moves_is_followed_by_another_jump_from_the_same_content(method):
    state = begin_with(predictors.planted(), predictors.bump(), [(1, (32, 32), (38, 32))], None, Predicted(method))
    (after,) = state.advance()
    content = after.content(1)
    moved = after.move_target(1, (38, 38))
    assert moved.verdict is None
    assert moved.content(1) is content
    (again,) = moved.advance()
    assert again.distances[0] < moved.distances[0]


def test_what_it_remembers_is_packed_and_a_file_goes_on_exactly(method):
    settings = Predicted(method, max_steps=3)
    state = begin_with(predictors.planted(), predictors.bump(), [(1, (32, 32), (46, 40))], None, settings)
    (state,) = state.advance()
    tensors, values = state.bound.pack(state.memory)
    again = dataclasses.replace(state, memory=state.bound.unpack(state.edit, tensors, values))
    assert torch.equal(again.advance()[0].ws, state.advance()[0].ws)
    for broken in ({**values, "over": 1}, {**values, "first_step": 9}, {"over": False}):
        with pytest.raises(ValueError, match="incomplete, or of another edit"):
            state.bound.unpack(state.edit, tensors, broken)
    with pytest.raises(ValueError, match="not those of this generator"):
        state.bound.unpack(state.edit, {"1": tensors["1"][:, :2]}, values)


def test_another_engine_goes_on_from_a_jump_as_its_first_step(method):
    points = [(1, (32, 32), (40, 36))]
    state = begin_with(predictors.planted(), predictors.bump(), points, None, Natural())
    jumped = state.jump(Predicted(method))
    assert (jumped.step, jumped.config) == (1, Natural())
    assert jumped.distances[0] < 0.8 * state.distances[0]
    jumps = drag(
        predictors.planted(), predictors.bump(), [(32, 32)], [(40, 36)], None, Natural(), None, Predicted(method)
    )
    assert jumps.reason in ("arrived", "near")
    assert np.allclose(jumps.history[1].handles, jumped.handles)


def test_a_dropped_first_jump_leaves_the_very_same_state(mute):
    state = begin_with(mute, predictors.bump(), [(1, (32, 32), (40, 36))], None, Natural())
    assert state.jump(Predicted()) is state
    alone = drag(mute, predictors.bump(), [(32, 32)], [(40, 36)], config=Natural())
    first = drag(mute, predictors.bump(), [(32, 32)], [(40, 36)], config=Natural(), first=Predicted())
    assert torch.equal(alone.ws, first.ws)
    assert alone.steps == first.steps


def test_engines_that_make_no_jumps_are_refused_as_the_first_step(mute):
    state = begin_with(mute, predictors.bump(), [(1, (32, 32), (40, 36))], None, Natural())
    with pytest.raises(ValueError, match="^the engine natural makes no jumps; choose one of predicted$"):
        state.jump(Natural())
    with pytest.raises(ValueError, match="no points to drag"):
        State.begin(mute, predictors.bump(), Natural()).jump(Predicted())


# --- its file, and what does not fit ---------------------------------------------------------------------------------


def test_what_is_saved_answers_the_same_but_for_halves_and_is_found_for_the_very_weights(method, tmp_path):
    predictor = predictors.trained(method)
    predictor.save(tmp_path / "a.safetensors")
    again = Predictor.load(tmp_path / "a.safetensors")
    assert (again.about, again.shape) == (predictor.about, predictor.shape)
    asked = predictors.bump(), torch.zeros(1, 3), np.array([[32.0, 32]]), np.array([[6.0, 2]])
    assert torch.allclose(again.jump(*asked), predictor.jump(*asked), atol=0.02)
    found = predictor_for(predictors.planted(), method, [tmp_path])
    assert found.about == predictor.about
    assert not any(weight.requires_grad for weight in found.parameters())


def test_the_network_of_a_large_model_is_a_few_megabytes(tmp_path):
    about = About("autodraggan", "b", "m", (256, 256), 336, (14,), (4, 5), 72, True)
    Predictor(about, Shape(288, 160, 1)).save(tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").stat().st_size < 4e6


def test_missing_truncated_and_other_weights_are_told_in_one_sentence(tmp_path, monkeypatch):
    model = Roaming()
    with pytest.raises(ValueError, match="^there is no predictor of Auto DragGAN for this model; train one: draggan-w"):
        predictor_for(model, "autodraggan", [tmp_path, tmp_path / "none"])
    file = tmp_path / "planted.safetensors"
    predictors.trained("autodraggan").save(file)
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match=r"this model: planted\.safetensors cannot be used \(.*\); train one: "):
        predictor_for(model, "autodraggan", [tmp_path])
    file.write_bytes(whole)
    assert predictor_for(model, "autodraggan", [tmp_path])
    with pytest.raises(ValueError, match="^there is no predictor of UserControllableLT for this model; train one"):
        predictor_for(model, "usercontrollable", [tmp_path])
    another = Roaming()
    another.scale.data *= 1.5
    with pytest.raises(
        ValueError, match=r"planted\.safetensors is for other weights, another edition of the model say"
    ):
        predictor_for(another, "autodraggan", [tmp_path])
    monkeypatch.setenv("DRAGGAN_WIDGET_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="^there is no predictor of Auto DragGAN for this model"):
        bind(small_stylegan2(seed=5), Predicted())


def test_files_that_are_no_predictors_are_refused_with_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError):
        Predictor.load(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_bytes(b"a text that calls itself a predictor")
    broken = predictors.untrained(tmp_path)
    broken.network.joined.weight.data[0, 0] = float("nan")
    broken.save(tmp_path / "nan.safetensors")
    for name in ("nan", "text"):
        with pytest.raises(ValueError, match="is no predictor that can be used .*; train it again"):
            Predictor.load(tmp_path / f"{name}.safetensors")


def test_more_points_than_it_was_trained_for_are_refused_and_nothing_is_lost(method):
    places = [(n, (20 + n, 30), (24 + n, 30)) for n in range(1, 14)]
    state = begin_with(predictors.planted(), predictors.bump(), places, None, Predicted(method))
    with pytest.raises(
        ValueError, match="^there are 13 points, and this predictor was trained for 12 at most; .* --points 13$"
    ):
        state.advance()
    assert state.step == 0


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("shape", {"channels": 5}, "it reads 5 features at a point, and there are 3"),
        ("about", {"w_dim": 3}, "its latents have 4×3 numbers, and those of the model 4×2"),
        ("about", {"groups": (3,)}, "its latents have 3×2 numbers, and those of the model 4×2"),
        ("about", {"blocks": (1, 7)}, "it reads block 1.7, and there are 3"),
        ("about", {"resolution": (32, 64)}, "its pictures have .* pixels, and those of the model .*"),
    ],
)
def test_a_model_of_other_sizes_is_refused_in_one_sentence(tmp_path, part, value, said):
    known = predictors.untrained(tmp_path)
    parts = {"about": known.about, "shape": known.shape}
    other = Predictor(**{**parts, part: dataclasses.replace(parts[part], **value)})
    with pytest.raises(ValueError, match=f"^this predictor of planted does not fit the model: {said}; train one: "):
        other.check(predictors.planted())
    with pytest.raises(ValueError, match=r"^this predictor was trained for other weights \(planted\); train one"):
        known.check(small_stylegan2())


def test_zoom_is_asked_of_networks_that_know_of_it_only(method):
    bound = bind(predictors.planted(), Predicted(method, zoom=0.1))
    assert isinstance(bound, BoundPredicted)
    point = EditPoint(1, (32.0, 32.0), (32.0, 32.0), (32.0, 32.0))
    edit = Edit(predictors.bump(), predictors.bump(), (point,))
    assert bound.verdict(edit, bound.begin(edit)) is None, "there is something to do, though no point moves"
    deaf = Roaming()
    about = dataclasses.replace(predictors.trained(method).about, zooms=False)
    give(deaf, Predictor(about, predictors.trained(method).shape))
    with pytest.raises(ValueError, match=r"^zoom is 0.1; this predictor was trained on drags, which do not tell"):
        bind(deaf, Predicted(method, zoom=0.1))
    with pytest.raises(ValueError, match=r"^zoom is 0.1; this predictor was trained on drags"):
        engine_named("predicted").check(deaf, Predicted(method, zoom=0.1))
    engine_named("predicted").check(deaf, Predicted(method))


def test_a_copy_tuned_for_a_photograph_is_served_by_the_predictor_of_its_model(method):
    tuned = Roaming()
    tuned.mapped = tuned.mapped.copy(predictors.planted())
    tuned.scale.data *= 1.01
    assert predictor_for(tuned, method) is predictor_for(predictors.planted(), method)
