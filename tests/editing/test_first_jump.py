"""The first step of a run is a jump of another engine, if the document says so; one that brings little is dropped."""

from __future__ import annotations

import numpy as np
import predictors
import pytest
import torch
from predictors import Roaming

from draggan_widget import Editor, drag, engines
from draggan_widget.editing import Session, code_of
from draggan_widget.engines import DragConfig, Natural, Predicted
from draggan_widget.engines.predicted import give

LONG = 60
EXACT = Natural(tolerance=0.02)
"""So that there is something left to do after the jump."""


@pytest.fixture(autouse=True)
def given():
    give(predictors.planted(), predictors.trained("autodraggan"))


def session(model=None, **settings):
    return Session(model or predictors.planted(), seed=3, config=EXACT, first="predicted", **settings)


def test_a_run_begins_with_the_jump_and_the_engine_goes_on(tmp_path):
    edit = session()
    try:
        edit.put_point(1, handle=(32, 32), target=(42, 36))
        edit.start()
        result = edit.finished().result(LONG)
        assert result.reason in ("arrived", "near")
        assert result.distances[0] < 0.5
        document = edit.now()
        assert [op[0] for op in document.script] == ["config", "add", "jump", "steps"]
        assert [record.step for record in document.records] == list(range(result.steps + 1))
        jumped = engines.begin_with(
            predictors.planted(), document.drag.w0, [(1, (32, 32), (42, 36))], None, EXACT
        ).jump(Predicted())
        assert np.array_equal(document.records[1].ws, jumped.ws.numpy())
        edit.undo().result(LONG)
        assert edit.now().drag.step == 0
        assert edit.now().first == Predicted()
        edit.redo().result(LONG)
        edit.branch(1).result(LONG)
        assert [op[0] for op in edit.now().script] == ["config", "add", "jump"]
        edit.branch(0).result(LONG)
        assert [op[0] for op in edit.now().script] == ["config", "add"]
        edit.reset().result(LONG)
        edit.new_image(seed=4, truncation=0.5).result(LONG)
        assert edit.now().first == Predicted()
    finally:
        edit.close()


def test_a_dropped_jump_leaves_no_step_and_no_trace(tmp_path):
    model = Roaming()
    give(model, predictors.untrained(tmp_path))
    edit = session(model)
    try:
        edit.put_point(1, handle=(32, 32), target=(42, 36))
        edit.start()
        result = edit.finished().result(LONG)
        alone = drag(model, result.state.w0, [(32, 32)], [(42, 36)], config=EXACT)
        assert torch.equal(result.ws, alone.ws)
        assert [op[0] for op in edit.now().script] == ["config", "add", "steps"]
    finally:
        edit.close()


def test_a_short_way_needs_no_jump():
    edit = session()
    try:
        edit.put_point(1, handle=(32, 32), target=(33.5, 32))
        edit.start()
        edit.finished().result(LONG)
        assert "jump" not in [op[0] for op in edit.now().script]
    finally:
        edit.close()


def test_with_the_pointer_down_moves_are_answered_by_further_jumps():
    edit = session()
    try:
        edit.put_point(1, handle=(30, 32), target=(30, 32), pulling=True)
        edit.start()
        for x in (38, 46):
            edit.put_point(1, target=(x, 32), pulling=True).result(LONG)
            edit.turn(lambda: None)
            for _ in range(200):
                if edit.newest().points()[0]["distance"] < 2:
                    break
        edit.put_point(1, target=(46, 32))
        edit.finished().result(LONG)
        assert [op[0] for op in edit.now().script].count("jump") >= 1
        assert edit.newest().points()[0]["distance"] < 2
    finally:
        edit.close()


def test_a_jump_that_cannot_be_made_is_said_and_the_engine_goes_on_alone():
    edit = session()
    try:
        for number in range(1, 14):  # one more than the predictor was trained for
            edit.put_point(number, handle=(24 + number, 30), target=(28 + number, 30))
        edit.start()
        edit.finished().result(LONG)
        assert edit.now().drag.step > 0
        assert edit.newest().status in ("arrived", "near", "stalled", "capped")
    finally:
        edit.close()


def test_files_and_code_make_it_again(tmp_path):
    editor = Editor(predictors.planted(), seed=3, config=EXACT, first=Predicted(tolerance=0.5))
    try:
        assert editor.first == "predicted"
        editor.points = [{"handle": [32, 32], "target": [41, 37]}]
        editor.start()
        editor._session.finished().result(LONG)
        editor.save(tmp_path / "a.drag")
        there = editor.latent
        text = code_of(editor._session.now(), editor._session.now().model)
        assert "state = state.jump(engines.engine_named('predicted').Settings(" in text
        variables = {"generator": predictors.planted()}
        exec(text, variables)
        assert np.array_equal(variables["ws"].numpy(), there)
    finally:
        editor.close()
    again = Editor.load(tmp_path / "a.drag", model=predictors.planted())
    try:
        document = again._session.now()
        assert (again.first, document.first) == ("predicted", Predicted(tolerance=0.5))
        assert np.array_equal(again.latent, there)
        assert [op[0] for op in document.script] == ["config", "add", "jump", "steps"]
    finally:
        again.close()


def test_the_editor_takes_it_by_name_as_settings_or_none_and_refuses_the_rest():
    editor = Editor(predictors.planted(), seed=3, config=DragConfig(max_steps=3))
    try:
        assert editor.first is None
        editor.first = "predicted"
        assert (editor.first, editor._session.now().first) == ("predicted", Predicted())
        editor.first = Predicted(nearer=0.5)
        assert (editor.first, editor._session.now().first.nearer) == ("predicted", 0.5)
        for wrong, said in (
            ("natural", "the engine natural makes no jumps; choose one of predicted"),
            ("magic", "there is no engine 'magic'"),
            (7, "int is no engine's settings"),
        ):
            with pytest.raises(Exception, match=said):
                editor.first = wrong
            assert editor.first == "predicted"
        editor.first = None
        assert editor._session.now().first is None
    finally:
        editor.close()


def test_a_model_without_a_predictor_is_refused_and_loses_it_when_it_comes_later(generator):
    with pytest.raises(ValueError, match="there is no predictor of Auto DragGAN for this model"):
        Editor(generator, first="predicted")
    editor = Editor(predictors.planted(), first="predicted")
    try:
        editor.load_model(generator)
        assert editor.first is None
        editor.undo()
        assert editor.first == "predicted"
    finally:
        editor.close()
