"""The recipe of the small diffusion model of faces: captions, a run that goes on where it stopped, what it writes."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")
sys.path.append(str(Path(__file__).parents[3] / "examples/generators/faces_diffusion"))

import captions
import pairs

from draggan_widget import load_generator

NAMES = tuple(captions.SAID)


@pytest.fixture
def train(monkeypatch):
    """The recipe, with a tiny network."""
    known = sys.modules.pop("train", None)  # there is another recipe of that name
    path = str(Path(__file__).parents[3] / "examples/generators/faces_diffusion")
    monkeypatch.syspath_prepend(path)
    import train as module

    assert Path(module.__file__).parent.name == "faces_diffusion"
    monkeypatch.setattr(module, "FULL_WIDTHS", module.WIDTHS, raising=False)
    monkeypatch.setattr(module, "WIDTHS", (8, 8, 16, 16))
    monkeypatch.setattr(module, "HELD_OUT", 4)
    monkeypatch.setattr(module, "SHOWN", ("", "male beard"))
    monkeypatch.setattr(module, "STEPS", 4)
    monkeypatch.setattr(module, "FACES", dataclasses.replace(module.FACES, part=12))
    yield module
    del sys.modules["train"]
    if known is not None:
        sys.modules["train"] = known


@pytest.fixture
def pictures(tmp_path, train):
    """Two parts of pictures of one colour each, of 32 px."""
    draw = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for part in range(2):
        colours = draw.integers(0, 256, (12, 1, 1, 3), dtype=np.uint8)
        np.save(pairs.part_file(tmp_path / "pictures", part), np.broadcast_to(colours, (12, 32, 32, 3)))
    return tmp_path / "pictures"


def test_a_caption_says_what_a_face_has_much_or_little_of():
    latent = np.zeros(len(NAMES))
    latent[NAMES.index("sex")], latent[NAMES.index("beard")], latent[NAMES.index("freckles")] = 1.5, 2.0, -2.0
    assert captions.words_of(latent, NAMES) == ["male", "beard"]
    said = [captions.caption(latent, NAMES, np.random.default_rng(seed)) for seed in range(400)]
    assert {*said} == {"", "male", "beard", "male beard", "beard male"}
    both = (1 - captions.SILENT) * (1 - captions.LEFT_OUT) ** 2
    assert sum(each.count(" ") for each in said) / 400 == pytest.approx(both, abs=0.06)
    assert len(captions.WORDS) == len({*captions.WORDS})


def test_of_women_nothing_is_said_of_beards_which_the_renderer_does_not_show():
    latent = np.zeros(len(NAMES))
    latent[NAMES.index("sex")], latent[NAMES.index("beard")] = -1.5, 2.0
    assert captions.words_of(latent, NAMES) == ["female"]
    latent[NAMES.index("beard")] = -2.0
    assert captions.words_of(latent, NAMES) == ["female"]


def test_all_attributes_that_are_said_are_known_to_the_renderer():
    from scene import LATENT

    assert {*captions.SAID} <= {*LATENT}


def test_a_mirrored_picture_is_said_to_be_turned_the_other_way():
    assert captions.mirrored("male turned-left tilted-right beard") == "male turned-right tilted-left beard"
    sides = {word for word in captions.WORDS if word.endswith(("-left", "-right"))}
    assert sides == {*captions.MIRRORED} == {*captions.MIRRORED.values()}
    assert all(captions.mirrored(captions.mirrored(word)) == word for word in captions.WORDS)


def test_pictures_are_mirrored_with_their_captions(train, pictures, monkeypatch):
    faces = train.Faces(pictures.parent, 16)  # the folder around them will do
    sloped = torch.arange(16, dtype=torch.uint8).expand(24, 3, 16, 16)
    monkeypatch.setattr(faces, "pictures", sloped)
    monkeypatch.setattr(captions, "caption", lambda latent, names, draw: "turned-left")
    seen, said = faces.batch(np.zeros(200, int), np.random.default_rng(0), mirror=True)
    turned = seen[:, 0, 0, 0] > seen[:, 0, 0, -1]
    assert 60 < int(turned.sum()) < 140
    assert said == ["turned-right" if each else "turned-left" for each in turned]
    assert faces.batch(np.zeros(9, int), np.random.default_rng(0))[1] == ["turned-left"] * 9


def test_levels_are_drawn_mostly_where_there_is_something_to_learn_and_nowhere_never(train):
    schedule = train.Schedule.trained(train.new_model(16).scheduler)
    levels = train.drawn_levels(schedule, 20_000, torch.Generator().manual_seed(0))
    assert (int(levels.min()), int(levels.max())) == (1, schedule.steps)
    alphas = torch.tensor(schedule.alphas)[levels]
    noise = ((1 - alphas) / alphas).sqrt().log()
    share = float(((noise - train.MIDDLE).abs() < train.SPREAD).float().mean())
    assert 0.6 < share < 0.75  # 68 % of four fifths, and what of the rest is there
    last = float((levels > 0.9 * schedule.steps).float().mean())
    assert train.EVEN / 10 * 0.8 < last < 0.1


def test_in_half_precision_the_model_has_less_than_ten_megabytes(train, monkeypatch):
    monkeypatch.setattr(train, "WIDTHS", train.FULL_WIDTHS)
    assert 2 * sum(each.numel() for each in train.new_model(64).parameters()) < 9.9e6


def test_its_features_are_read_where_they_know_what_an_edge_is_of(train):
    model = train.new_model(32)
    assert (model.default_block(), model.map_size(2), model.map_size(3)) == (2, (8, 8), (16, 16))


def test_pictures_of_another_recipe_are_refused(train, pictures, tmp_path, monkeypatch, capsys):
    np.save(pairs.part_file(pictures, 2), np.zeros((5, 32, 32, 3), np.uint8))
    monkeypatch.setattr(sys, "argv", ["train.py", "--pictures", str(pictures), "--out", str(tmp_path / "out")])
    assert train.main() == 1
    assert "part 2 in" in capsys.readouterr().err


def test_the_quicker_precision_is_taken_after_some_steps_of_each(train, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "quick_dtype", lambda device: torch.bfloat16)
    trainer = train.Trainer(tmp_path / "out", train.Faces(pictures, 16), 16, 1, 2, torch.device("cpu"))
    draw, noise = np.random.default_rng(0), torch.Generator().manual_seed(0)
    for _ in range(2 * train.TRIED):
        assert trainer.precision is None
        assert np.isfinite(trainer.step(draw, noise))
    assert trainer.precision in train.PRECISIONS
    monkeypatch.setattr(train, "quick_dtype", lambda device: torch.float32)
    plain = train.Trainer(tmp_path / "other", train.Faces(pictures, 16), 16, 1, 2, torch.device("cpu"))
    assert plain.precision == "float32"


def test_padding_of_shorter_captions_changes_nothing(train):
    model = train.new_model(16)
    clean, noise = torch.rand(2, 3, 16, 16), torch.randn(2, 3, 16, 16)
    levels, said = torch.tensor([100, 600]), ["male", "old grey-hair beard"]
    schedule = train.Schedule.trained(model.scheduler)
    with torch.no_grad():
        ask = lambda rows: train.loss_of(  # noqa: E731
            model.unet, model.text, schedule, clean[rows], [said[row] for row in rows], noise[rows], levels[rows]
        )
        assert float(ask([0, 1])) == pytest.approx(float(ask([0]) + ask([1])) / 2, rel=1e-4)


def test_the_loss_is_that_of_the_model_that_is_written(train):
    model = train.new_model(16).sampled(prompt="old beard")
    clean, noise, schedule = (
        torch.rand(1, 3, 16, 16),
        torch.randn(1, 3, 16, 16),
        train.Schedule.trained(model.scheduler),
    )
    with torch.no_grad():
        ours = train.loss_of(model.unet, model.text, schedule, clean, ["old beard"], noise, torch.tensor([400]))
        said = model.asked(schedule.join(clean, noise, 400), schedule.times[399], model.prompt_vectors)
        assert float(ours) == pytest.approx(float((said - schedule.said(clean, noise, 400)).square().mean()), rel=1e-4)


def test_a_tiny_run_learns_goes_on_where_it_stopped_and_writes_a_model_that_the_package_loads(
    train, pictures, tmp_path, monkeypatch, capsys
):
    faces = train.Faces(pictures, 16)
    assert (len(faces), faces.pictures.shape[1:]) == (24, (3, 16, 16))
    trainer = train.Trainer(tmp_path / "out", faces, 16, 0.04, 4, torch.device("cpu"))
    before = trainer.held_out()
    trainer.run(lambda text: None)
    assert trainer.held_out() < before
    again = train.Trainer(tmp_path / "out", faces, 16, 0.04, 4, torch.device("cpu"))
    assert (again.steps, again.seconds) == (trainer.steps, trainer.seconds)
    assert all(torch.equal(one, other) for one, other in zip(again.average, trainer.average, strict=True))
    arguments = ["train.py", "--pictures", str(pictures), "--out", str(tmp_path / "out"), "--side", "16"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--export", str(tmp_path / "made")])
    assert train.main() == 0
    model = load_generator(tmp_path / "made", "cpu")
    assert (model.resolution, model.text.known) == ((16, 16), captions.WORDS)
    exact = train.averaged(tmp_path / "out")
    latent = exact.sampled(steps=5).mapping(seed=1)
    assert (model.sampled(steps=5).synthesize(latent) - exact.sampled(steps=5).synthesize(latent)).abs().max() < 0.05
    assert (tmp_path / "made-samples.png").exists()
    assert train.main() == 0  # in the place of the one before
    assert sorted(each.name for each in tmp_path.glob("made*")) == ["made", "made-samples.png"]
    monkeypatch.setattr(sys, "argv", [*arguments[:-1], "24"])
    assert train.main() == 1
    assert "holds the work of another side or vocabulary" in capsys.readouterr().err


def test_without_pictures_or_a_checkpoint_it_is_said_what_to_do(train, tmp_path, monkeypatch, capsys):
    (tmp_path / "empty").mkdir()
    arguments = ["train.py", "--pictures", str(tmp_path / "empty"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", arguments)
    assert train.main() == 1
    assert "holds no pictures; make some with examples/generators/faces/make.py" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*arguments, "--export", str(tmp_path / "made")])
    assert train.main() == 1
    assert "holds no checkpoint; train first" in capsys.readouterr().err
