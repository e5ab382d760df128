"""The recipe that makes predictors of the built-in faces says how far one jump gets, and puts all in its place."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import jumps
import numpy as np
import predictors
import pytest
import remake
import torch
from planted import REACH

from draggan_widget.engines.predicted import AUTO, METHODS, USER, Predictor

ASKED = 100.0


@pytest.fixture
def bump(monkeypatch, tmp_path):
    """The command on a bump whose place dlib is said to see; one predictor goes three quarters of a way, one none."""
    model = predictors.planted()

    def jump(self, latent, features, places, motions, growth=None):
        share = 0.75 if self.about.method == AUTO else 0.0
        return torch.from_numpy(share * motions[:1] / REACH).to(latent)[:, None].expand(1, *latent.shape[1:])

    monkeypatch.setattr(Predictor, "jump", jump)
    monkeypatch.setattr(jumps, "load_generator", lambda name, device: model)
    monkeypatch.setattr(jumps, "picture_of", lambda model, ws: ws)
    monkeypatch.setattr(jumps, "Landmarks", lambda: lambda ws: np.tile(model.centre(ws).numpy(), (68, 1)))
    monkeypatch.setattr(jumps, "TRUNCATION", 0.2)
    for method in METHODS:
        predictors.speechless(model, method).save(tmp_path / f"{method}.safetensors")
    (tmp_path / "page.md").write_text("Before.\n<!-- jumps -->\nold\n<!-- /jumps -->\nAfter.\n")
    return tmp_path


def measure(folder, monkeypatch, *more):
    given = ["jumps.py", "bump", "--weights", folder, "--threads", "1", "--pulls", "2", "--engines", "natural"]
    files = ["--csv", folder / "jumps.csv", "--page", folder / "page.md"]
    monkeypatch.setattr(sys, "argv", [str(each) for each in (*given, *files, *more)])
    return jumps.main()


def test_one_jump_of_each_and_runs_after_it_are_measured_and_put_on_the_page(bump, monkeypatch, capsys):
    assert measure(bump, monkeypatch) == 0
    with (bump / "jumps.csv").open() as file:
        rows = list(csv.DictReader(file))
    ways = [name for name, *_ in jumps.ways_of(["natural"])]
    assert [row["way"] for row in rows] == [way for way in ways for _ in range(2)]
    left = {way: np.mean([float(row["left_px"]) for row in rows if row["way"] == way]) for way in ways}
    asked = float(rows[0]["asked_px"])
    assert left["Auto DragGAN"] == pytest.approx(0.25 * asked, abs=0.01)
    assert left["UserControllableLT"] == pytest.approx(asked, abs=1e-2), "one that says nothing takes nothing away"
    page = (bump / "page.md").read_text()
    assert page.startswith("Before.\n<!-- jumps -->\n")
    assert page.endswith("<!-- /jumps -->\nAfter.\n")
    assert "old" not in page
    assert "| jumps dropped | 0% | 100% |" in page
    assert "UserControllableLT takes away 0% of the distance, and 20% are asked." in page
    assert "After a jump of Auto DragGAN, `natural` ends" in page
    capsys.readouterr()
    assert measure(bump, monkeypatch) == 0
    assert "pull 1" not in capsys.readouterr().out, "what was measured waits, and is not measured again"


def test_weights_that_are_missing_are_said(bump, monkeypatch, capsys):
    (bump / f"{USER}.safetensors").unlink()
    assert measure(bump, monkeypatch) == 1
    assert "usercontrollable.safetensors cannot be measured" in capsys.readouterr().err


def row(way, left, **more):
    return {
        "way": way,
        "asked_px": ASKED,
        "left_px": left,
        "dropped": 0,
        "mahalanobis2": 1.0,
        "steps": 5,
        "seconds": 0.01,
        **more,
    }


def test_a_face_that_is_lost_counts_as_not_pulled_and_what_falls_short_is_said():
    auto, user = METHODS[AUTO], METHODS[USER]
    found = jumps.figures([row(auto, 20.0), row(auto, "")], auto)
    assert (found["taken"], found["lost"], found["left_px"]) == (pytest.approx(0.4), 1, 60)
    good = [row(auto, 59.0), row(user, 79.0)]
    assert jumps.short_of(good) == []
    assert jumps.short_of([row(auto, 61.0), row(user, 81.0)]) == [
        "Auto DragGAN takes away 39% of the distance, and 40% are asked.",
        "UserControllableLT takes away 19% of the distance, and 20% are asked.",
    ]
    slow = [row(auto, 1.0, seconds=0.031), row(user, 1.0, mahalanobis2=30.1)]
    assert jumps.short_of(slow) == [
        "Auto DragGAN takes 31 ms, more than the 30 aimed at.",
        "UserControllableLT goes 30.1 far, more than the 30 aimed at.",
    ]


def test_whether_a_jump_helps_an_engine_is_said_either_way():
    rows = [row("natural", 4.0), row("natural after Auto DragGAN", 4.0, steps=3)]
    rows += [row("natural after UserControllableLT", 4.5)]
    helps, does_not = jumps.notes(rows, ["natural"])
    assert "ends at least as near as alone\n  (4.00 against 4.00 px), in fewer steps (3.0 against 5.0)" in helps
    assert "ends not as near as alone\n  (4.50 against 4.00 px), in no fewer steps" in does_not


# --- as a part of what depends on the weights -------------------------------------------------------------------------


@pytest.fixture
def part(monkeypatch, tmp_path):
    """The part of ``remake.py``, with its products in a folder, and the commands that it runs."""
    ran = []
    monkeypatch.setattr(remake, "present", lambda: "0123456789")
    monkeypatch.setattr(remake, "PREDICTORS", tmp_path / "weights")
    monkeypatch.setattr(remake, "HEADS", 100)

    def run(script, *given):
        ran.append((Path(script).name, [str(each) for each in given]))
        if "train" in given:
            out = tmp_path / "predictors-01234567"
            out.mkdir()
            for method in METHODS:
                (out / f"{method}.safetensors").write_bytes(method.encode())

    monkeypatch.setattr(remake, "run", run)
    return next(part for part in remake.PARTS if part.name == "predictors"), ran


def test_motion_is_drawn_only_where_it_is_not_there(part, tmp_path):
    predictor_part, ran = part
    predictor_part.make(tmp_path)
    motion, train, measured = ran
    assert motion[0] == "motion.py"
    assert train[1][:4] == ["draggan_widget", "train", "predictor", "faces"]
    assert measured[0] == "jumps.py"
    assert [(remake.PREDICTORS / f"faces_{method}.safetensors").read_bytes() for method in METHODS] == [
        method.encode() for method in METHODS
    ]
    (tmp_path / "motion").mkdir()
    for file in remake.motion_parts(tmp_path):
        file.touch()
    assert not any("basis" in said or "moderngl" in said for said in remake.missing_things([predictor_part], tmp_path))
    ran.clear()
    (tmp_path / "predictors-01234567").rename(tmp_path / "former")
    predictor_part.make(tmp_path)
    assert [name for name, _ in ran] == ["-m", "jumps.py"]


def test_what_it_runs_takes_what_it_gives(part, tmp_path, monkeypatch):
    import argparse

    from draggan_widget.analysis.training import command

    predictor_part, ran = part
    predictor_part.make(tmp_path)
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    options = parser.parse_args(ran[1][1][2:])
    assert (options.samples, options.minutes, options.method) == (50, remake.MINUTES, "both")
    assert tuple(command.METHODS) == remake.METHODS
    assert list(remake.PULLING) == list(jumps.PULLING)


def test_predictors_are_made_for_the_weights_that_both_files_name(part, tmp_path):
    from safetensors.torch import save_file

    predictor_part, _ = part
    assert predictor_part.made_for() is None
    remake.PREDICTORS.mkdir()

    def put(method, base):
        told = {"draggan_widget predictor": json.dumps({"about": {"base": base}})}
        save_file({"a": torch.zeros(1)}, remake.PREDICTORS / f"faces_{method}.safetensors", told)

    put(AUTO, "new")
    assert predictor_part.made_for() is None
    put(USER, "old")
    assert predictor_part.made_for() is None
    put(USER, "new")
    assert predictor_part.made_for() == "new"


def test_the_page_has_a_place_for_the_figures():
    page = (remake.ROOT / "docs/predictors.md").read_text(encoding="utf-8")
    assert "<!-- jumps -->\n" in page
    assert "\n<!-- /jumps -->" in page
