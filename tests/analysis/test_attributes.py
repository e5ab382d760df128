"""The table of what an edit changed in attributes."""

from __future__ import annotations

import pytest

from draggan_widget import load_generator
from draggan_widget.analysis import changed_attributes
from draggan_widget.directions import Directions


@pytest.fixture(scope="module")
def faces():
    return load_generator("faces", device="cpu")


def test_a_table_tells_what_changed_the_largest_first(faces):
    directions = Directions(faces)
    before = faces.space.draw(seed=3, truncation=0.7)
    after = before + directions.change({"smile": 0.5, "yaw": -1.0})
    table = changed_attributes(directions, before, after, least=0.05)
    assert list(table.index) == ["yaw", "smile"]
    assert table.loc["yaw", "change"] == pytest.approx(-1, abs=0.01)
    assert table.loc["smile", "label"] == "Smile"
    assert (table["after"] - table["before"] - table["change"]).abs().max() < 1e-9
    assert len(changed_attributes(faces, before, after)) == 80
    assert set(changed_attributes(directions, before, after, names=["pose"])["group"]) == {"Pose and place"}


def test_a_table_of_nothing_has_its_columns(faces):
    latent = faces.space.draw(seed=3)
    table = changed_attributes(faces, latent, latent, least=0.1)
    assert list(table.columns) == ["label", "group", "before", "after", "change"]
    assert table.empty
