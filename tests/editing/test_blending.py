"""What shows outside the mask: the same picture wherever one is made, and whatever is done to mask and latent."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from random_stylegan2 import small_stylegan2

from draggan_widget import Editor, drag
from draggan_widget.analysis import drag_many
from draggan_widget.config import DragConfig
from draggan_widget.editing import History, Model, Session, code_of, load_drag, save_drag
from draggan_widget.editing.code import is_code
from draggan_widget.editing.films import _Frames
from draggan_widget.engines import Natural, State, begin_with, drag_steps, to_image
from draggan_widget.widget.stream import _same_picture

BLENDED = DragConfig(learning_rate=0.05, max_steps=60, blend="features")
MASK, OTHER = np.zeros((64, 64), np.float32), np.zeros((64, 64), np.float32)
MASK[20:44, 20:44] = 1
OTHER[40:60, 4:24] = 1


@pytest.fixture
def make(generator):
    made = []

    def make(config=BLENDED):
        made.append(Session(generator, seed=3, truncation=0.7, config=config))
        return made[-1]

    yield make
    for session in made:
        session.close()


def pull(session, steps=3, handle=(30, 30), target=(36, 30), number=1):
    session.put_point(number, handle=handle, target=target)
    for _ in range(steps):
        session.step_once().result(20)


def masked(make, config=BLENDED):
    session = make(config)
    session.set_mask(MASK).result(20)
    pull(session)
    return session


def plain(generator, ws):
    return np.asarray(to_image(generator.synthesize(ws)))


def same(one, other):
    return np.array_equal(np.asarray(one), np.asarray(other))


def outside(picture, mask):
    """The pixels farther than a cell of the blended block (8 x 8 of 64) from a mask."""
    wide = torch.nn.functional.max_pool2d(torch.from_numpy(mask)[None, None], 17, 1, 8)[0, 0].numpy()
    return np.asarray(picture)[wide == 0]


# --- the setting ---------------------------------------------------------------------------------------------------


def test_natural_blends_and_what_is_of_before_the_setting_does_not():
    assert Natural().blend == "features"
    assert {DragConfig().blend, DragConfig.paper().blend, DragConfig.official().blend} == {"none"}
    for settings in (Natural(), BLENDED):
        before = settings.to_dict()
        del before["blend"]
        assert type(settings).from_dict(before).blend == "none"
        assert type(settings).from_dict(settings.to_dict()) == settings
        with pytest.raises(ValueError, match="blend is 'half'; choose one of features, picture, none"):
            settings.replace(blend="half")


def test_outside_the_mask_shows_the_first_picture_to_the_bit_and_without_the_setting_what_was_pulled(make, generator):
    session = masked(make)
    ws, first = session.now().drag.ws, session.before()
    shown = session.picture()
    assert same(outside(shown, MASK), outside(first, MASK))
    assert not same(shown, first)
    assert not same(outside(plain(generator, ws), MASK), outside(first, MASK))
    session.set_settings({"blend": "none"}).result(20)
    assert same(session.picture(), plain(generator, ws))
    session.set_settings({"blend": "picture"}).result(20)
    faded = session.picture()
    assert same(outside(faded, MASK), outside(first, MASK))
    assert not same(faded, shown)
    session.set_settings({"blend": "features"}).result(20)
    assert same(session.picture(), shown)


def test_with_nothing_pulled_a_mask_changes_no_pixel(make):
    session = make()
    before = session.picture()
    session.set_mask(MASK).result(20)
    assert same(session.picture(), before)


# --- one picture everywhere ----------------------------------------------------------------------------------------


def test_whoever_makes_a_picture_makes_the_same_one(make, generator, tmp_path):
    session = masked(make)
    document, shown = session.now(), session.picture()
    assert same(session.glimpse(document, quick=False).picture, shown)
    assert same(session.glimpse(document, quick=True).picture, shown)
    assert same(document.drag.image, shown)
    history = History(document.records, generator)
    assert same(history.picture(), shown)
    *_, last = _Frames(document, generator, False)
    assert same(last, shown)
    save_drag(tmp_path / "edit.drag", document, generator, None)
    assert same(load_drag(tmp_path / "edit.drag", generator).drag.image, shown)
    small = shown.resize((64, 64), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(history.thumbnail(), float) - np.asarray(small)).mean() < 1
    assert same(session.thumbnail(document), history.thumbnail())


def test_pictures_of_the_past_are_blended_as_the_present_one_is(make, generator):
    session = masked(make, BLENDED.replace(blend="none"))
    ws = torch.from_numpy(session.now().records[1].ws)
    session.look(1).result(20)
    assert same(session.picture(session.latest.seen), plain(generator, ws))
    session.look(None).result(20)
    session.set_settings({"blend": "features"}).result(20)
    session.look(1).result(20)
    shown = session.picture(session.latest.seen)
    assert same(outside(shown, MASK), outside(session.before(), MASK))
    document = session.now()
    assert same(History(document.records, generator, blend="features").picture(1), shown)
    frames = list(_Frames(document, generator, False))
    assert same(frames[1], shown)
    assert same(frames[-1], session.picture(document))


@pytest.mark.parametrize("way", ["one run", "step by step"])
def test_code_makes_the_same_picture(make, generator, way, tmp_path):
    session = masked(make)
    if way == "step by step":
        session.set_mask(OTHER).result(20)
        pull(session, handle=(14, 50), target=(14, 46), number=2)
    document = session.now()
    text = code_of(document, Model(generator))
    assert ("drag(\n" in text) is (way == "one run")
    names = {"generator": generator}
    exec(compile(text, "<code>", "exec"), names)
    assert torch.equal(names["ws"], document.drag.ws)
    assert same(names["image"], session.picture())
    (tmp_path / "edit.py").write_text(text)
    assert is_code(tmp_path / "edit.py")


def test_results_jobs_and_the_editor_show_it_too(generator):
    job = {"seed": 3, "handles": [[30, 30]], "targets": [[36, 30]], "mask": MASK.tolist()}
    settings = {"learning_rate": 0.05, "max_steps": 5, "blend": "features"}
    pictures = []
    drag_many(
        generator,
        [{**job, "engine": "draggan", "config": settings}],
        pictures=True,
        progress=lambda done, total, outcome: pictures.append(outcome.picture),
    )
    ws = generator.mapping(seed=3, truncation=0.7)
    config = generator.drag_config.replace(**settings)
    result = drag(generator, ws, [(30, 30)], [(36, 30)], MASK, config)
    assert same(result.image, pictures[0])
    assert same(outside(result.image, MASK), outside(result.before, MASK))
    editor = Editor(generator, seed=3, config=config)
    editor.mask = MASK
    editor.points = [{"handle": [30, 30], "target": [36, 30]}]
    for _ in range(result.steps):
        editor.step_once()
    assert same(editor.image, result.image)
    assert same(editor.history.picture(), result.image)
    editor.close()
    states = list(drag_steps(generator, ws, [(30, 30)], [(36, 30)], MASK, config))
    assert same(History.of(generator, states).picture(), result.image)


# --- masks and latents that change ---------------------------------------------------------------------------------


def test_another_mask_keeps_the_picture_of_now_and_what_is_pulled_then_shows_inside_it_alone(make):
    session = masked(make)
    first = session.picture()
    session.set_mask(OTHER).result(20)
    assert same(session.picture(), first)
    pull(session, handle=(14, 50), target=(14, 46), number=2)
    second = session.picture()
    assert not same(second, first)
    assert same(outside(second, OTHER), outside(first, OTHER))
    session.set_mask(None).result(20)
    assert same(session.picture(), second)


def test_a_mask_after_a_free_pull_keeps_the_pulled_picture_and_not_the_first_one(make, generator):
    session = make()
    pull(session)
    turned = session.picture()
    assert same(turned, plain(generator, session.now().drag.ws))
    session.set_mask(OTHER).result(20)
    pull(session, handle=(14, 50), target=(14, 46), number=2)
    assert same(outside(session.picture(), OTHER), outside(turned, OTHER))


def test_undo_and_redo_lead_through_the_same_pictures(make):
    session = masked(make)
    pictures = [session.picture()]
    session.set_mask(OTHER).result(20)
    pull(session, steps=2, handle=(14, 50), target=(14, 46), number=2)
    pictures.append(session.picture())
    session.undo().result(20)
    session.undo().result(20)
    session.undo().result(20)
    session.undo().result(20)
    assert same(session.picture(), pictures[0])
    for _ in range(4):
        session.redo().result(20)
    assert same(session.picture(), pictures[1])
    session.reset(keep_points=True).result(20)
    assert same(session.picture(), session.before())
    session.set_latent(session.now().model.generator.mapping(seed=9)).result(20)
    assert same(session.picture(), session.before())


def test_a_file_keeps_what_shows_outside_a_later_mask_and_goes_on_exactly(make, generator, tmp_path):
    session = masked(make)
    session.set_mask(OTHER).result(20)
    pull(session, handle=(14, 50), target=(14, 46), number=2)
    document = session.now()
    save_drag(tmp_path / "edit.drag", document, generator, None)
    again = load_drag(tmp_path / "edit.drag", generator)
    assert len(again.drag.layers) == 3
    assert same(again.drag.image, session.picture())
    for record, other in zip(document.records, again.records, strict=True):
        one, two = (each.kept.state(generator, each.ws) for each in (record, other))
        assert same(one.image, two.image)
    assert same(again.drag.steps(2).image, document.drag.steps(2).image)


def test_views_are_sent_another_picture_exactly_when_it_is_another_one(make):
    session = masked(make)
    pulled = session.latest
    session.set_mask(OTHER).result(20)
    assert _same_picture(pulled, session.latest)
    for blend in ("picture", "none"):
        before = session.latest
        session.set_settings({"blend": blend}).result(20)
        assert not _same_picture(before, session.latest)


def test_an_engine_without_the_setting_shows_its_latent(generator):
    state = State.begin(generator, generator.mapping(seed=3), DragConfig())
    assert len(state.layers) == 1
    assert same(state.image, plain(generator, state.ws))


def test_natural_holds_what_lies_outside_a_mask_as_it_was_when_the_mask_was_set(tmp_path, monkeypatch):
    monkeypatch.setenv("DRAGGAN_WIDGET_CACHE", str(tmp_path))
    model = small_stylegan2(w_dim=64, z_dim=64, channels={4: 48, 8: 48, 16: 48, 32: 48, 64: 24})
    free = drag(model, model.mapping(seed=0), [(24, 30)], [(30, 30)], config=Natural()).state
    assert free.step
    masked = free.with_mask(OTHER).add_point(2, (14, 50), (14, 47))
    while masked.verdict is None:
        (masked,) = masked.advance()
    distances = [
        np.abs(plain(model, masked.ws).astype(float) - plain(model, each))[OTHER == 0].mean()
        for each in (free.ws, free.w0)
    ]
    assert distances[0] < distances[1]
    assert same(outside(masked.image, OTHER), outside(free.image, OTHER))


def test_points_set_with_a_mask_begin_at_the_first_picture(generator):
    state = begin_with(generator, generator.mapping(seed=3), [(1, (30, 30), (36, 30))], MASK, BLENDED)
    assert same(state.image, plain(generator, state.w0))
    content = io.BytesIO()
    state.steps(1).image.save(content, "PNG")
    assert content.tell()
