"""What is done to pictures after synthesis: all that are shown, saved or exported pass it."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image, ImageChops
from random_stylegan2 import small_stylegan2

from draggan_widget.editing import (
    DragFile,
    DragFileError,
    Model,
    Session,
    check_settings,
    code_of,
    container,
    dragfile,
    export,
    films,
    finished,
    is_code,
    pasted,
    settings_in_use,
    settings_there,
)
from draggan_widget.editing.beginnings import first_document, new_image, with_latent, with_model
from draggan_widget.editing.packed_photo import PackedPhoto
from draggan_widget.editing.sealed import Sealed
from draggan_widget.inversion import Inversion, invert
from draggan_widget.settings import SettingError


@pytest.fixture(scope="module")
def base():
    return Model(small_stylegan2(32), "small")


@pytest.fixture(scope="module")
def document(base):
    """The beginning of the edit of a photograph that is fitted."""
    noise = np.random.RandomState(0).randint(0, 256, (20, 22, 3)).astype(np.uint8)
    picture = Image.fromarray(noise).resize((60, 50), Image.Resampling.BICUBIC)
    photo = invert(base.generator, picture, square=(30, 25, 40), settings=Inversion(pivot_steps=2, tuning_steps=2))
    packed = PackedPhoto.of(photo, base.generator, "me.jpg")
    model = dataclasses.replace(base.tuned(photo, "me.jpg"), packed=packed)
    return with_model(first_document(base, None, 3, 0.7), model)


@pytest.fixture
def session(base, document):
    session = Session(base)
    session.read(lambda: session._live.restore(document))
    yield session
    session.close()


def same(one, other):
    return one.tobytes() == other.tobytes()


def test_an_edit_of_a_photograph_begins_with_its_details_and_other_edits_have_none(base, document):
    assert document.finish == ("residual",)
    assert "residual" in settings_there(document)
    assert settings_in_use(document)["residual"] == "carried"
    other = first_document(base, None, 3, 0.7)
    for plain in (other, new_image(document, 4, 0.7)):
        assert plain.finish == ()
        assert "residual" not in settings_there(plain)
        assert "residual" not in settings_in_use(plain)
    given = with_latent(document, document.drag.ws)  # which is no photograph's, though its model was tuned for one
    assert given.finish == ()
    assert "residual" not in settings_there(given)
    with pytest.raises(SettingError, match="residual is for the edit of a photograph; open one"):
        check_settings(given, None, {"residual": "carried"})
    picture = Image.new("RGB", (32, 32))
    assert finished(other, picture) is picture


def test_whatever_is_shown_saved_or_exported_passes_it(session, document):
    photo = document.model.photo
    assert not same(photo.crop, photo.fitted)
    assert same(session.picture(), photo.crop)
    assert same(session.picture(bare=True), photo.fitted)
    assert same(session.before(), photo.crop)
    shown = session.glimpse(document, quick=False)
    assert same(shown.picture, photo.crop)
    assert shown.exact
    moving = session.glimpse(document, quick=True)
    assert same(moving.picture, photo.crop)
    assert not moving.exact  # so that the exact one follows when the edit rests
    small, bare = (session.thumbnail(each) for each in (document, document.changed(finish=())))
    assert small.size == bare.size
    assert not same(small, bare)
    frames = films._Frames(document, document.model.generator, handles=False)
    assert same(next(iter(frames)), photo.crop)
    assert same(Image.open(io.BytesIO(export.png(session.picture(), provenance=None))), photo.crop)
    assert same(pasted(document, session.picture(bare=True))(), photo.picture)
    result = session.finished().result(60)
    assert same(result.image, photo.crop)
    assert same(result.before, photo.crop)


def test_pictures_of_the_model_alone_are_shown_while_it_is_still_fitted(document):
    fitting = document.changed(model=dataclasses.replace(document.model, packed=None))
    picture = document.model.photo.fitted
    assert finished(fitting, picture) is picture
    assert same(finished(document, picture), document.model.photo.crop)


def test_a_setting_leaves_them_out_and_undo_brings_them_back(session, document):
    photo = document.model.photo
    session.set_settings({"residual": "none"}).result(60)
    assert session.now().finish == ()
    assert same(session.picture(), photo.fitted)
    assert session.latest.undo == "details left out"
    session.undo().result(60)
    assert session.now().finish == ("residual",)
    assert same(session.picture(), photo.crop)
    session.redo().result(60)
    session.reset_settings().result(60)
    assert same(session.picture(), photo.crop)
    before = session.latest.undo
    session.set_settings({"residual": "carried"}).result(60)  # as it is already
    assert session.latest.undo == before
    with pytest.raises(SettingError, match="residual is 'half'; choose one of carried, none"):
        session.set_settings({"residual": "half"}).result(60)
    session.new_image(seed=4, truncation=0.7).result(60)
    with pytest.raises(SettingError, match="residual is for the edit of a photograph; open one"):
        session.set_settings({"residual": "none"}).result(60)


def test_it_is_changed_at_an_earlier_step_that_is_looked_at_and_the_later_ones_stay(session, document):
    session.set_points([], [{"id": 1, "handle": (9.0, 9.0), "target": (16.0, 9.0)}]).result(60)
    for _ in range(3):
        session.step_once().result(60)
    newest, edit = session.now().drag.ws.clone(), session.latest.edit
    session.look(1).result(60)
    looked_at, bare = session.latest.seen.drag.ws.clone(), session.glimpse(session.latest.seen, quick=False).picture
    session.set_settings({"residual": "none"}).result(60)
    seen = session.latest
    assert (seen.shown, seen.step) == (1, 3)
    assert seen.seen.drag.ws.equal(looked_at)
    assert seen.document.drag.ws.equal(newest)
    assert seen.seen.finish == seen.document.finish == ()
    assert not same(session.glimpse(seen.seen, quick=False).picture, bare)
    assert seen.edit > edit  # so that pages ask for the pictures of all steps again
    session.undo().result(60)
    assert session.latest.step == 3
    assert session.now().finish == ("residual",)


def test_the_photograph_itself_is_without_them_as_well(base, document):
    photo = document.model.photo
    edited = ImageChops.offset(photo.fitted, 3, 0)
    with_details, without = (pasted(document.changed(finish=finish), edited)() for finish in (("residual",), ()))
    assert not same(with_details, without)
    assert same(with_details, photo.paste(edited))
    assert same(without, photo.paste(edited, residual=False))


@pytest.mark.parametrize("finish", [("residual",), ()])
def test_it_is_kept_in_files_in_undo_and_in_code(base, document, finish, tmp_path):
    document = document.changed(finish=finish)
    path = tmp_path / "a.drag"
    dragfile.save_drag(path, document, document.model.generator, None)
    for again in (DragFile.read(path).document(base), Sealed.of(document, document.model.packed).opened(base)):
        assert again.finish == finish
        assert again.of_photo
    code = code_of(document, document.model)
    last = "image = photo.with_residual(ws)" if finish else "image = engines.to_image(generator.synthesize(ws))"
    assert code.splitlines()[-1] == last
    (tmp_path / "a.py").write_text(code)
    assert is_code(tmp_path / "a.py")


def test_what_code_ends_with_makes_the_picture_that_is_shown(session, document):
    photo = document.model.photo
    assert same(photo.with_residual(document.drag.ws), session.picture())
    assert same(photo.with_residual(photo.fitted), photo.crop)


@pytest.mark.parametrize(
    ("finish", "of_photo", "said"),
    [
        (["residual"], False, "is incomplete or altered"),
        (["residual", "residual"], True, "is incomplete or altered"),
        ("residual", True, "is incomplete or altered"),
        (["residual", "paint"], True, "newer version"),
    ],
)
def test_a_file_whose_finish_cannot_be_is_refused(base, document, finish, of_photo, said, tmp_path):
    document = document if of_photo else first_document(base, None, 3, 0.7)
    path = tmp_path / "a.drag"
    dragfile.save_drag(path, document, document.model.generator, None)
    tensors, values = container.unpacked(path, dragfile.HEADER)
    path.write_bytes(container.packed(dragfile.HEADER, tensors, {**values, "finish": finish}))
    with pytest.raises(DragFileError, match=said):
        DragFile.read(path).document(base)
