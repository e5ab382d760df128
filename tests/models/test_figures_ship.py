"""What a training of figures has come to is put into the package; what is wrong is refused in a sentence."""

from __future__ import annotations

import json
import sys

import pytest

pytest.importorskip("scipy")
import reader as reading
import remaking
import torch
from people import FIGURES
from weights import new_generator

MARKS = ("size", "steps", "pulls", "reading")


@pytest.fixture
def ship(monkeypatch, tmp_path):
    """The command with places of the test, among them a package with a card and no weights."""
    known = sys.modules.pop("ship", None)  # another recipe has one of that name
    import ship as module

    monkeypatch.setattr(module, "PLACE", tmp_path / "package/figures.safetensors")
    monkeypatch.setattr(module, "CARD", tmp_path / "package/figures.md")
    monkeypatch.setattr(module, "MADE_FOR", tmp_path / "made_for.json")
    (tmp_path / "package").mkdir()
    module.CARD.write_text("\n".join(f"<!-- {name} -->\nold\n<!-- /{name} -->" for name in MARKS))
    yield module
    sys.modules.pop("ship", None)
    if known is not None:
        sys.modules["ship"] = known


@pytest.fixture
def folder(tmp_path):
    """A folder of a training that has come to whole pictures."""
    place = tmp_path / "out"
    place.mkdir()
    (place / "recipe.json").write_text(json.dumps(FIGURES.record(1)))
    (place / "history.jsonl").write_text('{"steps": 7, "seconds": 90, "size": 256, "held_out": 0.4567}\n')
    torch.manual_seed(0)
    state = {"average": new_generator(FIGURES).network.state_dict(), "steps": 1234, "seconds": 90.0, "edition": 1}
    torch.save(state, place / "checkpoint.pt")
    (place / "basis.npz").touch()
    torch.save({"reader": reading.Reader().state_dict()}, place / "reader.pt")
    return place


def ran(ship, monkeypatch, *given):
    monkeypatch.setattr(sys, "argv", ["ship.py", *(str(each) for each in given)])
    return ship.main()


def test_weights_come_into_the_package_and_the_card_says_how_long_they_were_trained(ship, folder):
    ship.install(folder)
    assert sorted(each.name for each in ship.PLACE.parent.iterdir()) == ["figures.md", "figures.safetensors"]
    assert ship.load_generator(ship.PLACE, device="cpu").resolution == (256, 128)
    assert "1,234 steps in 2 minutes, 0.457 from the renders of 64 people" in ship.CARD.read_text()


def test_what_is_too_large_or_of_another_network_or_no_numbers_leaves_what_was_there(ship, folder, monkeypatch, capsys):
    ship.PLACE.write_bytes(b"before")
    monkeypatch.setattr(remaking, "TO_DRAW", ())
    monkeypatch.setattr(ship, "missing_things", lambda parts, folder: [])
    monkeypatch.setattr(ship, "MOST", 1000)
    assert ran(ship, monkeypatch, folder) == 1
    assert "the weights have 13.9 MB, and 0 MB may be shipped" in capsys.readouterr().err
    monkeypatch.setattr(ship, "MOST", 20_000_000)
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    name = next(iter(state["average"]))
    torch.save(state | {"average": {**state["average"], name: state["average"][name] * torch.nan}}, folder / "a")
    (folder / "a").replace(folder / "checkpoint.pt")
    assert ran(ship, monkeypatch, folder) == 1
    assert "not finite" in capsys.readouterr().err
    torch.save(state | {"average": {}}, folder / "checkpoint.pt")
    assert ran(ship, monkeypatch, folder) == 1
    assert "Missing key" in capsys.readouterr().err
    (folder / "checkpoint.pt").unlink()
    assert ran(ship, monkeypatch, folder) == 1
    assert "no checkpoint in" in capsys.readouterr().err
    assert ship.PLACE.read_bytes() == b"before"
    assert not list(ship.PLACE.parent.glob("*.new"))


def test_folders_of_something_else_and_trainings_that_have_not_come_far_are_refused(ship, folder, monkeypatch, capsys):
    def refused(*options):
        assert ran(ship, monkeypatch, folder, *options) == 1
        return capsys.readouterr().err

    assert "is not there" in refused("--as-they-are")
    (folder / "history.jsonl").write_text('{"steps": 7, "seconds": 90, "size": 128, "held_out": 0.5}\n')
    assert "has been trained on pictures of 128 px, and not yet on whole ones of 256 px" in refused()
    (folder / "reader.pt").unlink()
    monkeypatch.setattr(remaking, "TO_DRAW", ())
    assert "reader.pt is not there: run reader.py" in refused("--unfinished")
    (folder / "basis.npz").unlink()
    assert "holds no basis.npz: run make.py" in refused("--unfinished")
    (folder / "recipe.json").write_text(json.dumps(FIGURES.record(1) | {"seed": "5"}))
    assert "holds the work of another recipe" in refused()
    (folder / "recipe.json").unlink()
    assert "is no folder of a training: run make.py" in refused()
    assert not ship.PLACE.exists()


def test_all_is_made_once_for_the_weights_and_again_for_others(ship, folder, monkeypatch):
    made, of_arrays = [], {}
    monkeypatch.setattr(ship, "missing_things", lambda parts, folder: [])
    monkeypatch.setattr(ship, "present", lambda: remaking_fingerprint(ship))

    def arrays(_):
        made.append("arrays")
        of_arrays["now"] = ship.present()

    parts = (
        remaking.Part("arrays", "an array", (), arrays, lambda: of_arrays.get("now")),
        *(
            remaking.Part(name, name, (), lambda _, name=name: made.append(name))
            for name in ("card", "sheets", "pulls")
        ),
    )
    monkeypatch.setattr(ship, "parts_of", lambda reader, pulls: parts)
    assert ran(ship, monkeypatch, folder, "--only", "card") == 0
    assert made == ["card"]
    assert ran(ship, monkeypatch, folder) == 0
    assert made == ["card", "arrays", "sheets", "pulls"]
    assert ran(ship, monkeypatch, folder) == ran(ship, monkeypatch, folder, "--list") == 0
    assert len(made) == 4
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    for weight in state["average"].values():
        weight += 1
    torch.save(state, folder / "checkpoint.pt")
    assert ran(ship, monkeypatch, folder, "--as-they-are") == 0
    assert len(made) == 4
    assert ran(ship, monkeypatch, folder) == 0
    assert len(made) == 8


def remaking_fingerprint(ship):
    from draggan_widget.models import fingerprint

    return fingerprint(ship.load_generator(ship.PLACE, device="cpu"))


def test_arrays_of_weights_that_are_in_the_package_stay_and_those_of_former_ones_go(monkeypatch, tmp_path):
    names = {"heads": "rest8-64-4-2-StyleGAN2-aa.npy", "people": "rest8-64-4-2-StyleGAN2-bb.npy"}
    monkeypatch.setattr(remaking, "ARRAYS", tmp_path / "computed")
    monkeypatch.setattr(remaking, "array_file", lambda name: remaking.ARRAYS / names[name])
    monkeypatch.setattr("draggan_widget.models.builtin_names", lambda *, older: ["folder", *names])

    class Model:
        blocks, w_dim = (1, 2), 3

    monkeypatch.setattr("draggan_widget.models.load_generator", lambda name, device: Model())
    monkeypatch.setattr(
        "draggan_widget.engines.natural.sparing.rest_of", lambda model, label, block: torch.ones(2, 1, 3)
    )
    remaking.ARRAYS.mkdir()
    for name in names:
        (tmp_path / f"{name}.safetensors").touch()
    for name in (names["heads"], "rest8-64-4-2-StyleGAN2-old.npy", "other-1.npy"):
        (remaking.ARRAYS / name).touch()
    remaking.make_arrays("people")
    assert sorted(each.name for each in remaking.ARRAYS.iterdir()) == sorted(["other-1.npy", *names.values()])
    assert (remaking.ARRAYS / names["people"]).stat().st_size > 32
    assert (remaking.ARRAYS / names["heads"]).stat().st_size == 0


def test_pulls_are_told_in_a_sentence_of_lines_that_people_can_read(ship):
    from joint_pulls import Row

    rows = [Row("hand up", seed, 25.6, error, 0.9, "arrived", 2, 0.2, "a") for seed, error in ((1, 2.0), (2, 90.0))]
    said = ship.in_words([*rows, Row("waist wider", 1, 7.0, 1.0, 0.8, "arrived", 1, 0.1, "a")])
    assert said == "Done, of 3 pulls: hand up 50 %, waist wider 100 %."
    every = [Row(kind, 1, 7.0, 1.0, 0.8, "arrived", 1, 0.1, "a") for kind in ship.KINDS]
    assert max(len(line) for line in ship.in_words(every).splitlines()) <= 120


def test_times_are_medians_of_pictures_steps_and_pulls(ship):
    from random_stylegan2 import small_stylegan2

    picture, step, whole = ship.times(small_stylegan2(32), rounds=2)
    assert 0 < picture < 10_000
    assert 0 < step <= whole
