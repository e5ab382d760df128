"""What a person is told at the end of a run, and of what has gone astray."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from random_stylegan2 import small_stylegan2

from draggan_widget import DragConfig, Editor, load_generator
from draggan_widget.editing import diagnostics, sentences
from draggan_widget.editing.diagnostics import OUTSIDE, far_out, strayed
from draggan_widget.engines.natural import Natural


def document_of(*lefts, config=None, mask=None, course=(), label=None, ws=None):
    """An edit whose points have so far to go, after a course of such distances."""
    targets = np.zeros((len(lefts), 2))
    ids = tuple(range(1, len(lefts) + 1))
    records = tuple(
        SimpleNamespace(step=step, ids=ids, targets=targets, distances=np.array(each))
        for step, each in enumerate([*course, lefts])
    )
    drag = SimpleNamespace(ids=ids, distances=np.array(lefts), targets=targets, step=len(course), ws=ws)
    return SimpleNamespace(drag=drag, mask=mask, config=config or Natural(), records=records, label=label)


def test_as_near_as_it_gets_is_said_with_what_is_left_and_nothing_else():
    assert sentences.ended(document_of(1.04, 1.63), "near") == "As near as it gets: 1.6 px."


def test_what_stalled_gets_advice_about_what_there_is_and_of_nothing_else():
    one = sentences.ended(document_of(9.6, course=[[30], [12]]), "stalled")
    assert one == "No nearer than this, after 2 steps: 9.6 px to go. Try a nearer target or less locality."
    masked = document_of(9, 3, config=Natural(locality=0.5), mask=np.ones((4, 4)))
    assert sentences.ended(masked, "stalled").endswith(
        "Try a nearer target, fewer points, a larger mask or less locality."
    )
    assert sentences.ended(document_of(9, config=DragConfig()), "stalled").endswith("Try a nearer target.")


def test_who_was_clearly_nearer_before_is_told_at_which_step():
    swung = document_of(17, course=[[30], [4.21], [12]])
    assert sentences.ended(swung, "stalled").endswith(
        "It was nearest at step 1 (4.2 px), where the timeline leads back to."
    )
    trembled = document_of(9.6, course=[[30], [9.2]])
    assert "nearest" not in sentences.ended(trembled, "stalled")
    moved = document_of(17, course=[[30], [4.21]])
    moved.drag.targets = moved.drag.targets + 1
    assert "nearest" not in sentences.ended(moved, "stalled"), "these steps were on the way to another target"


def test_a_handle_whose_content_is_gone_is_said_to_be_lost_where_it_has_not_arrived():
    generator = small_stylegan2(32)
    ws = generator.mapping(seed=1)
    document = document_of(9, 0.5, ws=ws)
    assert strayed(generator, document, {1: 0.05, 2: 0.05}, "stalled").startswith("Point 1 is hardly found any more")
    assert strayed(generator, document, {1: 0.5, 2: 0.05}, "stalled") == ""
    both = document_of(9, 9, ws=ws)
    assert strayed(generator, both, {1: 0.05, 2: 0.05}, "capped").startswith("2 points are hardly found")


@pytest.mark.parametrize("status", ["running", "arrived", "near", "idle", "error"])
def test_nothing_has_gone_astray_in_a_run_that_goes_or_has_arrived(status):
    generator = small_stylegan2(32)
    document = document_of(9, ws=100 * generator.mapping(seed=1))
    assert strayed(generator, document, {1: 0.0}, status) == ""


@pytest.mark.parametrize("classes", [0, 3])
def test_a_latent_far_from_all_that_a_model_makes_is_said_to_be(classes):
    generator = small_stylegan2(32, c_dim=classes)
    label = 2 if classes else None
    drawn = generator.space.draw(seed=77, label=label)
    mean = generator.space.draw(seed=0, label=label, truncation=0.0)
    assert strayed(generator, document_of(9, ws=drawn, label=label), {}, "stalled") == ""
    far = mean + 2 * OUTSIDE * (drawn - mean)
    assert "far from what this model usually makes" in strayed(
        generator, document_of(9, ws=far, label=label), {}, "stopped"
    )
    assert far_out(generator, mean, label) == pytest.approx(0, abs=1e-3)


def test_how_far_latents_reach_keeps_no_model_alive():
    generator = small_stylegan2(32)
    far_out(generator, generator.mapping(seed=1), None)
    gone = weakref.ref(generator)
    del generator
    gc.collect()
    assert gone() is None
    assert all(torch.is_tensor(mean) for known in diagnostics._reaches.values() for mean, _ in known.values())


def test_faces_pulled_by_the_natural_engine_say_how_they_ended_in_words_that_fit():
    faces = load_generator("faces")

    editor = Editor(faces, seed=9, engine="natural")
    try:
        editor.points = [{"handle": [125, 141], "target": [20, 20]}]
        editor.start()
        result = editor._session.finished().result(120)
        assert result.reason == "stalled"
        newest = editor._session.newest()
        assert newest.message.startswith("No nearer than this, after")
        warning = editor._session.read(lambda: editor._views.describe(newest))["warning"]
        # Which of the two is noticed first hangs on the weights; each says what to do.
        far = "The picture is far from what this model usually makes. Try a nearer target"
        lost = "Point 1 is hardly found any more: the picture has changed too much there. Try a nearer target, or undo."
        assert warning.startswith((far, lost))
        for word in ("mask", "learning rate", "rows"):
            assert word not in newest.message + warning
    finally:
        editor.close()
