"""Attributes in an edit: changed and held, undone, written into code and files, and slid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_stylegan2 import small_stylegan2

from draggan_widget.directions import Directions
from draggan_widget.editing import Asked, Session, amounts_in, code_of, held_in, load_drag, save_drag
from draggan_widget.editing.packing import packed, unpacked
from draggan_widget.editing.script import until
from draggan_widget.engines import Natural


@pytest.fixture(scope="module")
def model():
    return small_stylegan2()


@pytest.fixture(scope="module")
def directions(model):
    return Directions(model)


@pytest.fixture
def session(model):
    made = Session(model, seed=2, config=Natural(max_steps=30, tolerance=0))
    yield made
    made.close()


def asking(directions, **amounts):
    amounts = {name.replace("_", "-"): amount for name, amount in amounts.items()}
    return lambda document: Asked(amounts, directions.change(amounts)[0].numpy())


def value(directions, session, name="principal-1"):
    return directions.measure(session.now().drag.ws, [name])[name]


def test_a_change_is_one_step_of_undo_and_named(session, directions):
    before = value(directions, session)
    session.change(asking(directions, principal_1=1.0)).result(20)
    assert value(directions, session) == pytest.approx(before + 1, abs=1e-3)
    assert session.newest().undo == "change of principal-1"
    session.undo().result(20)
    assert value(directions, session) == pytest.approx(before, abs=1e-6)
    session.redo().result(20)
    assert value(directions, session) == pytest.approx(before + 1, abs=1e-3)


def test_a_slider_that_slides_is_one_step_of_undo_and_counts_from_where_it_was(session, directions):
    before = value(directions, session)
    for amount in (0.2, 0.5, 0.9):
        session.change(asking(directions, principal_1=amount), sliding=True).result(20)
    session.change(asking(directions, principal_1=1.0)).result(20)
    assert value(directions, session) == pytest.approx(before + 1, abs=1e-3)
    assert len([op for op in session.now().script if op[0] == "change"]) == 1
    session.change(asking(directions, principal_1=1.0)).result(20)
    assert value(directions, session) == pytest.approx(before + 2, abs=1e-3)
    session.undo().result(20)
    session.undo().result(20)
    assert value(directions, session) == pytest.approx(before, abs=1e-6)
    assert not session.newest().can_undo


def edited(session, directions):
    """An edit with all that can be asked: before steps, between them, and at the end."""
    session.change(asking(directions, principal_1=1.0)).result(20)
    session.put_point(1, handle=(30, 34), target=(36, 30)).result(20)
    session.hold(("sefa-1",), directions.held(["sefa-1"])).result(20)
    for _ in range(3):
        session.step_once().result(20)
    session.change(asking(directions, principal_2=-0.5, sefa_2=0.25)).result(20)
    session.step_once().result(20)
    session.hold((), None).result(20)
    return session.now()


def test_code_makes_the_very_same_latent_again_by_names(session, directions, model):
    document = edited(session, directions)
    code = code_of(document, document.model)
    assert "known.change({'principal-2': -0.5, 'sefa-2': 0.25})" in code
    assert "known.held(['sefa-1'])" in code
    made = {"generator": model}
    exec(code, made)
    assert torch.equal(made["ws"], document.drag.ws)


def test_code_has_the_numbers_of_directions_that_no_model_knows_by_name(session, directions, model):
    change = np.tile(np.random.RandomState(0).randn(1, model.w_dim).astype(np.float32), (model.num_ws, 1))
    session.change(lambda document: Asked({"my own": 1.0}, change)).result(20)
    session.hold(("my own",), np.tile(change[:1], (1, model.num_ws))).result(20)
    document = session.now()
    made = {"generator": model}
    exec(code_of(document, document.model), made)
    assert torch.equal(made["ws"], document.drag.ws)
    assert np.array_equal(made["state"].edit.held, document.drag.edit.held)


def test_an_edit_with_attributes_goes_on_from_its_file_exactly(session, directions, model, tmp_path):
    document = edited(session, directions)
    session.hold(("sefa-1",), directions.held(["sefa-1"])).result(20)
    document = session.now()
    save_drag(tmp_path / "x.drag", document, model, None)
    loaded = load_drag(tmp_path / "x.drag", model)
    loaded = loaded if not isinstance(loaded, tuple) else loaded[0]
    assert torch.equal(loaded.drag.ws, document.drag.ws)
    assert held_in(loaded) == ("sefa-1",)
    assert code_of(loaded, loaded.model) == code_of(document, document.model)
    assert torch.equal(loaded.drag.steps(2).ws, document.drag.steps(2).ws)


def test_the_timeline_shows_a_change_at_the_step_at_which_it_was_made(session, directions):
    document = edited(session, directions)
    session.look(3).result(20)
    seen = session.newest().seen.drag
    assert torch.equal(seen.ws, torch.from_numpy(document.records[3].ws))
    session.branch(3).result(20)
    again = session.now()
    made = {"generator": again.model.generator}
    exec(code_of(again, again.model), made)
    assert torch.equal(made["ws"], again.drag.ws)


def test_the_part_of_a_script_up_to_a_step_has_what_was_asked_at_that_step():
    script = (("config", 0), ("change", 1), ("steps", 3), ("change", 2), ("target", 1, 0), ("steps", 2), ("hold", 3))
    assert until(script, 0) == script[:2]
    assert until(script, 2) == (*script[:2], ("steps", 2))
    assert until(script, 3) == script[:4]
    assert until(script, 4) == (*script[:5], ("steps", 1))
    assert until(script, 5) == script


def test_resetting_goes_back_to_the_first_picture_and_keeps_what_is_held(session, directions):
    first = session.now().drag.ws
    edited(session, directions)
    session.hold(("sefa-1",), directions.held(["sefa-1"])).result(20)
    session.reset().result(20)
    now = session.now()
    assert torch.equal(now.drag.ws, first)
    assert held_in(now) == ("sefa-1",)
    assert now.drag.edit.held is not None
    made = {"generator": now.model.generator}
    exec(code_of(now, now.model), made)
    assert np.array_equal(made["state"].edit.held, now.drag.edit.held)


def test_a_change_of_another_model_leaves_the_edit_as_it_is(session):
    before = session.now()
    with pytest.raises(ValueError, match="the change has shape"):
        session.change(lambda document: Asked({"x": 1.0}, np.zeros((2, 3), np.float32))).result(20)
    assert session.now() is before
    assert not session.newest().can_undo


@pytest.mark.parametrize("array", [None, np.zeros((3, 4)), np.arange(12.0).reshape(3, 4), np.ones((1, 5))])
def test_arrays_come_back_from_text(array):
    array = None if array is None else array.astype(np.float32)
    again = unpacked(packed(array))
    assert again is None if array is None else np.array_equal(again, array)


@pytest.mark.parametrize("values", [[1, 1, "?"], [2, 1], "x", [0, 0, ""], [1, 1, "eJw="], [1 << 20, 1, ""], [3, 2, ""]])
def test_text_that_is_no_array_is_refused(values):
    with pytest.raises(ValueError, match="an array of its script"):
        unpacked(values)


def test_a_change_while_a_run_is_on_lets_it_go_on_from_there(session, directions):
    session.put_point(1, handle=(30, 34), target=(44, 26)).result(20)
    session.start().result(20)
    session.change(asking(directions, principal_1=0.5)).result(20)
    session.stop().result(20)
    document = session.now()
    assert [op[0] for op in document.script if op[0] in ("change", "steps")].count("change") == 1
    assert session.newest().undo == "change of principal-1"
    made = {"generator": document.model.generator}
    exec(code_of(document, document.model), made)
    assert torch.equal(made["ws"], document.drag.ws)


def test_what_is_held_is_held_by_either_engine_and_through_a_change_of_engine(session, directions):
    session.put_point(1, handle=(30, 34), target=(44, 26)).result(20)
    session.hold(("principal-1",), directions.held(["principal-1"])).result(20)
    before = value(directions, session)
    session.step_once().result(20)
    session.set_settings({"engine": "draggan"}).result(20)
    for _ in range(3):
        session.step_once().result(20)
    assert value(directions, session) == pytest.approx(before, abs=1e-4)
    assert not torch.equal(session.now().drag.ws, session.now().drag.w0)


def test_amounts_are_known_by_the_step_after_which_they_were_asked_for(session, directions):
    session.put_point(1, handle=(20, 20), target=(30, 20))
    session.change(asking(directions, principal_1=0.5)).result(20)
    session.change(asking(directions, principal_1=0.25, principal_2=-1.0)).result(20)
    session.step_once().result(60)
    session.change(asking(directions, principal_2=2.0)).result(20)
    assert amounts_in(session.now()) == {
        0: {"principal-1": 0.75, "principal-2": -1.0},
        1: {"principal-2": 2.0},
    }
    session.undo().result(20)
    assert list(amounts_in(session.now())) == [0]


def test_a_slider_that_was_held_when_its_view_went_is_let_go(session, directions):
    before = value(directions, session)
    session.change(asking(directions, principal_1=0.5), sliding=True).result(20)
    assert session.newest().sliding
    session.let_go().result(20)
    session.change(asking(directions, principal_1=0.5)).result(20)
    assert not session.newest().sliding
    assert value(directions, session) == pytest.approx(before + 1.0, abs=1e-3)


def test_handles_follow_their_content_when_the_slider_is_let_go(session, directions):
    session.put_point(1, handle=(20, 20), target=(30, 20))
    at_once = session.change(asking(directions, principal_1=2.0))
    at_once.result(20)
    followed = session.now().drag.handles
    session.undo().result(20)
    session.change(asking(directions, principal_1=2.0), sliding=True).result(20)
    assert session.now().drag.handles.tolist() == [[20, 20]]
    session.change(asking(directions, principal_1=2.0)).result(20)
    assert np.array_equal(session.now().drag.handles, followed)
    assert followed.tolist() != [[20, 20]]
