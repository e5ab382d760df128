from __future__ import annotations

import sys

import numpy as np
import pytest

from draggan_widget.dragging import check_mask
from draggan_widget.editing import History, Record, check_points

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
