"""The quick part of the checks is a part of them, and has something of every room."""

from __future__ import annotations

from pathlib import Path

import run
from quick import QUICK, QUICK_IN_A_BROWSER

ROOT = Path(__file__).parent.parent
ROOMS = ("analysis", "directions", "dragging", "editing", "engines", "golden", "inversion", "models", "widget")


def names(checks):
    return [name for name, _, _ in checks]


def test_the_quick_part_names_files_that_there_are_each_once():
    files = [*QUICK, *QUICK_IN_A_BROWSER]
    assert [file for file in files if not (ROOT / file).exists()] == []
    assert len(set(files)) == len(files)


def test_the_quick_part_has_something_of_every_room():
    assert [room for room in ROOMS if not any(file.startswith(f"tests/{room}") for file in QUICK)] == []


def test_the_quick_part_runs_checks_of_the_whole_in_their_order_and_fewer_tests():
    whole, quick = run.checks_of(quick=False, chosen=["-x"]), run.checks_of(quick=True, chosen=["-x"])
    assert [name for name in names(whole) if name in names(quick)] == names(quick)
    assert set(names(whole)) - set(names(quick)) <= {"oldest notebook packages", "npm packages"}
    for (_, all_of_it, _), (_, part, _) in zip(whole[-2:], quick[-2:], strict=True):
        assert all_of_it[-3:] == part[-3:]  # the mark, and what was asked for
        assert not [each for each in all_of_it if each.startswith("tests/")]
        assert [each for each in part if each.startswith("tests/")]
