"""The built-in generator "figures" as it is shipped, and the card that says what it can do."""

from __future__ import annotations

import asyncio
import itertools
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from draggan_widget import Editor, drag, drag_steps, invert, load_generator
from draggan_widget.directions import Directions
from draggan_widget.directions.known import read_known
from draggan_widget.directions.words import meaning
from draggan_widget.engines.natural.sparing import reading_block, rest_name
from draggan_widget.inversion import Inversion
from draggan_widget.inversion.photo import NO_ENCODER
from draggan_widget.models import find_checkpoint, fingerprint, offered_names
from draggan_widget.models.checkpoints import load
from draggan_widget.models.mapped import SHIPPED, all_weights, file_name

FILE = load.BUILTIN / "figures.safetensors"
CARD = load.BUILTIN / "figures.md"
ROOT = load.BUILTIN.parents[2]
MARKS = ("size", "pulls", "reading", "attributes", "steps")


@pytest.fixture(scope="module")
def figures():
    if not FILE.exists():
        pytest.fail(f"{FILE.name} is missing: examples/generators/figures/ship.py DIR puts it into the package")
    return load_generator("figures", device="cpu")


@pytest.fixture(scope="module")
def pictures(figures) -> np.ndarray:
    """Seeds 0 to 11 at truncation 0.7: (12, 256, 128, 3) float."""
    with torch.no_grad():
        made = [figures.synthesize(figures.mapping(seed=seed, truncation=0.7))[0] for seed in range(12)]
    return (torch.stack(made).permute(0, 2, 3, 1) * 127.5 + 127.5).clamp(0, 255).numpy()


# --- the file ---------------------------------------------------------------------------------------------------------


def test_it_is_offered_and_the_file_is_small_enough(figures):
    assert "figures" in offered_names()
    assert find_checkpoint("figures") == FILE
    assert FILE.stat().st_size <= 20e6
    assert fingerprint(figures) == fingerprint(load_generator(FILE, device="cpu"))


def test_pictures_are_twice_as_high_as_wide_and_near_the_nominal_range(figures, pictures):
    assert figures.resolution == (256, 128)
    assert figures.channels == 3
    assert figures.features(figures.mapping(seed=0), 6).shape[1:] == (64, 128, 64)
    with torch.no_grad():
        picture = figures.synthesize(figures.mapping(seed=0, truncation=0.7))
    assert picture.shape == (1, 3, 256, 128)
    assert torch.isfinite(picture).all()
    assert picture.abs().max() < 2


def test_seeds_make_different_people_before_a_background_that_is_smooth(pictures):
    for first, second in itertools.combinations(pictures[:6], 2):
        assert np.abs(first - second).mean() > 4
    # What tells people from noise: where they stand, much changes from pixel to pixel, and little at the upper edge.
    steps = np.abs(np.diff(pictures, axis=2)).mean(axis=(0, 3))
    assert steps[64:224, 32:96].mean() > 2 * steps[8:40, 8:120].mean()


def test_truncation_to_nothing_gives_the_mean_person(figures):
    first, second = (figures.mapping(seed=seed, truncation=0.0) for seed in (1, 2))
    assert torch.equal(first, second)


def test_what_a_first_pull_would_wait_for_comes_with_it(figures):
    name = file_name(figures, rest_name(reading_block(figures, figures.blocks[-1])), all_weights(figures))
    assert (SHIPPED / name).exists(), "ship.py --only arrays makes it"


# --- pulls ------------------------------------------------------------------------------------------------------------


def side_of(picture: np.ndarray) -> tuple[int, int]:
    """The place (x, y) where a person's outline is steepest at the height of the elbows, right of the middle."""
    rows = picture[100:124]
    steps = np.abs(np.diff(rows, axis=1)).sum(axis=2)[:, 66:110]
    y, x = np.unravel_index(steps.argmax(), steps.shape)
    return int(x) + 66, int(y) + 100


@pytest.mark.parametrize("seed", [1, 6, 11])
def test_an_arm_that_is_pulled_up_goes_up_by_the_handle_that_is_tracked(figures, pictures, seed):
    x, y = side_of(pictures[seed])
    ws = figures.mapping(seed=seed, truncation=0.7)
    result = drag(figures, ws, [(x, y)], [(x, y - 13)])  # 5 % of the height
    assert result.reason in ("arrived", "near")
    assert result.handles[0][1] == pytest.approx(y - 13, abs=3)
    changed = np.abs(np.asarray(result.image).astype(float) - pictures[seed]).mean(axis=2)
    assert changed[max(y - 40, 0) : y + 20, 40:].mean() > 2


@pytest.mark.parametrize("seed", [1, 6])
def test_a_pull_beyond_what_bodies_can_do_ends_with_the_best_state_and_a_word(figures, pictures, seed):
    x, y = side_of(pictures[seed])
    ws = figures.mapping(seed=seed, truncation=0.7)
    left = [float(state.distances.max()) for state in drag_steps(figures, ws, [(x, y)], [(x, 2)])]
    result = drag(figures, ws, [(x, y)], [(x, 2)])
    assert result.reason == "stalled"
    assert result.distances.max() > 10
    assert result.distances.max() == pytest.approx(min(left), abs=0.5)
    assert len(left) < 60
    assert np.isfinite(np.asarray(result.image)).all()


def test_the_editor_says_in_words_that_such_a_pull_stalled(figures, pictures):
    x, y = side_of(pictures[6])
    editor = Editor(figures, seed=6, points=[{"handle": (x, y), "target": (x, 2)}])
    try:
        editor.start()
        result = asyncio.run(editor.finished())
        assert (result.reason, editor.status) == ("stalled", "stalled")
        assert (editor.image.width, editor.image.height) == (128, 256)
    finally:
        editor.close()


# --- what is of faces -------------------------------------------------------------------------------------------------


def test_attributes_have_names_where_enough_were_measured_to_do_what_they_say_and_are_components_else(figures):
    values = json.loads((load.BUILTIN / "figures_attributes.json").read_text(encoding="utf-8"))
    assert values["measured"] == {"fingerprint": fingerprint(figures)}
    good = [each["name"] for each in values["attributes"] if each["measured"]["qualifies"]]
    directions = Directions(figures)
    offered = [each.name for each in directions.listed() if each.offered]
    assert f"{len(good)} of these qualify" in told("attributes")
    if len(good) < 12:
        assert values["mapping"] == []
        assert {each.source for each in directions.values()} == {"principal", "sefa"}
    else:
        assert sorted(offered) == sorted(good)
        assert directions.shows == "a person"
    ws = figures.mapping(seed=1, truncation=0.7)
    changed = figures.synthesize(ws + directions.change({offered[0]: 1.0})) - figures.synthesize(ws)
    assert changed.abs().mean() > 0.005


def test_each_number_has_a_name_a_group_and_ends():
    from person import LATENT

    values = json.loads((load.BUILTIN / "figures_attributes.json").read_text(encoding="utf-8"))
    assert [each["name"] for each in values["attributes"]] == list(LATENT)
    assert {each["group"] for each in values["attributes"]} == set(values["groups"])
    assert len({each["label"] for each in values["attributes"]}) == len(LATENT)
    for each in values["attributes"]:
        assert len(set(each["ends"])) == 2


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("longer sleeves", {"sleeve": 1}),
        ("shorter trousers", {"trousers": -1}),
        ("a longer skirt", {"skirt": 1}),
        ("raise the left arm", {"arm_raise_left": 1}),
        ("arms up", {"arm_raise_left": 1, "arm_raise_right": 1}),
        ("a blue top", {"top_blue": 1}),
        ("wider waist", {"waist_width": 1}),
        ("look to the left", {"head_turn": -1}),
    ],
)
def test_words_mean_what_people_mean(text, amounts):
    known = read_known((load.BUILTIN / "figures_attributes.json").read_text(encoding="utf-8"))
    found = meaning(text, known.vocabulary)
    assert {name: np.sign(amount) for name, amount in found.changes} == amounts
    assert not found.unknown


def test_a_photograph_is_fitted_from_the_mean_without_looking_for_a_face(figures):
    photograph = Image.fromarray(np.random.RandomState(0).randint(0, 256, (40, 30, 3)).astype(np.uint8))
    few = Inversion(pivot_steps=2, tuning_steps=1)
    photo = invert(figures, photograph.resize((300, 400)), settings=few)
    assert photo.crop.size == (128, 256)
    assert (photo.square.x, photo.square.y, photo.square.size) == (149.5, 199.5, 400.0)
    notes = " ".join(photo.report.notes)
    assert NO_ENCODER in notes
    assert "the middle is taken" in notes


def test_a_built_in_generator_whose_weights_are_missing_is_told_as_such(monkeypatch, tmp_path):
    (tmp_path / "figures.md").write_text("a card")
    (tmp_path / "heads.safetensors").write_bytes(b"")
    monkeypatch.setattr(load, "BUILTIN", tmp_path)
    said = "^figures is a built-in generator whose weights are missing here; install draggan_widget again .*: heads$"
    with pytest.raises(FileNotFoundError, match=said):
        load_generator("figures")
    with pytest.raises(FileNotFoundError, match="no generator 'figure'"):
        load_generator("figure")


# --- the card ---------------------------------------------------------------------------------------------------------


def told(name: str, page=CARD) -> str:
    """What stands in the card in a place for figures."""
    return re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", page.read_text(encoding="utf-8"), re.DOTALL)[1]


def test_the_card_says_the_licence_and_has_a_place_for_each_figure():
    assert "CC0" in CARD.read_text(encoding="utf-8")
    for mark in MARKS:
        assert "Not " not in told(mark), f"ship.py has not put {mark} into the card"


def test_the_size_in_the_card_is_that_of_the_file(figures):
    numbers = sum(weight.numel() for weight in figures.parameters())
    assert told("size").startswith(
        f"{numbers / 1e6:.2f} million parameters, stored as float16: {FILE.stat().st_size / 1e6:.1f} MB."
    )


def test_the_figures_of_pulls_are_those_of_the_rows_which_are_of_these_weights(figures):
    pytest.importorskip("scipy")
    from joint_pulls import finished_rows, summary, weights_of
    from ship import in_words

    rows = finished_rows(ROOT / "docs/data/figures_pulls.csv")
    assert {row.weights for row in rows} == {weights_of(figures)}
    assert told("pulls") == summary(rows)
    assert told("pulls", ROOT / "docs/figures.md") == in_words(rows)


def test_sheets_and_times_are_of_these_weights(figures):
    made_for = json.loads((ROOT / "examples/generators/figures/made_for.json").read_text())
    assert made_for == dict.fromkeys(("card", "pulls", "sheets"), fingerprint(figures))
    assert Image.open(ROOT / "docs/figures.jpg").size == (1024, 1024)
