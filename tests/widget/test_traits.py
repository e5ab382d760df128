"""The traits of an editor from its first moment on: what they say, what assigning them does, and who watches them."""

from __future__ import annotations

import asyncio
import functools
import json
import math
import threading
import time

import numpy as np
import pytest
import torch
import traitlets
from page import Page, until
from planted import Planted

from draggan_widget import DragConfig, DragGAN
from draggan_widget.editing.settings import SETTINGS, settings_of
from draggan_widget.engines import Natural
from draggan_widget.engines.draggan import captured_steps

ENDLESS = DragConfig(learning_rate=0.02, tolerance=0.0, max_steps=None, stall_steps=None)
POINT = {"handle": [20, 15], "target": [30, 20]}

NAMES = ["engine", *SETTINGS]
"""Of the settings of an editor with the engine draggan: which engine comes first."""


@pytest.fixture
def make():
    made = []

    def make(**arguments):
        if "config" not in arguments:
            arguments = {"engine": "draggan", **arguments}  # whose settings most tests name
        made.append(DragGAN(Planted((32, 48)), seed=1, **arguments))
        return made[-1]

    yield make
    for editor in made:
        editor.close()


def real(editor):
    now = editor._session.newest()
    return settings_of(now.model.generator, now.document.drag.config, now.speed)


def traits_of(editor):
    return {name: getattr(editor, name) for name in ("engine", *editor.settings, "speed")}


@pytest.mark.parametrize(
    "config",
    [None, Natural(own=0.5, block=2), ENDLESS.replace(mask_weight=3.0, block=(1, 2)), DragConfig.official(space="w")],
)
def test_a_new_editor_says_the_settings_that_its_session_uses(make, config):
    editor = make(config=config)
    assert traits_of(editor) == real(editor)
    assert {name: editor.get_state()[name] for name in real(editor)} == real(editor), "and tells the page so"
    assert editor.config == (Natural() if config is None else config)
    assert editor.max_steps == editor.config.max_steps


@pytest.mark.parametrize("name", list(SETTINGS))
def test_a_value_that_is_the_default_of_its_class_takes_effect_when_it_is_assigned(make, name):
    editor = make(config=DragConfig.official(learning_rate=0.05, space="w", mask_weight=3.0, edit_layers=2, block=1))
    value = {**DragConfig().to_dict(), "speed": 4.0, "block": 2, "edit_layers": 3}[name]
    setattr(editor, name, value)
    assert real(editor)[name] == value
    assert traits_of(editor) == real(editor)


def test_settings_may_be_given_with_the_editor_and_a_bad_one_is_refused(make):
    editor = make(learning_rate=np.float32(0.5), speed=4)
    assert (editor.learning_rate, editor.speed, editor.config.learning_rate) == (0.5, 4.0, 0.5)
    with pytest.raises(ValueError, match="learning_rate is 5; it must be a number above 0 and up to 1"):
        make(learning_rate=5)
    for name in ("status", "step", "shown"):
        with pytest.raises(TypeError, match=f"takes no {name}"):
            make(**{name: 1})


NUMBERS = [np.float32(0.5), np.array(0.5), torch.tensor(0.5), torch.tensor(0.5, requires_grad=True)]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
@pytest.mark.parametrize("name", ["truncation", "learning_rate", "tracking_radius", "speed"])
def test_numbers_of_numpy_and_torch_are_taken_and_kept_as_pythons(make, name, value):
    editor = make()
    setattr(editor, name, value)
    assert type(getattr(editor, name)) is float
    editor._session.now()
    assert (getattr(editor, name), type(getattr(editor, name))) == (0.5, float)
    json.dumps(editor.config.to_dict())


@pytest.mark.parametrize("value", [np.int64(2), np.array(2), torch.tensor(2)], ids=repr)
@pytest.mark.parametrize("name", ["seed", "max_steps", "edit_layers", "block"])
def test_whole_numbers_of_numpy_and_torch_are_taken_and_kept_as_pythons(make, name, value):
    editor = make()
    setattr(editor, name, value)
    editor._session.now()
    assert (getattr(editor, name), type(getattr(editor, name))) == (2, int)


@pytest.mark.parametrize("value", [10**9, 1e99, -1, math.nan, True, "much", [1], np.ones(2)], ids=repr)
@pytest.mark.parametrize("name", ["learning_rate", "supervision_radius", "tracking_radius", "max_steps", "speed"])
def test_a_value_out_of_bounds_is_refused_by_name_and_nothing_changes(make, name, value):
    editor = make()
    before = real(editor)
    with pytest.raises(traitlets.TraitError, match=rf"^{name} is .*; it must be a (whole )?number (above|from) "):
        setattr(editor, name, value)
    assert traits_of(editor) == real(editor) == before


def test_none_is_the_models_own_again_even_where_none_already_stands_for_no_cap(make):
    editor = make(config=ENDLESS)
    assert editor.max_steps is None
    editor.max_steps = None
    assert real(editor)["max_steps"] == editor.generator.drag_config.max_steps == editor.max_steps


def test_all_settings_go_back_to_the_models_own_at_once_from_python_and_from_the_page(make):
    editor = make(config=ENDLESS, speed=5)
    own = settings_of(editor.generator, editor.generator.drag_config)
    editor.reset_settings()
    assert traits_of(editor) == real(editor) == own
    editor.learning_rate = 0.3
    page = Page(editor)
    page.say("ready", view="page")
    page.say("reset_settings")
    page.wait_for(lambda p: p.of("state") and p.of("state")[-1]["settings"] == {**own, "first": ""})
    editor._session.now()
    assert traits_of(editor) == own


def test_the_page_hears_what_settings_there_are_when_it_asks_and_when_the_model_is_another(make):
    editor = make()
    page = Page(editor)
    page.say("ready", view="page")
    page.say("schema")
    page.wait_for(lambda p: p.of("schema"))
    (told,) = page.of("schema")
    assert [field["name"] for field in told["fields"]] == [NAMES[0], "first", *NAMES[1:]]
    blocks = {field["name"]: field["choices"] for field in told["fields"]}["block"]
    assert blocks == [["1", "1"], ["2", "2"], ["3", "3"]]
    editor.load_model(Planted((64, 64)))
    page.wait_for(lambda p: len(p.of("schema")) == 2)


# --- status ----------------------------------------------------------------------------------------------------------


def walk(editor):
    """What a cell that runs from top to bottom sees."""
    said = [editor.status]
    reset = functools.partial(editor.reset, keep_points=True)
    for command in (editor.start, editor.stop, reset, editor.step_once, editor.undo, editor.redo):
        command()
        said.append(editor.status)
    editor.start()
    while editor.step < 3:
        time.sleep(0.005)
    editor.branch(2)
    return [*said, (editor.status, editor.step)]


SEEN = ["idle", "running", "stopped", "idle", "stopped", "idle", "stopped", ("stopped", 2)]


def test_each_command_shows_in_the_status_at_once_in_a_script(make):
    assert walk(make(config=ENDLESS, points=[POINT])) == SEEN


def test_each_command_shows_in_the_status_at_once_in_a_cell_that_holds_the_loop(make):
    async def cell():
        return walk(make(config=ENDLESS, points=[POINT]))

    assert asyncio.run(cell()) == SEEN


def test_a_cell_may_wait_for_the_end_by_looking_at_the_status(make, monkeypatch):
    looked, step = threading.Event(), captured_steps.step

    def step_when_it_was_looked_at(*arguments):
        assert looked.wait(20)
        return step(*arguments)

    monkeypatch.setattr(captured_steps, "step", step_when_it_was_looked_at)

    async def cell():
        editor = make(config=ENDLESS.replace(max_steps=6), points=[POINT])
        editor.start()
        rounds, deadline = 0, time.monotonic() + 20
        while editor.status == "running":
            rounds += 1
            looked.set()
            time.sleep(0.01)
            assert time.monotonic() < deadline, "it never ended"
        return rounds, editor.status, editor.step

    rounds, *end = asyncio.run(cell())
    assert rounds > 0
    assert end == ["capped", 6]


@pytest.mark.parametrize(("step", "value"), [(-3, "-3"), ("x", "'x'"), (2.5, "2.5"), (None, "None"), (True, "True")])
def test_going_on_from_what_is_no_step_is_an_error_and_nothing_changes(make, step, value):
    editor = make(config=ENDLESS, points=[POINT])
    editor.step_once()
    editor.step_once()
    latent = editor.latent
    with pytest.raises(ValueError, match=f"^step is {value}; it must be a whole number of at least 0$"):
        editor.branch(step)
    with pytest.raises(ValueError, match="there is no step 9 yet"):
        editor.branch(9)
    assert (editor.status, editor.step) == ("stopped", 2)
    np.testing.assert_array_equal(editor.latent, latent)
    editor.branch(np.int64(1))
    assert editor.step == 1


def test_undo_of_nothing_is_an_error_in_the_cell(make):
    editor = make()
    with pytest.raises(ValueError, match="^nothing to undo yet: the edit is as it began$"):
        editor.undo()
    with pytest.raises(ValueError, match="^nothing to redo: the last thing done was no undo$"):
        editor.redo()


@pytest.mark.parametrize(("name", "value", "instead"), [("status", "arrived", r"start\(\)"), ("step", 3, r"branch\(")])
def test_what_only_the_session_sets_cannot_be_assigned_and_says_what_to_do(make, name, value, instead):
    editor = make()
    before = getattr(editor, name)
    with pytest.raises(traitlets.TraitError, match=f"{name} is read-only: use .*{instead}"):
        setattr(editor, name, value)
    with pytest.raises(traitlets.TraitError, match="read-only"), editor.hold_trait_notifications():
        setattr(editor, name, value)
    assert getattr(editor, name) == before


# --- observers -------------------------------------------------------------------------------------------------------


def explode(error):
    def observer(change):
        raise error

    return observer


ERRORS = [RuntimeError("mine"), SystemExit(1)]


@pytest.mark.parametrize("error", [*ERRORS, KeyboardInterrupt()], ids=repr)
def test_an_observer_that_fails_ends_neither_run_nor_worker_nor_other_observers_in_a_script(make, error, caplog):
    editor, seen = make(config=ENDLESS.replace(max_steps=6), points=[POINT]), []
    editor.observe(explode(error), ["status", "step", "points"])
    editor.observe(lambda change: seen.append(change["new"]), "status")
    editor.start()
    assert editor._session.finished().result(20).reason == "capped"
    assert (editor.status, editor.step) == ("capped", 6)
    assert seen == ["running", "capped"]
    assert "an observer of status" in caplog.text
    editor.step_once()
    assert (editor.status, editor.step) == ("stopped", 7)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_observer_that_fails_ends_neither_run_nor_loop_in_a_notebook(make, error, caplog):
    async def cell():
        editor, seen = make(config=ENDLESS.replace(max_steps=6), points=[POINT]), []
        editor.observe(explode(error), ["status", "step", "points"])
        editor.observe(lambda change: seen.append(change["new"]), "status")
        editor.start()
        reason = (await editor.finished()).reason
        await until(lambda: editor.status == "capped")
        return reason, editor.status, editor.step, seen

    assert asyncio.run(cell()) == ("capped", "capped", 6, ["running", "capped"])
    assert "an observer of step failed" in caplog.text


def test_what_an_observer_raises_at_an_assignment_reaches_who_assigned(make):
    editor = make()
    handler = explode(RuntimeError("mine"))
    editor.observe(handler, "learning_rate")
    with pytest.raises(RuntimeError, match="mine"):
        editor.learning_rate = 0.5
    editor.unobserve(handler, "learning_rate")
    editor.learning_rate = 0.25
    assert real(editor)["learning_rate"] == 0.25


def test_an_observer_may_command_the_editor_wherever_it_runs(make):
    def stop_at_three(change):
        if change["new"] >= 3:
            change["owner"].stop()

    def script():
        editor = make(config=ENDLESS, points=[POINT])
        editor.observe(stop_at_three, "step")
        editor.start()
        return editor, editor._session.finished()

    _, end = script()
    assert end.result(20).reason == "stopped"

    async def cell():
        editor, end = script()
        result = await asyncio.wrap_future(end)
        await until(lambda: editor.status == "stopped")
        return result.reason, editor.status

    assert asyncio.run(cell()) == ("stopped", "stopped")
