"""The main job from end to end: the demo, its first notebook, a pull at the corner of a mouth."""

from __future__ import annotations

import time

import numpy as np
import pytest

from draggan_widget.inversion import MOUTH_CORNER, Landmarks

pytestmark = pytest.mark.browser


@pytest.fixture
def quickstart(lab):
    notebook = lab.open("quickstart.ipynb")
    yield notebook
    lab.close_pages()


def test_a_pull_of_the_mouth_moves_the_mouth(quickstart):
    began = time.monotonic()
    quickstart.run_all()
    editor = quickstart.editor()
    shown_after = time.monotonic() - began
    assert shown_after < 15
    # Cells below the widget run on; they must not be what the pull is measured against.
    quickstart.execute("pass")
    before = editor.picture()
    find_landmarks = Landmarks()
    marks = find_landmarks(np.asarray(before))
    assert marks is not None
    corner, width = marks[MOUTH_CORNER], before.width
    target = corner + 0.05 * width * np.array([-0.8, -0.6])
    editor.count_pictures()
    editor.pull(corner, corner, steps=1, release=False)
    for part in (0.2, 0.4, 0.6, 0.8, 1.0):
        shown = len(editor.pictures_seen())
        editor.page.mouse.move(*editor.at(corner + part * (target - corner)))
        editor.wait_for_pictures(shown + 1)
    said, answered_after = quickstart.execute("print(editor.generator.resolution, editor._session.latest.status)")
    editor.page.mouse.up()
    editor.wait_for_status("arrived")
    after = editor.wait_for_lossless()
    seen = editor.pictures_seen()
    moved = find_landmarks(np.asarray(after))
    assert moved is not None
    way = moved[MOUTH_CORNER] - corner
    along = float(way @ (target - corner)) / float(np.linalg.norm(target - corner))
    rate = (len(seen) - 1) / max(1e-9, (seen[-1][1] - seen[0][1]) / 1000)
    seconds = float(quickstart.execute("print(editor.history[-1].seconds)")[0]) / editor.step
    print(
        f"\nshown {shown_after:.1f} s after Run All; a cell in mid-run answered in {answered_after * 1000:.0f} ms; "
        f"{editor.step} steps of {seconds * 1000:.0f} ms, {len(seen)} pictures, {rate:.1f} a second; "
        f"mouth corner moved {along:.1f} of {0.05 * width:.1f} px along the pull"
    )
    assert said.strip() == f"({before.height}, {before.width}) running"
    assert answered_after < 1
    steps = [step for step, _ in seen if step > 0]
    assert len(steps) >= 5, "each move of the hand is followed by a picture"
    assert steps == sorted(steps), "of two pictures the newer one stays"
    assert along > 0.3 * 0.05 * width


def test_the_notebook_has_no_errors_and_the_next_cells_go_on_with_the_edit(quickstart):
    quickstart.run_all()
    editor = quickstart.editor()
    width = editor.picture().width
    editor.pull((width * 0.5, width * 0.5), (width * 0.53, width * 0.5))
    editor.wait_for_status("arrived", "stalled", "capped")
    quickstart.run_below_first()
    said = quickstart.execute("print(len(editor.history) == editor.step + 1 > 1, again.step == editor.step)")[0]
    assert said.strip() == "True True"
    assert quickstart.page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
