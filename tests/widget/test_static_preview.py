"""What stands on a page without a kernel."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from nbconvert.utils.base import NbConvertBase
from page import Page
from PIL import Image

from draggan_widget import DragConfig, DragGAN, load_generator
from draggan_widget.editing.drawing import draw_points
from draggan_widget.engines import State
from draggan_widget.widget.static_preview import MOST_BYTES, preview

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def editor(generator):
    editor = DragGAN(generator, seed=3, config=DragConfig(learning_rate=0.05, max_steps=3))
    yield editor
    editor.close()


def picture_of(bundle):
    """The picture of a bundle without its caption, 512 pixels wide."""
    found = Image.open(io.BytesIO(base64.b64decode(bundle["image/jpeg"])))
    square = found.crop((0, 0, found.width, found.width))
    return np.asarray(square.resize((512, 512), Image.Resampling.BICUBIC), float)


def noise(height, width, channels=3):
    pixels = np.random.RandomState(0).randint(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(pixels.squeeze())


@pytest.mark.parametrize("shape", [(1024, 1024, 3), (1024, 512, 4), (300, 900, 1), (40, 64, 3)])
def test_no_picture_is_too_big_for_a_notebook_and_all_of_it_is_there(shape):
    mime, data = preview(noise(*shape))
    assert len(data) <= MOST_BYTES
    found = Image.open(io.BytesIO(data))
    assert (found.mode, found.get_format_mimetype()) == (("RGBA" if shape[2] == 4 else "RGB"), mime)
    picture = found.width * shape[0] / shape[1]
    assert picture + 10 < found.height < picture + 100
    strip = np.asarray(found.convert("RGB"))[round(picture) + 1 :]
    assert strip.min() < 100, "there are letters below the picture"


def test_a_face_takes_little_of_a_notebook_looks_as_it_does_and_is_what_pages_without_a_kernel_show():
    faces = load_generator("faces", "cpu")
    picture = draw_points(State.begin(faces, faces.mapping(seed=9, truncation=0.7)).image, [], 512)
    mime, data = preview(picture)
    assert mime == "image/jpeg"
    assert len(base64.b64encode(data)) < 60_000
    kept = Image.open(io.BytesIO(data)).crop((0, 0, 512, 512))
    wrong = np.asarray(kept, float) - np.asarray(picture.convert("RGB"), float)
    assert 10 * np.log10(255**2 / np.square(wrong).mean()) > 38
    assert mime in NbConvertBase().display_data_priority


def test_a_notebook_gets_the_widget_its_picture_and_words(editor):
    data, metadata = editor._repr_mimebundle_()
    assert data[VIEW]["model_id"] == editor.model_id
    assert metadata == {}
    assert editor.still == base64.b64decode(data["image/jpeg"]), "for pages that keep the state of widgets"
    wanted = np.asarray(editor.image.resize((512, 512), Image.Resampling.BICUBIC), float)
    assert np.abs(picture_of(data) - wanted).mean() < 3
    assert "seed 3: idle, step 0. To pull its points, run this cell" in data["text/plain"]


def test_the_picture_is_that_of_the_edit_as_it_is_with_its_points(editor):
    before = picture_of(editor._repr_mimebundle_()[0])
    editor.points = [{"handle": [10, 10], "target": [50, 10]}]
    changed = np.abs(picture_of(editor._repr_mimebundle_()[0]) - before).max(axis=2) > 60
    rows, columns = np.nonzero(changed)
    assert {*(rows // 8)} <= {9, 10, 11}
    assert columns.min() // 8 <= 10
    assert columns.max() // 8 >= 50
    page = Page(editor)
    page.say("ready", view="page")
    editor.start()
    page.wait_for_status("capped")
    assert "capped, step 3" in editor._repr_mimebundle_()[0]["text/plain"]


def test_a_picture_that_cannot_be_made_does_not_keep_the_widget_from_being_shown(editor, monkeypatch, caplog):
    monkeypatch.setattr(editor.generator, "synthesize", None)
    data, _ = editor._repr_mimebundle_()
    assert VIEW in data
    assert not {"image/png", "image/jpeg"} & {*data}
    assert "no picture" in caplog.text
