"""``editor.settings`` and its short form: the settings of whichever engine is in use."""

from __future__ import annotations

import dataclasses
import gc
import threading
from collections.abc import Mapping

import pytest
import traitlets
from page import Page

import draggan_widget
from draggan_widget import DragConfig, DragGAN, Editor
from draggan_widget.engines import Bound, Engine, Natural, Step, engine_named, engine_names, register, unregister
from draggan_widget.settings import Settings, number, settings_in, whole
from draggan_widget.widget.engine_settings import EngineSetting

LACKING = "the engine slide has no setting 'learning_rate'; draggan, freedrag, stabledrag, gooddrag have it"


@dataclasses.dataclass(frozen=True)
class Slide(Settings):
    """Settings of the engine below: one of its own, and one that draggan has with other bounds."""

    pace: float = number(0.25, "Pace", "How much of the way a step goes.", above=True, most=1)
    max_steps: int = whole(20, "Step cap", "Steps at most.", least=1, most=50)


class BoundSlide(Bound[None]):
    """Moves handles and nothing else."""

    def begin(self, edit):
        return None

    def advance(self, edit, memory, at_most=1):
        return [Step(dataclasses.replace(edit, step=edit.step + 1), memory)]

    def verdict(self, edit, memory):
        return "capped" if edit.step >= self.settings.max_steps else None


class SlideEngine(Engine):
    name = "slide"
    help = "A test's"
    Settings = Slide

    def bind(self, model, settings):
        if model.resolution == (32, 32):
            raise ValueError("slide needs pictures of more than 32 px; choose draggan")
        return BoundSlide(model, settings)


@pytest.fixture
def slide():
    register(SlideEngine())
    yield
    unregister("slide")


@pytest.fixture
def editor(generator):
    editor = Editor(generator, seed=3, config=DragConfig(learning_rate=0.01))
    yield editor
    editor.close()


def test_settings_of_the_engines_of_the_package_are_traits_and_no_other_name_of_the_editor_is_in_their_way():
    for engine in engine_names():
        for name in settings_in(engine_named(engine).Settings):
            assert isinstance(getattr(Editor, name), EngineSetting), f"{name} of {engine}"
    assert Editor.learning_rate.help.startswith("How far a step goes.")


def test_editor_and_draggan_are_one_class():
    assert DragGAN is Editor
    assert Editor.__name__ == "Editor"
    assert {"DragGAN", "Editor"} <= set(draggan_widget.__all__)


def test_an_editor_says_in_a_line_what_it_is(editor):
    assert repr(editor).startswith("<Editor of ")
    assert repr(editor).endswith(", seed 3: idle, step 0>")


def test_settings_are_a_mapping_of_those_of_the_engine(editor):
    settings = editor.settings
    assert isinstance(settings, Mapping)
    assert list(settings) == [field.name for field in dataclasses.fields(DragConfig)]
    assert len(settings) == len(list(settings))
    assert settings["learning_rate"] == settings.learning_rate == editor.learning_rate == 0.01
    assert "speed" not in settings  # it belongs to runs
    assert dict(settings)["method"] == "default"


def test_a_setting_is_set_in_its_long_form_as_in_its_short_one(editor):
    settings = editor.settings
    settings["learning_rate"] = 0.003
    assert (editor.learning_rate, editor.config.learning_rate) == (0.003, 0.003)
    settings.max_steps = 7
    assert (editor.max_steps, settings["max_steps"]) == (7, 7)
    editor.tracking_radius = 5
    assert settings["tracking_radius"] == 5
    settings["block"] = (2, 3)
    assert editor.block == settings["block"] == [2, 3]
    settings["learning_rate"] = None  # the model's own
    assert editor.config.learning_rate == editor.generator.drag_config.learning_rate


def test_a_setting_is_tried_by_who_assigns_it_and_bound_by_who_pulls_once_each(editor, monkeypatch):
    engine, binds = type(engine_named("draggan")), []
    bind = engine.bind
    monkeypatch.setattr(engine, "bind", lambda self, *of: binds.append(threading.get_ident()) or bind(self, *of))
    editor.learning_rate = 0.02
    editor.latent  # noqa: B018 - until it holds
    assert len(binds) == 2
    editor.settings["tolerance"] = 2
    assert len(binds) == 4
    assert sum(each == threading.get_ident() for each in binds) == 2
    binds.clear()
    page = Page(editor)
    page.say("ready", view="page")
    page.say("settings", values={"learning_rate": 0.03})
    page.wait_for(lambda page: page.of("state") and page.of("state")[-1]["settings"]["learning_rate"] == 0.03)
    assert len(binds) == 1
    page.say("settings", values={"learning_rate": 0.03})
    page.say("reset_settings")
    page.wait_for(lambda page: page.of("state")[-1]["settings"] == page.of("state")[-1]["defaults"])
    assert len(binds) == 2


def test_settings_are_reset_as_they_are_when_it_is_done_not_when_it_is_asked_for(editor, slide):
    session, held = editor._session, threading.Event()
    session.show(held.wait)
    session.set_settings({"engine": "slide", "pace": 0.5})
    reset = session.reset_settings()
    held.set()
    reset.result(30)
    assert session.now().config == Slide()


@pytest.mark.parametrize(("name", "value"), [("learning_rate", 3), ("edit_layers", 90), ("method", "magic")])
def test_both_forms_refuse_a_value_with_the_same_sentence_and_keep_the_old_one(editor, name, value):
    before = editor.config
    with pytest.raises(traitlets.TraitError) as long:
        editor.settings[name] = value
    with pytest.raises(traitlets.TraitError) as short:
        setattr(editor, name, value)
    assert str(long.value) == str(short.value)
    assert name in str(long.value)
    assert editor.config == before


def test_several_settings_are_set_all_or_none(editor):
    editor.settings.update(learning_rate=0.004, max_steps=9)
    assert (editor.config.learning_rate, editor.config.max_steps) == (0.004, 9)
    with pytest.raises(traitlets.TraitError, match="max_steps is 0"):
        editor.settings.update({"learning_rate": 0.5, "max_steps": 0})
    with pytest.raises(KeyError, match="no setting 'pace'"):
        editor.settings.update({"learning_rate": 0.5, "pace": 0.5})
    assert editor.config.learning_rate == 0.004


def test_settings_show_values_labels_and_bounds(editor, slide):
    text = repr(editor.settings)
    assert text.startswith("settings of the engine draggan\n")
    assert "  learning_rate      = 0.01" in text
    assert "Learning rate: a number above 0 and up to 1\n" in text
    editor.engine = "slide"
    assert repr(editor.settings).splitlines() == [
        "settings of the engine slide",
        "  pace      = 0.25  Pace: a number above 0 and up to 1",
        "  max_steps = 20    Step cap: a whole number from 1 to 50",
    ]


def test_another_engine_brings_its_settings_and_takes_those_of_the_one_before_away(editor, slide):
    for touch in (lambda: editor.pace, lambda: setattr(editor, "pace", 0.5)):
        with pytest.raises(AttributeError, match="the engine draggan has no setting 'pace'; slide has it"):
            touch()
    editor.engine = "slide"
    editor.pace = 0.5
    assert (editor.pace, editor.settings["pace"], editor.config) == (0.5, 0.5, Slide(pace=0.5))
    assert list(editor.settings) == ["pace", "max_steps"]
    for touch in (
        lambda: editor.learning_rate,
        lambda: setattr(editor, "learning_rate", 0.1),
        lambda: editor.settings.learning_rate,
        lambda: setattr(editor.settings, "learning_rate", 0.1),
    ):
        with pytest.raises(AttributeError, match=LACKING):
            touch()
    with pytest.raises(KeyError, match="gooddrag have it"):
        editor.settings["learning_rate"]
    assert "pace" in dir(editor)
    assert "learning_rate" not in dir(editor)
    editor.engine = "draggan"
    editor.learning_rate = 0.02
    assert editor.config.learning_rate == 0.02
    editor.undo()
    assert (editor.engine, editor.pace) == ("slide", 0.5)


def test_a_setting_that_two_engines_have_obeys_the_bounds_of_the_one_in_use(editor, slide):
    editor.max_steps = 100
    editor.engine = "slide"
    assert editor.max_steps == 20
    with pytest.raises(traitlets.TraitError, match="max_steps is 100; it must be a whole number from 1 to 50"):
        editor.max_steps = 100
    with pytest.raises(traitlets.TraitError, match="pace is 3; it must be a number above 0 and up to 1"):
        editor.pace = 3
    assert editor.config == Slide()


def test_observers_hear_of_settings_of_an_engine_of_ones_own(editor, slide):
    heard = []
    editor.observe(lambda change: heard.append((change["old"], change["new"])), "pace")
    editor.engine = "slide"
    editor.pace = 0.75
    editor.settings["pace"] = 0.5
    assert heard == [(None, 0.25), (0.25, 0.75), (0.75, 0.5)]


def test_the_page_is_sent_no_settings_that_the_engine_lacks(editor, slide):
    assert "learning_rate" in editor.get_state()
    editor.engine = "slide"
    state = editor.get_state()
    assert "learning_rate" not in state
    assert state["max_steps"] == 20
    assert editor.get_state(["learning_rate", "seed"]) == {"seed": 3}
    assert "learning_rate" not in editor.trait_values()
    assert editor.trait_values()["max_steps"] == 20
    assert repr(editor).startswith("<Editor")


@pytest.mark.parametrize(
    ("config", "name", "value", "said"),
    [
        (Natural(common=0.0), "own", 0.0, "own and common are both 0, so no row could change"),
        (Natural(), "block", (3, 4), "how content moves is read from one block, such as 3"),
        (DragConfig(), "typical", 1.2, "latents of this model do not differ"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_engine_refuses_is_refused_when_it_is_assigned(generator, monkeypatch, config, name, value, said):
    editor = Editor(generator, seed=3, config=config)

    def refuse(space):
        raise ValueError("latents of this model do not differ")

    if isinstance(config, DragConfig):
        monkeypatch.setattr(type(generator.space), "check_metric", refuse)
    try:
        before = getattr(editor, name)
        for assign in (setattr, lambda editor, *change: editor.settings.update([change])):
            with pytest.raises(traitlets.TraitError, match=said):
                assign(editor, name, value)
            assert getattr(editor, name) == before
    finally:
        editor.close()


def test_an_engine_that_cannot_serve_the_model_is_refused_in_its_sentence(slide):
    from random_stylegan2 import small_stylegan2

    editor = Editor(small_stylegan2(32))
    try:
        with pytest.raises(traitlets.TraitError, match="slide needs pictures of more than 32 px; choose draggan"):
            editor.engine = "slide"
        assert (editor.engine, type(editor.config)) == ("natural", Natural)
    finally:
        editor.close()


def test_a_new_editor_takes_settings_of_its_engine_and_refuses_those_of_others(generator, slide):
    editor = Editor(generator, engine="slide", pace=0.5)
    assert (editor.engine, editor.config) == ("slide", Slide(pace=0.5))
    editor.close()
    with pytest.raises(ValueError, match=LACKING):
        Editor(generator, config=Slide(), learning_rate=0.1)
    with pytest.raises(
        ValueError,
        match="there is no engine 'magic'; choose one of natural, draggan, .*fastdrag, slide",
    ):
        Editor(generator, engine="magic")


def test_a_name_that_no_engine_has_is_like_any_name_that_is_not_there(editor):
    with pytest.raises(AttributeError, match="'Editor' object has no attribute 'paint'"):
        getattr(editor, "paint")  # noqa: B009
    editor.note = "mine"
    assert editor.note == "mine"
    with pytest.raises(KeyError, match="the engine draggan has no setting 'paint', and no other engine has"):
        editor.settings["paint"]


def test_settings_do_not_hold_their_editor(generator):
    editor = Editor(generator)
    settings = editor.settings
    editor.close()
    del editor
    gc.collect()
    assert repr(settings) == "settings of an editor that is gone"
    with pytest.raises(ReferenceError, match="take those of another"):
        settings["learning_rate"]


def test_settings_asked_for_before_another_engine_is_chosen_are_not_asked_of_that_one(editor, slide):
    session, gate = editor._session, threading.Event()
    session.soon(gate.wait)  # so that all three wait together, as those of a page in a hurry do
    asked = [session.set_settings(values) for values in ({"max_steps": 100}, {"engine": "slide"}, {"pace": 0.5})]
    gate.set()
    for each in asked:
        each.result(30)
    assert session.config == Slide(pace=0.5)


def test_undo_says_why_there_is_nothing_to_take_back(editor, generator, tmp_path):
    with pytest.raises(ValueError, match="^nothing to undo yet: the edit is as it began$"):
        editor.undo()
    editor.points = [{"handle": [20, 20], "target": [40, 20]}]
    editor.step_once()
    editor.save(tmp_path / "a.drag")
    again = Editor.load(tmp_path / "a.drag", model=generator)
    try:
        with pytest.raises(ValueError, match="^nothing to undo: what was done before this is not kept; reset leads"):
            again.undo()
        with pytest.raises(ValueError, match="^nothing to redo: the last thing done was no undo$"):
            again.redo()
    finally:
        again.close()
