"""How the natural drag follows handles: by the spot around each, as grabbed and as last seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from draggan_widget.engines.common.following import find_spots, read_spots, spot
from draggan_widget.engines.common.geometry import Frame
from draggan_widget.engines.common.sampling import DivergedError

FRAME = Frame(64, 64, 2, 6)
WAYS = np.array([4.0, 4.0])


def content(shift=(0.0, 0.0), fade=0.0):
    """Reads features of a smooth random texture that has moved by ``shift`` and turned by ``fade`` into another."""
    random = np.random.RandomState(0)
    waves, other = random.normal(0, 0.25, (2, 24, 2)), random.uniform(0, 6, (2, 24))

    def read(xy):
        places = torch.from_numpy(np.asarray(xy) - np.array(shift))
        one, two = (
            torch.sin(places @ torch.from_numpy(wave).T + torch.from_numpy(phase))
            for wave, phase in zip(waves, other, strict=True)
        )
        return (1 - fade) * one + fade * two

    return read


def test_a_spot_begins_with_its_handle_and_reaches_as_far_as_asked():
    assert spot(0).tolist() == [[0, 0]]
    offsets = spot(4)
    assert offsets[0].tolist() == [0, 0]
    assert np.hypot(*offsets.T).max() == 4
    assert len(np.unique(offsets, axis=0)) == len(offsets)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-4.3, 2.6)])
def test_spots_are_found_where_they_went_to_part_of_a_pixel(shift):
    places, offsets = np.array([[20.0, 30.0], [41.0, 33.0]]), spot(4)
    spots = list(read_spots(content(), places, offsets, FRAME))
    found = find_spots(content(shift), places, spots, spots, offsets, FRAME, WAYS[: len(places)])
    assert np.abs(found - places - shift).max() < 0.1


def test_content_that_changes_on_its_way_is_found_by_what_was_seen_last():
    places, offsets = np.array([[30.0, 30.0]]), spot(4)
    first = list(read_spots(content(), places, offsets, FRAME))
    latest, found = first, places
    for number in range(1, 6):
        shift, fade = (3.0 * number, -2.0 * number), 0.1 * number
        found = find_spots(content(shift, fade), found, first, latest, offsets, FRAME, WAYS[:1])
        latest = list(read_spots(content(shift, fade), found, offsets, FRAME))
    assert np.hypot(*(found[0] - places[0] - shift)) < 1.5
    alone = find_spots(content(shift, fade), places + shift, first, first, offsets, FRAME, WAYS[:1])
    assert np.hypot(*(alone[0] - places[0] - shift)) > np.hypot(*(found[0] - places[0] - shift))


@pytest.mark.parametrize("expected", [30.0, 33.0])
def test_along_an_edge_where_all_places_look_alike_a_handle_is_about_where_it_is_expected(expected):
    def edge(noise):
        texture = content()

        def read(xy):
            across = torch.from_numpy(np.tanh((xy[:, :1] - 32) / 3))
            return torch.cat([across, noise * texture(xy)], dim=1)

        return read

    places, offsets = np.array([[32.0, 26.0]]), spot(4)
    spots = list(read_spots(edge(0.01), places, offsets, FRAME))
    found = find_spots(edge(0.0), np.array([[33.5, expected]]), spots, spots, offsets, FRAME, np.array([1.0]))
    assert abs(found[0, 0] - 32) < 0.3
    assert abs(found[0, 1] - expected) <= 1


def test_places_outside_the_picture_are_never_found():
    places, offsets = np.array([[1.0, 62.0]]), spot(4)
    spots = list(read_spots(content(), places, offsets, FRAME))
    found = find_spots(content((-5, 5)), places, spots, spots, offsets, FRAME, WAYS[: len(places)])
    assert FRAME.contains(found).all()


def test_features_that_are_not_finite_are_told():
    places, offsets = np.array([[30.0, 30.0]]), spot(4)
    spots = list(read_spots(content(), places, offsets, FRAME))

    def nothing(xy):
        return torch.full((len(xy), 24), torch.nan).double()

    with pytest.raises(DivergedError, match="not finite"):
        find_spots(nothing, places, spots, spots, offsets, FRAME, WAYS[:1])
