"""What a training has come to is put into the package, measured row by row, and told by the card."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("diffusers")
from draggan_widget.models.diffusion import save_diffusion

FOLDER = Path(__file__).parents[3] / "examples/generators/faces_diffusion"
NAMES = ("train", "measure", "ship", "words_and_pull")
MARKS = ("size", "samples", "inversion", "pulls", "natural", "steps")


@pytest.fixture
def ship(monkeypatch, tmp_path, pixels):
    """The command, with places of the test and a tiny model as what was trained."""
    known = {name: sys.modules.pop(name, None) for name in NAMES}  # other recipes have some of these names
    monkeypatch.syspath_prepend(str(FOLDER))
    import ship as module

    monkeypatch.setattr(module, "PLACE", tmp_path / "package/faces-diffusion")
    monkeypatch.setattr(module, "CARD", tmp_path / "card.md")
    for name in ("SAMPLES", "PULLS"):
        monkeypatch.setattr(module, name, tmp_path / f"{name}.png")
    monkeypatch.setattr(module, "ROWS", tmp_path / "rows.csv")
    module.CARD.write_text("\n".join(f"<!-- {name} -->\nold\n<!-- /{name} -->" for name in MARKS))

    def export(folder, model):
        save_diffusion(folder, model)
        Image.new("RGB", (8, 4)).save(folder.with_name(f"{folder.name}-samples.png"))

    monkeypatch.setattr(module.train, "averaged", lambda out: pixels)
    monkeypatch.setattr(module.train, "export", export)
    monkeypatch.setattr(module.torch, "load", lambda *given, **more: {"steps": 1234})
    yield module
    for name in NAMES:
        sys.modules.pop(name, None)
        if known[name] is not None:
            sys.modules[name] = known[name]


def row(measure, model, engine="fastdrag", pull="turn 0 to 2", asked=4.0, left=1.0):
    known = measure.weights_of(model)
    return measure.Row(engine, pull, 3, asked, left, 0.9, 41.5, 0.25, 1, "arrived", 20, known)


def test_the_card_of_the_package_has_a_place_for_everything_that_is_measured():
    card = (FOLDER.parents[2] / "draggan_widget/models/builtin/faces-diffusion.md").read_text()
    for name in MARKS:
        assert card.count(f"<!-- {name} -->\n") == card.count(f"\n<!-- /{name} -->") == 1


def test_weights_come_into_the_package_and_those_that_are_too_large_do_not(ship, monkeypatch, tmp_path, pixels):
    assert ship.installed(tmp_path) == 1234
    assert (ship.PLACE / "model_index.json").exists()
    assert Image.open(ship.SAMPLES).size == (16, 8)
    (ship.PLACE / "old").touch()
    ship.installed(tmp_path)
    assert [each.name for each in ship.PLACE.parent.iterdir()] == ["faces-diffusion"]
    assert not (ship.PLACE / "old").exists()
    (ship.PLACE / "old").touch()
    monkeypatch.setattr(ship, "MOST", 1000)
    with pytest.raises(ValueError, match=r"has 0\.\d MB, and 0 MB may be shipped"):
        ship.installed(tmp_path)
    assert (ship.PLACE / "old").exists()


def test_rows_are_gone_on_with_and_those_of_other_weights_are_not_kept(ship, pixels, monkeypatch):
    measure = ship.measure
    other = measure.dataclasses.replace(row(measure, pixels), weights="another")
    measure.add_rows(ship.ROWS, [row(measure, pixels), other])
    assert measure.read_rows(ship.ROWS) == [row(measure, pixels), other]
    asked = []

    def measured(model, pull, engines, steps):
        asked.append((pull.name, tuple(engines)))
        return [row(measure, model, engine, pull.name, left=3.0) for engine in engines], ship.torch.zeros(1, 3, 4, 8)

    chosen = [
        measure.Pull(name, Path("a"), (8,), ((1.0, 1.0),), ((2.0, 2.0),)) for name in ("turn 0 to 2", "nod 0 to 2")
    ]
    monkeypatch.setattr(measure, "pulls", lambda folder, side: chosen)
    monkeypatch.setattr(measure, "measured", measured)
    monkeypatch.setattr(measure, "seconds_of_natural", lambda: 0.2)
    ship.installed(Path())
    ship.ship(pixels, samples=0, drags=2, identity=20)
    both = ("dragdiffusion", "fastdrag")
    assert asked == [("turn 0 to 2", both[:1]), ("nod 0 to 2", both)]
    rows = measure.read_rows(ship.ROWS)
    assert [(each.engine, each.pull, each.good) for each in rows] == [
        ("fastdrag", "turn 0 to 2", True),
        ("dragdiffusion", "turn 0 to 2", False),
        *((engine, "nod 0 to 2", False) for engine in both),
    ]
    card = ship.CARD.read_text()
    assert "| `dragdiffusion` | 0 of 2 | 25 % | 0 | 0.900 | 1 | 0.25 |" in card
    assert "| `fastdrag` | 1 of 2 | 50 % | 0 | 0.900 | 1 | 0.25 |" in card
    assert "takes 0.20 s by the same clock" in card
    assert "<!-- samples -->\nold\n" in card
    ship.CARD.write_text("nothing")
    with pytest.raises(ValueError, match=r"card\.md has no place for figures between <!-- size -->"):
        ship.ship(pixels, samples=0, drags=0, identity=20)


def test_a_pull_after_which_there_is_no_face_counts_as_failed(ship, pixels):
    rows = [row(ship.measure, pixels), row(ship.measure, pixels, left=math.nan)]
    assert ship.measure.line("fastdrag", rows).startswith("| `fastdrag` | 1 of 2 | 75 % | 1 |")


def test_the_strip_of_words_and_a_pull_shows_what_was_said(ship, pixels, monkeypatch):
    import words_and_pull as show

    monkeypatch.setattr(show, "load_generator", lambda name, device: pixels.sampled(prompt=""))
    monkeypatch.setattr(show, "BEFORE", "young smiling")
    monkeypatch.setattr(show, "AFTER", "old beard")
    monkeypatch.setattr(show, "PULLS", (((8.0, 8.0), (8.0, 11.0)),))
    monkeypatch.setattr(show, "head", lambda: ship.measure.np.ones((16, 16), "f4"))
    found = show.panels("tiny", 3)
    assert [text for text, _ in found] == [
        "“young smiling”",
        "“old beard”, 4 px to the right",
        "pulled by dragdiffusion",
        "pulled by fastdrag",
    ]
    assert len({picture.tobytes() for _, picture in found}) == 4
    assert show.strip(found).size == (4 * 192 + 3 * 8, 216)
