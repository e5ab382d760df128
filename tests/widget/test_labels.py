"""Classes: from Python, from the page, in files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.torch
import traitlets
from page import Page
from random_stylegan2 import small_stylegan2

from draggan_widget import DragGAN, dragging
from draggan_widget.editing import DragFileError, check_label


@pytest.fixture(scope="module")
def classes():
    """A random StyleGAN2 of 32 px and ten classes."""
    return small_stylegan2(32, c_dim=10)


@pytest.fixture
def make(classes):
    made = []

    def make(model=classes, **settings):
        made.append(DragGAN(model, seed=3, **settings))
        return made[-1]

    yield make
    for editor in made:
        editor.close()


def picture(generator, seed, label, truncation=0.7):
    ws = generator.mapping(seed=seed, label=label, truncation=truncation)
    return dragging.to_image(generator.synthesize(ws)).tobytes()


def test_a_label_is_the_class_of_the_picture_and_stays_with_other_seeds_and_truncations(make, classes):
    editor = make(label=3)
    assert (editor.label, editor.classes) == (3, 10)
    assert editor.image.tobytes() == picture(classes, 3, 3)
    editor.label = 7
    assert editor.image.tobytes() == picture(classes, 3, 7)
    editor.seed = 8
    assert editor.image.tobytes() == picture(classes, 8, 7)
    editor.truncation = 0.2
    assert editor.image.tobytes() == picture(classes, 8, 7, 0.2)
    assert (editor.seed, editor.label, editor.truncation) == (8, 7, 0.2)


def test_without_a_label_the_first_class_is_shown_and_without_classes_there_is_none(make, generator):
    assert make().label == 0
    plain = make(generator)
    assert (plain.label, plain.classes) == (None, 0)
    plain.label = None  # as it is already
    with pytest.raises(traitlets.TraitError, match="label is 0, but this generator has no classes"):
        plain.label = 0


def test_undo_and_redo_cover_the_label_as_they_do_the_seed(make, classes):
    editor = make(label=1)
    editor.points = [{"handle": [9, 9], "target": [20, 9]}]
    editor.label = 2
    assert editor.image.tobytes() == picture(classes, 3, 2)
    assert editor.points == []
    editor.undo()
    assert editor.image.tobytes() == picture(classes, 3, 1)
    assert (editor.label, len(editor.points)) == (1, 1)
    editor.redo()
    assert editor.image.tobytes() == picture(classes, 3, 2)
    assert editor.label == 2


@pytest.mark.parametrize(
    ("label", "says"),
    [
        (10, "label is 10.*classes 0 to 9"),
        (-1, "label is -1.*0 to 9"),
        (None, "label is None.*0 to 9"),
        ("cat", "label"),
    ],
)
def test_a_label_out_of_range_is_refused_naming_the_range_and_the_edit_stays(make, label, says):
    editor = make(label=4)
    latent = editor.latent
    with pytest.raises(traitlets.TraitError, match=says):
        editor.label = label
    np.testing.assert_array_equal(editor.latent, latent)
    assert editor.label == 4


def test_labels_of_a_constructor_are_checked_too(make, generator):
    with pytest.raises(ValueError, match="classes 0 to 9"):
        make(label=10)
    with pytest.raises(TypeError, match="whole number from 0 to 9"):
        make(label="cat")
    with pytest.raises(TypeError, match="whole number from 0 to 9"):
        make(label=True)
    with pytest.raises(ValueError, match="has no classes"):
        make(generator, label=0)
    assert check_label(np.int64(3), 10) == 3


def test_a_latent_of_ones_own_has_no_class_until_a_seed_is_set(make):
    editor = make(label=4)
    editor.latent = editor.latent
    editor.latent  # noqa: B018 - waits until it is taken
    assert editor.label is None
    with pytest.raises(traitlets.TraitError, match="did not come from a seed, so it has no class"):
        editor.label = 2
    editor.seed = 5
    editor.latent  # noqa: B018
    assert (editor.seed, editor.label) == (5, 0)


def test_classes_and_model_are_read_only(make):
    editor = make()
    for name, value in (("classes", 3), ("model", "faces")):
        with pytest.raises(traitlets.TraitError, match="read-only"):
            setattr(editor, name, value)
    with pytest.raises(TypeError, match="takes no classes"):
        make(classes=3)


def test_the_page_chooses_a_class_and_is_told_of_it(make, classes):
    editor = make(label=1)
    page = Page(editor)
    page.say("ready", view="page")
    page.wait_for(lambda p: p.of("classes"))
    assert page.of("classes")[-1]["names"] == []
    assert page.of("state")[-1]["classes"] == 10
    page.say("label", value=6)
    page.wait_for_state(label=6, seed=3)
    assert editor.image.tobytes() == picture(classes, 3, 6)
    page.say("label", value=10)
    page.wait_for(lambda p: p.of("notice"))
    assert "classes 0 to 9" in page.of("notice")[-1]["text"]
    page.say("new_image", seed=12)
    page.wait_for_state(label=6, seed=12)
    assert editor.image.tobytes() == picture(classes, 12, 6)


def test_names_of_classes_reach_the_page_where_there_is_one_for_each():
    named = small_stylegan2(32, c_dim=2)
    named.class_names = ["cat", "dog"]
    editor = DragGAN(named)
    page = Page(editor)
    page.say("ready", view="page")
    page.wait_for(lambda p: p.of("classes"))
    assert page.of("classes")[-1]["names"] == ["cat", "dog"]
    named.class_names = ["cat"]
    assert editor._session.latest.model.class_names == []
    editor.close()


def test_a_page_of_a_model_without_classes_hears_of_none(make, generator):
    page = Page(make(generator))
    page.say("ready", view="page")
    page.wait_for(lambda p: p.of("mask"))
    assert page.of("classes") == []
    page.say("label", value=0)
    page.wait_for(lambda p: p.of("notice"))
    assert "no classes" in page.of("notice")[-1]["text"]


def test_drag_files_keep_the_label_and_one_of_no_class_is_refused(make, classes, tmp_path):
    path = tmp_path / "a.drag"
    make(label=5).save(path)
    again = DragGAN.load(path, model=classes)
    assert (again.seed, again.label) == (3, 5)
    again.seed = 4
    assert again.image.tobytes() == picture(classes, 4, 5)
    again.close()
    for bad in (10, "cat", -1):
        rewrite(path, lambda header, bad=bad: header["origin"].update(label=bad))
        with pytest.raises(DragFileError, match=r"incomplete or altered.*0 to 9"):
            DragGAN.load(path, model=classes)


def rewrite(path, change):
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["draggan_edit"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header.pop("checksum", None)  # as a file of before
    change(header)
    safetensors.torch.save_file(tensors, path, metadata={"draggan_edit": json.dumps(header)})
