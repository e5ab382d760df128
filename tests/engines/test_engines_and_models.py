"""An engine says in one sentence why a model cannot serve it."""

from __future__ import annotations

import warnings

import pytest
import torch
from planted import Planted
from random_stylegan2 import small_stylegan2
from test_an_engine_of_ones_own import BoundNudge, Nudge

from draggan_widget import DragConfig, Editor, drag
from draggan_widget.engines import (
    Engine,
    Natural,
    State,
    bind,
    check_blocks,
    default_config,
    engine_named,
    register,
    unregister,
)


class Painter:
    """A model that makes pictures, and nothing else."""

    resolution, channels = (16, 16), 3

    def synthesize(self, latent):
        return torch.zeros(1, 3, 16, 16)


class Shapes(Painter):
    """One whose latents are known."""

    space = Planted((16, 16)).space


@pytest.fixture
def picky():
    class Picky(Engine):
        name, help, Settings = "picky", "A test's", Nudge
        needs = (*Engine.needs, "segment")

        def bind(self, model, settings):
            self.check_model(model)
            return BoundNudge(model, settings)

    yield register(Picky())
    unregister("picky")


NEEDED = "needs a space of latents, features, blocks and a latent of rows, which a model of the "


@pytest.mark.parametrize("config", [None, Natural(), DragConfig(), DragConfig.official()])
def test_a_model_that_only_makes_pictures_is_told_what_the_engine_needs(config):
    name = "draggan" if isinstance(config, DragConfig) else "natural"
    for attempt in (
        lambda: drag(Painter(), torch.zeros(1, 4, 2), [(3, 3)], [(9, 9)], config=config),
        lambda: State.begin(Painter(), torch.zeros(1, 4, 2), config),
        lambda: bind(Painter(), config),
        lambda: engine_named("draggan").bind(Painter(), config) if name == "draggan" else bind(Painter()),
    ):
        with pytest.raises(
            ValueError, match=f"^the engine {name} {NEEDED}kind Painter has not; choose another engine or model$"
        ):
            attempt()


def test_what_a_model_has_is_not_asked_for(picky):
    with pytest.raises(ValueError, match="^the engine natural needs features, blocks and a latent of rows, which"):
        bind(Shapes())
    with pytest.raises(ValueError, match="^the engine picky needs a space of latents and segment, which"):
        bind(Painter(), Nudge())
    shapes = Shapes()
    shapes.segment = None
    assert bind(shapes, Nudge()).model is shapes


def test_an_edit_stays_as_it_is_when_the_engine_chosen_cannot_serve_its_model(picky):
    generator = Planted((32, 32))
    state = State.begin(generator, generator.mapping(seed=1))
    with pytest.raises(ValueError, match="the engine picky needs segment, which a model of the kind Planted has not"):
        state.with_config(Nudge())
    assert state.config == Natural()


def test_a_block_that_a_model_lacks_is_named_with_those_there_are():
    generator = Planted((32, 32))
    with pytest.raises(ValueError, match="^config.block is 7; this generator has blocks 1 to 3, or leave it None$"):
        bind(generator, DragConfig(block=7))
    with pytest.raises(ValueError, match="^mine reads block 9; this generator has blocks 1 to 3$"):
        check_blocks(generator, (1, 9), "mine reads block 9")
    check_blocks(generator, (3, 1), "")


def test_an_unknown_engine_is_refused_with_those_there_are():
    for name in ("magic", None, 3, ["draggan"]):
        with pytest.raises(ValueError, match=r"^there is no engine .*; choose one of natural, draggan"):
            engine_named(name)
    with pytest.raises(TypeError, match=r"^dict is no engine's settings; give one of Natural, DragConfig"):
        bind(Planted((32, 32)), {"learning_rate": 0.1})


def test_a_model_that_carries_no_settings_is_dragged_with_the_engines_own():
    class Bare(Planted):
        def __init__(self):
            super().__init__((32, 32))
            del self.drag_config

    assert bind(Bare()).settings == Natural()
    assert default_config(Bare(), "draggan") == DragConfig()


# --- which engine pulls where nobody chose -------------------------------------------------------------------------


def test_what_a_model_carries_for_draggan_does_not_choose_the_engine():
    generator = Planted((32, 32))
    assert generator.drag_config != DragConfig()
    assert default_config(generator) == Natural()
    assert default_config(generator, "draggan") == generator.drag_config
    with pytest.raises(ValueError, match="there is no engine 'magic'"):
        default_config(generator, "magic")


def test_a_model_that_natural_cannot_serve_is_pulled_by_the_next_engine_which_is_said_once():
    model = small_stylegan2()
    with torch.no_grad():
        for weight in model.network["mapping"].parameters():
            weight.zero_()
    ws = model.mapping(seed=1)
    with pytest.warns(UserWarning, match=r"^the engine draggan pulls .* makes the same latent of every seed"):
        state = State.begin(model, ws)
    assert state.config == model.drag_config
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        editor = Editor(model)
        assert (editor.engine, drag(model, ws, [(20, 20)], [(20, 20)]).reason) == ("draggan", "arrived")
        editor.close()
    with pytest.raises(ValueError, match="makes the same latent of every seed"):  # who asked for it is told
        State.begin(model, ws, Natural())


def test_another_model_that_the_engine_in_use_cannot_serve_is_edited_with_one_that_can():
    model = small_stylegan2(seed=2)
    with torch.no_grad():
        for weight in model.network["mapping"].parameters():
            weight.zero_()
    editor = Editor(small_stylegan2(), seed=3)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            editor.load_model(model)
        assert editor.engine == "draggan"
        editor.undo()
        assert editor.engine == "natural"
    finally:
        editor.close()
