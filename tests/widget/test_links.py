"""The editor linked with other widgets and with asyncio: what is shown, states as they come, its history as a list."""

from __future__ import annotations

import asyncio

import ipywidgets
import numpy as np
import pytest
import traitlets

from draggan_widget import DragConfig, DragGAN
from draggan_widget.analysis import history_list

CONFIG = DragConfig(learning_rate=0.02, max_steps=8, tolerance=0.0, stall_steps=None)


@pytest.fixture
def editor(generator):
    made = DragGAN(generator, seed=3, config=CONFIG, points=[{"handle": [30, 30], "target": [50, 30]}])
    yield made
    made.close()


@pytest.fixture
def edited(editor):
    editor.start()
    asyncio.run(editor.finished())
    assert editor.step == 8
    return editor


def settled(editor):
    """Until all commands so far are carried out and adopted."""
    editor._session.now()


def test_a_step_that_is_shown_is_looked_at_and_none_is_the_newest(edited):
    edited.shown = 3
    settled(edited)
    assert edited._session.latest.seen.drag.step == 3
    assert edited.step == 8
    edited.shown = None
    settled(edited)
    assert edited._session.latest.seen.drag.step == 8


def test_looking_in_the_page_sets_the_trait(edited):
    edited._session.look(5).result()
    settled(edited)
    assert edited.shown == 5


def test_a_step_beyond_the_end_is_refused_naming_the_steps_there_are(edited):
    edited.shown = 3
    with pytest.raises(traitlets.TraitError, match="shown is 99; the edit has steps 0 to 8"):
        edited.shown = 99
    settled(edited)
    assert edited.shown == edited._session.latest.shown == 3


def test_no_step_is_negative(edited):
    with pytest.raises(traitlets.TraitError, match="from 0 on, or None"):
        edited.shown = -1
    assert edited.shown is None


def test_a_slider_linked_to_a_setting_moves_it_and_follows_it(editor):
    slider = ipywidgets.IntSlider(min=1, max=50)
    ipywidgets.link((editor, "max_steps"), (slider, "value"))
    assert slider.value == 8
    slider.value = 20
    settled(editor)
    assert editor.config.max_steps == 20
    editor.max_steps = 30
    assert slider.value == 30


def test_a_label_linked_to_the_status_follows_a_run(editor):
    label = ipywidgets.Label()
    ipywidgets.dlink((editor, "status"), (label, "value"))
    assert label.value == "idle"
    editor.max_steps = 100_000

    async def stop_when_it_runs():
        editor.start()
        async for _state in editor.states():
            if label.value == "running":
                editor.stop()

    asyncio.run(stop_when_it_runs())
    settled(editor)
    assert label.value == "stopped"


async def collected(editor):
    return [state async for state in editor.states()]


def test_states_come_from_the_first_to_the_one_at_which_the_run_ended(editor):
    editor.start()
    states = asyncio.run(collected(editor))
    steps = [state.step for state in states]
    assert steps == sorted(steps)
    assert steps[-1] == 8
    assert (states[-1].status, states[-1].ws.shape) == ("capped", editor.latent.shape)
    assert np.array_equal(states[-1].ws, editor.latent)
    assert states[-1].distances[0] < 20


def test_states_of_an_edit_at_rest_are_that_one(edited):
    (state,) = asyncio.run(collected(edited))
    assert (state.status, state.step) == ("capped", 8)


def test_whoever_is_slower_than_the_steps_misses_some_but_not_the_last(editor):
    async def slowly():
        steps = []
        async for state in editor.states():
            steps.append(state.step)
            await editor.finished()
        return steps

    editor.start()
    steps = asyncio.run(slowly())
    assert len(steps) <= 3
    assert steps[-1] == 8


def test_states_raise_what_ended_the_run(editor, monkeypatch):
    def fail(*_arguments, **_settings):
        raise FloatingPointError("the features are not finite")

    monkeypatch.setattr("draggan_widget.engines.draggan.engine.stride", fail)
    editor.start()
    with pytest.raises(FloatingPointError, match="not finite"):
        asyncio.run(collected(editor))


def test_who_stops_listening_is_forgotten(editor):
    async def once():
        states = editor.states()
        await anext(states)
        await states.aclose()

    asyncio.run(once())
    assert editor._states._listeners == []


def test_the_list_of_the_history_shows_the_row_that_is_selected_and_selects_the_one_that_is_shown(edited):
    rows = history_list(edited)
    assert [step for _, step in rows.options] == list(range(9))
    assert rows.value == 8
    rows.value = 2
    settled(edited)
    assert edited._session.latest.seen.drag.step == 2
    edited._session.look(6).result()
    settled(edited)
    assert rows.value == 6
    rows.value = 8
    settled(edited)
    assert edited.shown is None


def test_the_list_grows_with_the_edit(edited):
    rows = history_list(edited)
    edited.start()
    asyncio.run(edited.finished())
    settled(edited)
    assert [step for _, step in rows.options] == list(range(17))
    assert rows.value == 16


def test_pictures_of_a_history_outlive_its_editor(edited):
    course = edited.history
    shown = course.picture(2)
    edited.close()
    assert course.picture(2).tobytes() == shown.tobytes()
