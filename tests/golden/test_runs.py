"""The golden runs, played again: what was recorded of the code as it was then holds of the code as it is.

In float64 trajectories are equal to 1e-12. In float32, where processors round differently, steps and reasons are the
same and handles are within 0.05 pixels.
"""

from __future__ import annotations

import functools

import golden_cases
import golden_edits
import golden_messages
import numpy as np
import pytest

EXACT = 1e-12
PIXELS = 0.05
"""Of float32 handles."""
LATENT = 1e-3
"""Of float32 latents: a hundredth of what a few steps change."""

recorded = functools.cache(golden_cases.read_lines)
generators = golden_cases.generators_of()


def assert_same(ours, theirs, exact, where=""):
    """Values of JSON are the same: numbers to a bound, all else exactly."""
    within = EXACT if exact else PIXELS
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), where
        for name in ours:
            assert_same(ours[name], theirs[name], exact, f"{where} {name}")
    elif isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs), where
        for number, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_same(*pair, exact, f"{where} {number}")
    elif isinstance(ours, float) and theirs is not None:
        assert ours == pytest.approx(theirs, rel=0 if exact else 1e-6, abs=within), where
    else:
        assert (type(ours), ours) == (type(theirs), theirs), where


def assert_same_latents(ours, theirs, exact, where=""):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=EXACT if exact else LATENT, err_msg=where)


def compared(ours, file, name):
    theirs = recorded(file)[name]
    exact = not name.startswith("faces")
    assert ours.keys() == theirs.keys()
    for part in ours:
        if part == "latents":
            assert_same_latents(ours[part], theirs[part], exact)
        elif part == "last":
            last, before = golden_cases.text_to_array(ours[part]), golden_cases.text_to_array(theirs[part])
            assert last.dtype == before.dtype == (np.float64 if exact else np.float32)
            assert_same_latents(last, before, exact)
        else:
            assert_same(ours[part], theirs[part], exact, part)


@pytest.mark.parametrize("name", golden_cases.drag_cases())
def test_a_drag_goes_as_it_went_when_it_was_recorded(name):
    compared(golden_cases.run_drag(name, generators), "drags.json", name)


@pytest.mark.parametrize("name", golden_cases.change_cases())
def test_points_masks_and_settings_changed_in_mid_run_lead_where_they_led(name):
    compared(golden_cases.run_changes(name, generators), "changes.json", name)


@pytest.mark.parametrize("kind", golden_edits.EDITS)
def test_a_drag_file_of_format_2_is_read_and_goes_on_exactly(kind):
    compared(golden_edits.go_on(kind, generators), "edits.json", kind)


@pytest.mark.parametrize("script", golden_messages.scripts())
def test_the_messages_of_a_page_lead_to_the_recorded_states(script):
    for number, ours in enumerate(golden_messages.play(script)):
        theirs = recorded("messages.json")[f"{script} {number}"]
        message = golden_messages.scripts()[script][1][number]
        exact = ours["double"]
        where = f"after message {number}, {message}:"
        assert_same_latents(ours.pop("latent"), theirs["latent"], exact, where)
        assert_same(ours, {part: theirs[part] for part in theirs if part != "latent"}, exact, where)


def test_the_recordings_hold_every_way_a_run_can_end_and_every_case_moves_something():
    drags = recorded("drags.json")
    assert {run["reason"] for run in drags.values()} == {"arrived", "stalled", "capped"}
    assert set(drags) == set(golden_cases.drag_cases())
    for name, run in drags.items():
        assert run["steps"] >= 1, name
        assert np.abs(np.subtract(run["latents"][-1], run["latents"][0])).max() > 1e-3, name
        assert np.isfinite(run["handles"]).all(), name


def test_the_recordings_stay_small():
    assert sum(path.stat().st_size for path in golden_cases.RUNS.rglob("*") if path.is_file()) < 3_000_000
