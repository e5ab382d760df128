from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from planted import Planted

from draggan_widget.editing import History, Record, check_points, history
from draggan_widget.engines import check_mask, drag_steps

SIZE = (64, 48)


def test_points_get_ids_where_they_have_none_and_floats_throughout():
    points = check_points([{"id": 5, "handle": (1, 2), "target": [3, 4]}, {"handle": [0, 0], "target": [47, 63]}], SIZE)
    assert points[0] == {"id": 5, "handle": [1.0, 2.0], "target": [3.0, 4.0]}
    assert points[1]["id"] == 6


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ({"handle": [1, 2], "target": [3, 4]}, "must be a list"),
        ([{"handle": [1, 2]}], "point 1 is"),
        ([{"handle": [1, 2, 3], "target": [3, 4]}], r"give \(x, y\)"),
        ([{"handle": [1, "a"], "target": [3, 4]}], r"give \(x, y\)"),
        ([{"handle": [48, 2], "target": [3, 4]}], "handle of point 1 is outside the picture.*0 to 47 in x"),
        ([{"handle": [1, 2], "target": [3, -0.6]}], "target of point 1 is outside"),
        ([{"handle": [1, float("nan")], "target": [3, 4]}], "must be finite"),
        ([{"id": 0, "handle": [1, 2], "target": [3, 4]}], "at least 1"),
        ([{"id": 1, "handle": [1, 2], "target": [3, 4]}] * 2, "two points have the id 1"),
    ],
)
def test_bad_points_are_named(points, says):
    with pytest.raises(ValueError, match=says):
        check_points(points, SIZE)


def test_masks_become_floats_and_none_stays_none():
    assert check_mask(None, SIZE) is None
    mask = check_mask(np.ones(SIZE, bool), SIZE)
    assert mask.dtype == np.float32
    assert mask.min() == 1


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.ones((48, 64)), r"shape \(48, 64\); this picture needs \(64, 48\)"),
        (np.full(SIZE, np.nan), "NaN"),
        (np.full(SIZE, 2.0), "from 2 to 2"),
        (np.full(SIZE, "a"), "give bools or numbers"),
    ],
)
def test_bad_masks_are_named(mask, says):
    with pytest.raises((TypeError, ValueError), match=says):
        check_mask(mask, SIZE)


def records():
    ws = np.zeros((1, 2, 3), np.float32)
    start = Record(0, 0.0, (1,), np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]), {}, ws, None)
    places, ends = np.array([[3.0, 0.0], [9.0, 9.0]]), np.array([[3.0, 4.0], [9.0, 9.0]])
    then = Record(1, 0.5, (1, 2), places, ends, {"motion": 1.0}, ws, None)
    return [start, then]


def test_history_is_a_sequence_whose_slices_are_histories_and_becomes_a_table():
    history = History(records())
    assert (len(history), history[-1].step, len(history[1:])) == (2, 1, 1)
    assert isinstance(history[:1], History)
    frame = history.to_dataframe()
    assert frame["distance"].tolist() == [5, 4, 0]
    assert frame["point"].tolist() == [1, 1, 2]
    assert frame["loss_motion"].tolist()[1:] == [1, 1]
    assert list(History().to_dataframe().columns)[:3] == ["step", "seconds", "point"]


def test_a_table_without_pandas_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pandas"):
        History(records()).to_dataframe()


@pytest.fixture(scope="module")
def planted():
    return Planted((48, 40))


def pulled(generator, by=6.0, **changes):
    ws = generator.mapping(seed=1)
    start = generator.centre(ws).numpy()
    config = generator.drag_config.replace(**changes)
    return History.of(generator, drag_steps(generator, ws, [start], [start + np.array([by, 0])], config=config))


def test_a_drag_without_an_editor_has_a_history_with_latents_times_and_pictures(planted):
    course = pulled(planted)
    assert course.at(0).loss == {}
    assert [record.step for record in course] == list(range(len(course)))
    assert (np.diff([record.seconds for record in course]) > 0).all()
    first, last = (np.asarray(course.picture(step), float)[..., 0] for step in (0, None))
    moved = last.argmax() % 40 - first.argmax() % 40
    assert 4 <= moved <= 7
    assert course.thumbnail(0).height == 64


def test_a_step_between_two_that_are_kept_is_the_one_before(monkeypatch, planted):
    monkeypatch.setattr(history, "MOST_RECORDS", 5)
    course = pulled(planted, max_steps=20, tolerance=0.0, stall_steps=None)
    assert len(course) <= 5
    assert (course[0].step, course[-1].step) == (0, 20)
    assert course.at(13).step == max(record.step for record in course if record.step <= 13)


@pytest.mark.parametrize("step", ["3", True, 3.0, None])
def test_a_step_that_is_no_whole_number_is_named(planted, step):
    course = pulled(planted, max_steps=3, tolerance=0.0)
    with pytest.raises(TypeError, match=re.escape(f"step is {step!r}; it must be a whole number")):
        course.at(step)
    assert course.at(np.int64(3)).step == 3


@pytest.mark.parametrize("step", ["", False])
def test_a_picture_of_no_step_is_none(planted, step):
    with pytest.raises(TypeError, match="must be a whole number"):
        pulled(planted, max_steps=3, tolerance=0.0).picture(step)


@pytest.mark.parametrize("step", [-1, 99])
def test_a_step_out_of_range_is_named_with_what_there_is(planted, step):
    with pytest.raises(ValueError, match=rf"no step {step}; this history goes from step 0 to 3"):
        pulled(planted, max_steps=3, tolerance=0.0).at(step)


def test_an_empty_history_says_that_nothing_was_dragged():
    with pytest.raises(ValueError, match="empty, nothing was dragged"):
        History().at(0)
    with pytest.raises(ValueError, match="empty, nothing was dragged"):
        History().picture()


def test_pictures_of_a_history_without_a_generator_say_what_is_missing():
    with pytest.raises(ValueError, match="knows no generator"):
        History(records()).picture()


def test_slices_keep_the_generator(planted):
    course = pulled(planted)
    assert course[2:5].picture(3).tobytes() == course.picture(3).tobytes()


def test_confidence_is_told_for_every_step_that_was_tracked(planted):
    table = pulled(planted).to_dataframe(confidence=True)
    assert np.isnan(table["confidence"][0])
    assert table["confidence"][1:].between(0.5, 1).all()
    assert "confidence" not in pulled(planted).to_dataframe()


def test_two_edits_side_by_side_begin_alike_and_part(planted):
    rows = pulled(planted, 6.0).against(pulled(planted, -6.0))
    assert rows[0]["latent"] == 0
    assert rows[0]["distance"] == pytest.approx(rows[0]["other_distance"])
    assert rows[-1]["latent"] > 0
    assert all(rows[k]["step"] == k for k in range(len(rows)))


def test_edits_of_two_generators_cannot_be_set_side_by_side(planted):
    with pytest.raises(ValueError, match="two generators"):
        pulled(planted).against(History(records()))
