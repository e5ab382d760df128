"""The recipe of the figures on tiny data: it resumes, says what is missing, and judges pulls as it says."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest
import torch

pytest.importorskip("scipy")
import command
import pairs
import reader as reading
import trainer as training
from dataset import FACES
from people import FIGURES, POINTS, attention
from person import LATENT
from teaching import principal_targets, teach_mapping
from weights import checkpoint_problems, new_generator

from draggan_widget import load_generator

COUNT = 400
CODES = 2 * 16 + 2 * POINTS


def tiny_views(pictures):
    """Two views of 16 numbers each."""
    small = torch.nn.functional.avg_pool2d(pictures, 16)[:, :2].flatten(1)
    return small, small.flip(1)


RECIPE = dataclasses.replace(
    FIGURES,
    size=(64, 32),
    part=COUNT,
    held_out=8,
    views=tiny_views,
    network={
        "z_dim": len(LATENT),
        "w_dim": CODES + len(LATENT),
        "channels": {4: 8, 8: 8, 16: 8, 32: 8, 64: 8},
        "mapping_layers": 3,
        "mapping_lr_multiplier": 1.0,
    },
    schedule=((0.5, 32, 4), (1.0, 64, 4)),
)


@pytest.fixture
def folder(tmp_path):
    """A folder with two parts of pictures whose brightness and points depend on the numbers in a simple way."""
    place = tmp_path / "pictures"
    place.mkdir()
    mix = np.random.default_rng(0).normal(size=(len(LATENT), 2 * POINTS)) / np.sqrt(len(LATENT))
    for part in range(2):
        latents = pairs.part_latents(RECIPE, part)
        points = (20 * latents @ mix).reshape(COUNT, POINTS, 2) + 40
        shades = np.clip(128 + 40 * latents[:, :8].repeat(8, 1)[:, :, None, None], 0, 255)
        pictures = np.broadcast_to(shades.reshape(COUNT, 64, 1, 1), (COUNT, 64, 32, 3)).astype(np.uint8)
        np.save(pairs.part_file(place, part), pictures)
        np.savez(pairs.known_file(place, part), points=points.astype("f4"), seen=np.ones((COUNT, POINTS), bool))
    return tmp_path


def made_trainer(folder, monkeypatch, minutes=1.0, **options):
    monkeypatch.setattr(training, "teach_mapping", lambda generator, known: None)
    known = pairs.Pairs(RECIPE, folder / "pictures")
    return training.Trainer(RECIPE, folder, known, minutes, **options)


def test_the_network_fits_what_is_promised():
    generator = new_generator(FIGURES)
    assert generator.resolution == (256, 128)
    assert 2 * sum(weight.numel() for weight in generator.network.parameters()) < 20e6


def test_recipes_can_be_given_to_other_processes():
    for recipe in (FIGURES, FACES):
        assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_attention_has_the_shape_of_the_pictures_and_people_count_more():
    weights = attention(64)[0, 0]
    assert weights.shape == (64, 32)
    assert weights.mean() == pytest.approx(1, abs=1e-5)
    assert weights[30, 16] > 2 * weights[30, 0]


def test_training_of_upright_pictures_goes_on_where_it_was_stopped(folder, monkeypatch):
    first = made_trainer(folder, monkeypatch)
    for _ in range(2):
        first.step(64, 4)
    first.seconds = 0.9 * 60
    first.step(64, 4)  # with the adversary
    first.save()
    second = made_trainer(folder, monkeypatch)
    assert second.steps == 3
    for mine, other in ((first.generator, second.generator), (first.critic, second.critic)):
        mine, other = (getattr(part, "network", part).state_dict() for part in (mine, other))
        assert all(torch.equal(mine[name], other[name]) for name in mine)
    generator = load_generator(folder / "figures.safetensors", device="cpu")
    assert generator.resolution == (64, 32)
    assert generator.synthesize(generator.mapping(seed=1)).shape == (1, 3, 64, 32)


def test_training_lowers_the_loss(folder, monkeypatch):
    trainer = made_trainer(folder, monkeypatch)
    before = trainer.save()
    for _ in range(25):
        trainer.step(64, 4)
    assert trainer.save() < before


def test_the_mapping_is_taught_where_points_are(folder):
    torch.manual_seed(0)
    known = pairs.Pairs(RECIPE, folder / "pictures")
    latents, targets = principal_targets(known, components=16)
    assert targets.shape == (2 * COUNT - 8, CODES)
    assert targets[:, 32:].std(0).mean() == pytest.approx(1, abs=0.05)
    generator = new_generator(RECIPE)
    teach_mapping(generator, known)
    with torch.no_grad():
        w = generator.network["mapping"](latents, None)[:, 32:CODES]
    taught = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(w.T, targets[:, 32:].T, strict=True)])
    assert taught.mean() > 0.8


def test_what_is_missing_is_said_before_any_long_work(tmp_path, monkeypatch):
    import importlib.util

    spec = importlib.util.spec_from_file_location("figures_make", FIGURES.drawn_by[0].with_name("make.py"))
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    needy = dataclasses.replace(make.COMMAND, packages={"no_such_package": "no-such-package==1"})
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: type("Usage", (), {"free": 10**8})())
    monkeypatch.setattr(command, "opengl_problems", list)
    package, disk = command.missing_things(needy, tmp_path, 24_000)
    assert package == "the package no_such_package is not installed: pip install no-such-package==1"
    assert "0.1 GB free, 3.4 GB are needed: give another --out" in disk
    monkeypatch.undo()
    monkeypatch.setattr(command, "opengl_problems", list)
    ready = dataclasses.replace(make.COMMAND, packages={})
    (tmp_path / "recipe.json").write_text(json.dumps(FIGURES.record(1)))
    assert command.missing_things(ready, tmp_path, 1000) == []
    (tmp_path / "recipe.json").write_text(json.dumps(FIGURES.record(1) | {"drawn by": "another"}))
    (problem,) = command.missing_things(ready, tmp_path, 1000)
    assert "holds the work of another recipe" in problem


def test_a_checkpoint_of_another_edition_is_refused(folder, monkeypatch):
    made_trainer(folder, monkeypatch)
    (problem,) = checkpoint_problems(folder, 2)
    assert "is of edition 1, not 2" in problem


def drawing(point: tuple[float, float], value: float = 1.0) -> torch.Tensor:
    """A map (64, 32) with one peak at pixel ``point``."""
    maps = torch.zeros(64, 32)
    maps[int(point[1] // reading.CELL), int(point[0] // reading.CELL)] = 30.0 * value
    return maps


def test_a_point_is_read_at_the_peak_of_its_map(monkeypatch):
    reader = reading.Reader().eval()
    maps = torch.stack([drawing((4 * k % 128, 8 * k)) for k in range(POINTS)])[None]
    monkeypatch.setattr(reader.maps, "forward", lambda x: maps)
    points, _ = reader(torch.zeros(1, 3, 256, 128))
    wanted = torch.tensor([[4 * k % 128 + 1.5, 8 * k + 1.5] for k in range(POINTS)])
    assert torch.allclose(points[0], wanted, atol=0.05)


def test_points_off_the_picture_teach_nothing_and_seen_ones_most(monkeypatch):
    reader = reading.Reader().eval()
    maps = torch.stack([drawing((60, 100))] * POINTS)[None]
    monkeypatch.setattr(reader.maps, "forward", lambda x: maps)
    pictures, seen = torch.zeros(1, 3, 256, 128), torch.zeros(1, POINTS, dtype=bool)
    right = torch.tensor([61.5, 101.5]).expand(1, POINTS, 2).clone()
    wrong = right.clone()
    wrong[0, 0, 0] += 40
    far = right.clone()
    far[0, 0, 0] = 500
    seen[0, 1:] = True
    losses = [float(reading.reading_loss(reader, pictures, points, seen)) for points in (right, far, wrong)]
    assert losses[1] == pytest.approx(losses[0], abs=0.05)
    assert losses[2] > losses[1] + 0.02
    hidden = losses[2]
    seen[0, 0] = True
    assert float(reading.reading_loss(reader, pictures, wrong, seen)) > hidden + 0.1


def test_a_reader_is_kept_and_says_what_it_lacks(tmp_path):
    with pytest.raises(ValueError, match="2 are needed: run make.py with more --pictures"):
        reading.train_reader(one_part(tmp_path / "one", 1), tmp_path / "reader.pt", 0)
    with pytest.raises(FileNotFoundError, match="run reader.py --renders DIR"):
        reading.load_reader(tmp_path / "reader.pt")
    lines = []
    renders = one_part(tmp_path / "two", 2)
    first = reading.train_reader(renders, tmp_path / "reader.pt", 0.01, lines.append)
    assert "points of unseen renders are read" in lines[-1]
    again = reading.load_reader(tmp_path / "reader.pt")
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items())
    errors = reading.errors_of(again, renders, 1)
    assert np.isnan(errors[:, 0]).all()  # hidden in every picture
    assert np.isfinite(errors[:, 1:]).all()


def one_part(folder, parts):
    """Parts of four pictures, whose first point is hidden."""
    folder.mkdir()
    seen = np.ones((4, POINTS), bool)
    seen[:, 0] = False
    for part in range(parts):
        np.save(pairs.part_file(folder, part), np.zeros((4, 256, 128, 3), np.uint8))
        np.savez(pairs.known_file(folder, part), points=np.full((4, POINTS, 2), 50, "f4"), seen=seen)
    return folder


def test_pulls_are_judged_by_where_points_went(tmp_path):
    from joint_pulls import KINDS, NEAR, Row, finished_rows, judged, keep_rows, summary

    before = {"nose": np.array([60.0, 50.0]), "neck": np.array([64.0, 70.0]), "hand_left": np.array([90.0, 120.0]),
              "pelvis": np.array([64.0, 130.0])}  # fmt: skip
    target = KINDS["hand up"].to(before)
    assert target == pytest.approx([90, 120 - 25.6])
    assert KINDS["hand out"].to(before)[0] > 90
    half_way = {**before, "hand_left": np.array([90.0, 120 - 12.8])}
    assert judged(KINDS["hand up"], before, half_way, target) == pytest.approx((12.8, 0.5))
    # A head that only moves aside with the neck has not turned.
    target = KINDS["head turned"].to(before)
    aside = {**before, "nose": target, "neck": before["neck"] + target - before["nose"]}
    error, gone = judged(KINDS["head turned"], before, aside, target)
    assert (error, gone) == pytest.approx((0, 0))
    rows = [
        Row("hand up", 1, 25.6, round(NEAR - 0.1, 2), 0.9, "arrived", 2, 0.2, "01234567"),
        Row("hand up", 2, 25.6, 1.0, 0.2, "capped", 9, 1.0, "01234567"),
    ]
    assert [row.good for row in rows] == [True, False]
    assert "| hand up | 2 | 50 % | 5.6 | 0.55 | 5.5 | 0.60 |" in summary(rows)
    assert finished_rows(tmp_path / "none.csv") == []
    keep_rows(tmp_path / "rows.csv", rows)
    assert finished_rows(tmp_path / "rows.csv") == rows


def test_rows_are_gone_on_with_and_those_of_other_weights_are_not_kept(tmp_path, monkeypatch):
    import joint_pulls

    done, file = [], tmp_path / "rows.csv"
    row = joint_pulls.Row("hand up", 3, 25.6, 1.0, 0.9, "arrived", 2, 0.2, "present")
    joint_pulls.keep_rows(file, [row, dataclasses.replace(row, seed=4, weights="another")])
    monkeypatch.setattr(joint_pulls, "weights_of", lambda generator: "present")
    monkeypatch.setattr(joint_pulls, "people", lambda kind, basis, renderer, count: range(3, 3 + count))

    def pull(generator, reader, name, seed, weights):
        done.append((name, seed))
        return dataclasses.replace(row, kind=name, seed=seed, weights=weights), None

    monkeypatch.setattr(joint_pulls, "pull", pull)
    rows = joint_pulls.measured_pulls(None, None, None, None, file, 2, ["hand up", "foot out"])
    assert done == [("hand up", 4), ("foot out", 3), ("foot out", 4)]
    assert joint_pulls.finished_rows(file) == rows
    assert {each.weights for each in rows} == {"present"}
