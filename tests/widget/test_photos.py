"""A photograph in the editor: opened beside the edit, cancelled, undone, and put back."""

from __future__ import annotations

import gc
import io
import json
import threading
import time
import weakref

import numpy as np
import pytest
from page import Page
from PIL import Image
from random_stylegan2 import small_stylegan2

from draggan_widget import DragConfig, Editor
from draggan_widget.editing import DragFileError, in_thread
from draggan_widget.editing.fitting import Fitting
from draggan_widget.inversion import Inversion, Square, open_photo
from draggan_widget.models import fingerprint

NEVER = DragConfig(learning_rate=0.05, tolerance=0.0, stall_steps=None, max_steps=None)
QUICK = Inversion(pivot_steps=6, tuning_steps=6)
SLOW = Inversion(pivot_steps=10_000)
LONG = Inversion(pivot_steps=4, tuning_steps=10_000, enough=100)
POINT = {"handle": [9, 9], "target": [14, 9]}


@pytest.fixture(scope="module")
def photo():
    """A photograph of 90 × 80 px in which a picture of 32 px lies in the middle."""
    noise = np.random.RandomState(0).randint(0, 256, (20, 22, 3)).astype(np.uint8)
    return Image.fromarray(noise).resize((90, 80), Image.Resampling.BICUBIC)


@pytest.fixture(autouse=True)
def without_dlib(monkeypatch):
    """Noise has no faces, and dlib takes its time to be loaded."""

    def missing():
        raise ModuleNotFoundError("no dlib here")

    for place in ("photo", "alignment"):
        monkeypatch.setattr(f"draggan_widget.inversion.{place}.loaded_landmarks", missing)


@pytest.fixture
def make():
    made = []

    def make(**settings):
        made.append(Editor(small_stylegan2(32), **{"seed": 3, **settings}))
        return made[-1]

    yield make
    for editor in made:
        editor.close()


def until(true, timeout=20):
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_photograph_is_opened_pulled_put_back_undone_and_done_again(make, photo):
    editor = make(points=[POINT])
    before = editor.generator
    editor.open_photo(photo, square=(44.5, 39.5, 40), settings=QUICK)
    assert (editor.model, editor.points, editor.status) == ("photograph", [], "idle")
    assert editor.photo.report.steps == 5
    assert editor.image.tobytes() == editor.photo.crop.tobytes()
    editor.residual = "none"
    assert editor.image.tobytes() == editor.photo.fitted.tobytes()
    editor.undo()
    assert editor.residual == "carried"
    assert editor.photograph().tobytes() == photo.tobytes()  # to the bit: nothing was edited
    editor.points = [POINT]
    editor.start()
    until(lambda: editor.status != "running")
    edited = np.asarray(editor.photograph()).astype(int) - np.asarray(photo)
    assert np.abs(edited).max() > 3
    assert not edited[:19].any()
    editor.mask = np.zeros((32, 32))
    assert editor.photograph().tobytes() == photo.tobytes()
    assert np.abs(np.asarray(editor.photograph(whole=True)).astype(int) - np.asarray(photo)).max() == 0
    while editor.generator is not before:
        editor.undo()
    assert (editor.model, len(editor.points), editor.photo) == ("StyleGAN2", 1, None)
    with pytest.raises(ValueError, match=r"not of a photograph; open one by editor.open_photo"):
        editor.photograph()
    editor.redo()
    assert editor.photo is not None


def test_the_page_is_told_of_the_setting_for_details_while_a_photograph_is_edited_and_shows_what_it_makes(make, photo):
    editor = make()
    page = page_of(editor)
    page.say("schema", view="page")
    page.wait_for(lambda p: p.of("schema"))
    assert "residual" not in [field["name"] for field in page.of("schema")[-1]["fields"]]
    assert "residual" not in page.of("state")[-1]["settings"]
    with pytest.raises(AttributeError):
        editor.residual  # noqa: B018 - there is none
    editor.open_photo(photo, square=(44.5, 39.5, 40), settings=QUICK)
    page.wait_for(lambda p: p.of("state")[-1]["settings"].get("residual") == "carried")
    assert "residual" in [field["name"] for field in page.of("schema")[-1]["fields"]]
    page.say("settings", view="page", values={"residual": "none"})
    page.wait_for(lambda p: p.of("state")[-1]["settings"]["residual"] == "none")
    assert page.of("state")[-1]["defaults"]["residual"] == "carried"
    assert editor.image.tobytes() == editor.photo.fitted.tobytes()
    editor.undo()
    assert editor.residual == "carried"
    while editor.photo is not None:
        editor.undo()
    page.wait_for(lambda p: "residual" not in [field["name"] for field in p.of("schema")[-1]["fields"]])


def page_of(editor):
    page = Page(editor)
    page.say("ready", view="page")
    page.wait_for(lambda p: p.of("state") and p.of("mask"))
    return page


def until_stage(page, stage):
    """Until a photograph is in that stage; returns its job as the page knows it."""
    page.wait_for(lambda p: [job["stage"] for job in p.of("state")[-1]["jobs"]] == [stage])
    return page.of("state")[-1]["jobs"][0]


def encoded(photo):
    file = io.BytesIO()
    photo.save(file, "PNG")
    return file.getvalue()


def upload(page, data, name="me.png", part=1 << 20, view="page"):
    for at in range(0, len(data), part):
        page.say("photo", [data[at : at + part]], view=view, name=name, size=len(data), at=at)


def test_the_guess_is_seen_at_once_and_cancel_leads_back_to_the_edit_that_was_there(make, photo):
    editor = make(config=NEVER, points=[POINT])
    page = page_of(editor)
    editor.start()
    until(lambda: editor.step > 1)
    editor.stop()
    before, step = editor.latent, editor.step
    waiting = editor._session.open_photo(open_photo(photo), settings=SLOW)
    job = until_stage(page, "pivot")
    page.wait_for_state(photo=True, generator="photograph", points=[], status="idle")
    assert (job["what"], job["name"], job["note"]) == ("opening", "photograph", "Fitting photograph")
    first = editor.image
    until(lambda: editor.image.tobytes() != first.tobytes())  # it is seen getting nearer
    page.say("cancel", id=job["id"])
    page.wait_for_state(jobs=[], photo=False, step=step)
    assert waiting.cancelled()
    assert editor.photo is None
    assert np.array_equal(editor.latent, before)


def test_tuning_waits_while_somebody_pulls_and_goes_on_until_it_is_good_enough(make, photo):
    editor = make(config=NEVER)
    page = page_of(editor)
    waiting = editor._session.open_photo(open_photo(photo), square=(44.5, 39.5, 40), settings=LONG)
    until_stage(page, "tuning")
    page.say("point", id=1, **POINT, pulling=True, start=True)
    page.wait_for(lambda p: p.of("state")[-1]["step"] > 3)
    assert "waits while you pull" in page.of("state")[-1]["jobs"][0]["note"]
    weights = editor._session.read(lambda: fingerprint(editor.generator))
    step = editor._session.newest().step
    page.wait_for(lambda p: p.of("state")[-1]["step"] > step + 5)
    assert editor._session.read(lambda: fingerprint(editor.generator)) == weights
    page.say("point", id=1, target=[13, 9], pulling=False)
    page.say("stop")
    page.wait_for_status("stopped")
    until(lambda: editor._session.read(lambda: fingerprint(editor.generator)) != weights)
    page.say("enough", stage="pivot")  # of a stage that is over: it means nothing
    assert not waiting.done()
    page.say("enough", stage="tuning")
    waiting.result(20)
    page.wait_for_state(jobs=[])
    assert editor.step > 3
    assert [point["id"] for point in editor.points] == [1]
    assert editor.photo.report.steps > 0
    assert editor.photo.tuned.changes
    step = editor.step
    editor.start()  # the edit goes on with the weights that it has come to
    until(lambda: editor.step > step)
    editor.stop()


def test_a_pull_ends_the_fit_so_that_it_has_a_latent_to_begin_from(make, photo):
    editor = make(config=NEVER)
    page = page_of(editor)
    waiting = editor._session.open_photo(open_photo(photo), settings=Inversion(pivot_steps=10_000, tuning_steps=3))
    until_stage(page, "pivot")
    page.say("point", id=1, **POINT, pulling=True, start=True)
    page.wait_for(lambda p: p.of("state")[-1]["step"] > 2)
    assert page.of("state")[-1]["jobs"][0]["stage"] == "tuning"
    page.say("point", id=1, target=[13, 9], pulling=False)
    page.say("stop")
    waiting.result(20)
    assert editor.photo.report.steps == 2


def test_undo_while_it_is_tuned_ends_that_and_redo_leads_to_what_it_had_come_to(make, photo):
    editor = make()
    before = editor.generator
    waiting = editor._session.open_photo(open_photo(photo), settings=LONG)
    until_stage(page_of(editor), "tuning")
    until(lambda: editor.photo.tuned.changes)  # it has come to something
    editor.undo()
    assert editor.generator is before
    waiting.result(20)
    assert editor.photo is None
    editor.redo()
    assert editor.photo.tuned.changes


def test_what_fails_in_the_midst_leads_back_to_the_edit_that_was_there(make, photo, monkeypatch):
    editor = make(points=[POINT])
    before = editor.generator

    def failing(self):
        yield from ()
        raise MemoryError("no room for gradients")

    monkeypatch.setattr("draggan_widget.inversion.photo.Tuner.steps", failing)
    with pytest.raises(MemoryError):
        editor.open_photo(photo, settings=QUICK)
    assert editor.generator is before
    assert len(editor.points) == 1
    assert "photograph was not opened: there is not enough memory" in editor._session.latest.trouble


def test_a_page_sends_the_bytes_in_parts_and_is_asked_where_no_face_is_found(make, photo):
    editor = make()
    page = page_of(editor)
    data = encoded(photo)
    upload(page, data, part=len(data) // 2 + 1)
    until_stage(page, "placing")
    assert [message["at"] for message in page.of("part")] == [len(data) // 2 + 1, len(data)]
    (placing,) = page.of("placing")
    assert (placing["width"], placing["height"], placing["shape"]) == (90, 80, 1)
    assert placing["squares"] == [[44.5, 39.5, 80, 0]]
    assert placing["note"]
    ((_, (glance,)),) = [told for told in page.told if told[0]["type"] == "placing"]
    assert Image.open(io.BytesIO(glance)).size == (90, 80)
    page.say("place", x=40, y=39.5, size=40, angle=3)
    page.wait_for_state(photo=True, generator="me")
    assert editor.photo.square == Square(40, 39.5, 40, 3)
    page.say("place", x=50, y=39.5, size=40, angle=0)  # thought better of
    until(lambda: getattr(editor.photo, "square", None) == Square(50, 39.5, 40))
    page.say("enough", stage="")
    page.wait_for_state(jobs=[], photo=True)


def test_of_one_that_python_opens_the_square_may_be_placed_as_well_and_whoever_waits_goes_on_waiting(make, photo):
    editor = make(points=[POINT])
    page = page_of(editor)
    waiting = editor._session.open_photo(open_photo(photo), ask=editor._ask, settings=LONG)
    until_stage(page, "tuning")
    assert page.of("placing")[-1]["squares"] == [[44.5, 39.5, 80, 0]]
    assert "no dlib here" in page.of("placing")[-1]["note"]
    page.say("place", x=40, y=39.5, size=40, angle=0)
    until(lambda: getattr(editor.photo, "square", None) == Square(40, 39.5, 40))
    assert not waiting.done()
    page.say("enough", stage="")
    waiting.result(20)
    editor.undo()
    assert len(editor.points) == 1


class Two:
    """Finds two faces in a photograph, and one in every picture of the model, in place of dlib."""

    face = np.random.RandomState(0).uniform(5, 27, (68, 2))

    def __call__(self, picture):
        return self.face

    def all(self, photo, at_least=1):
        return [self.face * 1.5 + np.array([4, 20]), self.face + np.array([50, 10])]


def test_of_several_faces_the_page_is_asked_which_and_that_one_is_taken(make, photo, monkeypatch, tmp_path):
    monkeypatch.setenv("DRAGGAN_WIDGET_CACHE", str(tmp_path))
    monkeypatch.setattr("draggan_widget.inversion.alignment.loaded_landmarks", Two)
    editor = make()
    page = page_of(editor)
    upload(page, encoded(photo))
    until_stage(page, "placing")
    (placing,) = page.of("placing")
    assert placing["note"] == "2 faces were found: choose one."
    assert [square[2] for square in placing["squares"]] == pytest.approx([48, 32])
    x, y, size, angle = placing["squares"][1]
    page.say("place", x=x, y=y, size=size, angle=angle)
    page.wait_for_state(photo=True, generator="me")
    assert editor.photo.square == Square(x, y, size, angle)
    page.say("enough", stage="")
    page.wait_for_state(jobs=[], photo=True)


def test_another_model_that_is_loaded_while_a_photograph_is_tuned_takes_its_place_and_undo_leads_back(make, photo):
    editor = make(points=[POINT])
    before = editor.generator
    page = page_of(editor)
    waiting = editor._session.open_photo(open_photo(photo), settings=LONG)
    until_stage(page, "tuning")
    until(lambda: editor.photo.tuned.changes)
    editor.load_model(small_stylegan2(64))
    waiting.result(20)
    page.wait_for_state(jobs=[], width=64, photo=False)
    assert editor.photo is None
    editor.undo()
    assert editor.photo.tuned.changes
    assert editor.photo.report.steps < LONG.tuning_steps
    while editor.generator is not before:
        editor.undo()
    assert len(editor.points) == 1


def test_a_view_that_comes_while_a_square_is_waited_for_is_asked_as_well(make, photo):
    editor = make()
    page = page_of(editor)
    upload(page, encoded(photo))
    until_stage(page, "placing")
    page.say("ready", view="other")
    page.wait_for(lambda p: len(p.of("placing")) > 1)


def test_another_photograph_or_model_does_not_wait_for_a_square_that_nobody_places(make, photo):
    editor = make()
    page = page_of(editor)
    upload(page, encoded(photo), "one.png")
    until_stage(page, "placing")
    upload(page, encoded(photo), "two.png")
    page.wait_for(lambda p: [job["name"] for job in p.of("state")[-1]["jobs"]] == ["two.png"])
    until_stage(page, "placing")
    editor.load_model(small_stylegan2(64))
    page.wait_for_state(jobs=[], width=64)
    page.say("place", x=40, y=40, size=40, angle=0)
    page.wait_for(lambda p: p.of("notice"))
    assert "no photograph is being opened" in page.of("notice")[-1]["text"]


def test_what_a_page_sends_amiss_is_refused_and_the_edit_stays(make, photo):
    editor = make()
    page = page_of(editor)
    data = encoded(photo)
    upload(page, data[:100])
    page.say("photo", [data[50:100]], view="other", name="b.png", size=len(data), at=50)
    page.wait_for(lambda p: {"type": "part", "view": "other", "at": -1} in p.of("part"))
    for size, at, part in [(10**9, 0, b"abc"), (5, 3, b"abc"), (5, 0, b""), (0, 0, b"abc")]:
        told = len(page.of("notice"))
        page.say("photo", [part], view="page", name="c.png", size=size, at=at)
        page.wait_for(lambda p, told=told: len(p.of("notice")) > told)
    page.say("photo", [b"no picture"], view="page", name="notes.txt", size=10, at=0)
    page.wait_for(lambda p: "is no picture that can be read" in p.of("state")[-1]["trouble"])
    assert page.of("state")[-1]["trouble"].startswith("notes.txt was not opened: ")
    assert editor.photo is None
    page.say("place", x=1, y=1, size=float("nan"), angle=0)
    page.wait_for(lambda p: "finite" in p.of("notice")[-1]["text"])


def test_the_page_saves_the_photograph_in_full_size_with_all_other_pixels_as_they_were(make, photo):
    editor = make()
    page = page_of(editor)
    editor.open_photo(photo, square=(44.5, 39.5, 40), settings=QUICK)
    page.say("before")
    page.wait_for(lambda p: p.of("before"))
    ((_, (before,)),) = [told for told in page.told if told[0]["type"] == "before"]
    assert Image.open(io.BytesIO(before)).convert("RGB").tobytes() == editor.photo.crop.tobytes()
    editor.points = [POINT]
    editor.start()
    until(lambda: editor.status != "running")
    page.say("export", kind="photo", handles=False)
    page.wait_for(lambda p: p.of("export"))
    ((head, (file,)),) = [told for told in page.told if told[0]["type"] == "export"]
    assert (head["name"], head["mime"]) == ("photograph-edited.png", "image/png")
    saved = np.asarray(Image.open(io.BytesIO(file)))
    assert saved.tobytes() == np.asarray(editor.photograph()).tobytes()
    assert np.array_equal(saved[:19], np.asarray(photo)[:19])
    assert not np.array_equal(saved, np.asarray(photo))
    assert json.loads(Image.open(io.BytesIO(file)).text["Comment"])["generator"] == "StyleGAN2"
    page.say("ready", view="page")  # it has said nothing for long
    page.say("new_image", seed=5)
    page.wait_for_state(seed=5, photo=False)  # which is none, though its model was tuned for one


def test_a_saved_edit_of_a_photograph_opens_elsewhere_and_goes_on_exactly(make, photo, tmp_path):
    editor = make(points=[POINT])
    photo = photo.copy()
    photo.putalpha(Image.linear_gradient("L").resize(photo.size))
    editor.open_photo(photo, square=(44.5, 39.5, 40, 5), settings=QUICK)
    editor.points = [POINT]
    editor.step_once()
    editor.save(tmp_path / "me.drag")
    other = Editor.load(tmp_path / "me.drag", model=small_stylegan2(32))
    for each in (editor, other):
        each.step_once()
    assert other.image.tobytes() == editor.image.tobytes()
    assert np.array_equal(other.latent, editor.latent)
    assert other.photograph().tobytes() == editor.photograph().tobytes()
    assert other.photo.report == editor.photo.report
    assert other.model == "photograph"
    other.save(tmp_path / "again.drag")
    other.close()
    with pytest.raises(DragFileError, match="another generator"):
        Editor.load(tmp_path / "me.drag", model=small_stylegan2(64))


def test_the_code_of_an_edit_of_a_photograph_fits_it_again(make, photo):
    editor = make()
    editor.open_photo(photo, square=(44.5, 39.5, 40), settings=QUICK)
    code = editor.code()
    assert 'photo = invert(generator, "photograph", square=(44.50, 39.50, 40.00, 0.00))' in code
    assert "ws = photo.latent" in code
    known = {"generator": small_stylegan2(32)}
    short = code.replace('"photograph"', "me").replace("0.00))", "0.00), settings=quick)")
    exec(compile(short, "code", "exec"), known | (names := {"me": photo, "quick": QUICK}) | known, names)
    assert names["image"].tobytes() == editor.image.tobytes()


def test_undo_leads_back_to_a_photograph_whose_copy_was_let_go_of_and_it_is_the_same_to_the_bit(make, photo):
    editor = make()
    editor.open_photo(photo, square=(44.5, 39.5, 40), settings=QUICK)
    editor.points = [POINT]
    editor.step_once()
    picture, latent, report = editor.image, editor.latent, editor.photo.report
    first = weakref.ref(editor.generator)
    editor.open_photo(photo.rotate(90), settings=QUICK)
    until(lambda: gc.collect() is not None and first() is None)  # one tuned copy at a time
    second = editor.image
    editor.undo()
    assert (editor.image.tobytes(), editor.step) == (picture.tobytes(), 1)
    assert np.array_equal(editor.latent, latent)
    assert editor.photo.report == report
    assert editor.photograph().size == photo.size
    editor.undo()
    assert editor.step == 0
    editor.redo()
    editor.redo()
    assert editor.image.tobytes() == second.tobytes()
    editor.undo()
    editor.step_once()
    assert editor.step == 2


def test_the_oldest_photograph_is_given_up_with_a_word_where_undo_would_hold_too_much(make, photo, monkeypatch):
    editor = make(points=[POINT])
    editor.open_photo(photo, settings=QUICK)
    size = editor._session.newest().model.packed.nbytes
    monkeypatch.setattr("draggan_widget.editing.undo.MOST_PHOTO_BYTES", size + size // 2)
    editor.open_photo(photo.rotate(90), settings=QUICK)
    assert editor._session.latest.can_undo
    editor.open_photo(photo.rotate(180), settings=QUICK)
    past = editor._session.read(lambda: editor._session._live.undo.past)
    assert len({id(entry.document.photo) for entry in past}) == 1
    editor.undo()
    assert editor.photo is not None
    with pytest.raises(ValueError, match="nothing to undo"):
        editor.undo()


def test_what_is_given_up_is_said(make, photo, monkeypatch):
    editor = make()
    page = page_of(editor)
    monkeypatch.setattr("draggan_widget.editing.undo.MOST_PHOTO_BYTES", 100)
    editor.open_photo(photo, settings=QUICK)
    editor.open_photo(photo.rotate(90), settings=QUICK)
    page.wait_for(lambda p: any("Undo no longer leads back to photograph" in s["message"] for s in p.of("state")))


def test_the_constructor_takes_one_and_does_not_wait_but_says_at_once_what_is_wrong_with_it(
    make, photo, tmp_path, monkeypatch
):
    path = tmp_path / "me at sea.png"
    photo.save(path)
    begun, go_on, work = threading.Event(), threading.Event(), Fitting.work

    def held(fitting):
        begun.set()
        yield from in_thread(lambda tell: go_on.wait(60))
        return (yield from work(fitting))

    monkeypatch.setattr(Fitting, "work", held)
    editor = make(photo=path)  # returns, though the photograph is not fitted before the test says so
    assert begun.wait(20)
    assert editor.photo is None
    assert editor._session.latest.loading == "me at sea.png"
    go_on.set()
    until(lambda: editor.photo is not None)
    assert (editor.model, editor.photo.crop.size) == ("me at sea.png", (32, 32))
    with pytest.raises(ValueError, match="nothing is fetched"):
        make(photo="https://example.org/me.png")
    with pytest.raises(FileNotFoundError, match="no file"):
        make(photo=tmp_path / "none.png")


def test_of_two_photographs_both_are_of_the_model_as_it_came_and_the_first_copy_is_let_go_of(make, photo):
    editor = make()
    base = editor.generator
    editor.open_photo(photo, settings=QUICK)
    own = editor.generator.state_dict()
    assert all(weight.data_ptr() == own[name].data_ptr() for name, weight in editor.photo.tuned.changes.items())
    del own
    first = weakref.ref(editor.generator)
    for _ in range(3):
        editor.open_photo(photo, settings=QUICK)
    assert editor.photo.tuned.base == fingerprint(base)
    assert editor._session.newest().model.untuned.generator is base
    until(lambda: gc.collect() is not None and first() is None)


def test_what_cannot_be_used_leaves_the_edit_as_it_is(make, photo):
    editor = make(points=[POINT])
    with pytest.raises(ValueError, match="beside the photograph"):
        editor.open_photo(photo, square=(900, 900, 40))
    assert editor.photo is None
    assert len(editor.points) == 1
