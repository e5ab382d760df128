"""A predictor is trained by one command: from nothing, and from where it stopped; and it learns."""

from __future__ import annotations

import dataclasses

import numpy as np
import predictors
import pytest
import torch
from predictors import Roaming
from random_stylegan2 import small_stylegan2

from draggan_widget import cli
from draggan_widget.analysis.training import card, command, pulls, trainer
from draggan_widget.analysis.training.trainer import Training
from draggan_widget.engines import Predicted, bind
from draggan_widget.engines.predicted import METHODS, Predictor, forget
from draggan_widget.models import save_generator


@pytest.fixture
def small(monkeypatch):
    """Small parts, batches and networks."""
    monkeypatch.setattr(pulls, "PART", 6)
    monkeypatch.setattr(trainer, "BATCH", 16)
    monkeypatch.setattr(trainer, "HELD_BATCHES", 4)
    monkeypatch.setattr(trainer, "TRIALS", 8)
    monkeypatch.setattr(trainer, "LOOK_EVERY", 10)
    monkeypatch.setattr(trainer, "WARM", 20)
    made = trainer.untrained
    monkeypatch.setattr(trainer, "untrained", lambda *given: made(*given, **predictors.SMALL))


def held_out(training):
    look = training.look()
    return look.explained, look.gain


@pytest.mark.parametrize("method", METHODS)
def test_it_learns_from_nothing_and_goes_on_where_it_stopped(method, small, tmp_path):
    source = predictors.motion(tmp_path)
    file = tmp_path / "a.pt"
    training = Training(trainer.untrained(predictors.planted(), source, method, "planted", 12), source, 100, file)
    assert held_out(training) == (pytest.approx(0, abs=1e-6), pytest.approx(0, abs=0.02))
    first_loss = training.take(20)
    training.keep()
    half = held_out(training)
    again = Training(trainer.untrained(predictors.planted(), source, method, "planted", 12), source, 100, file)
    assert (again.step, again.seconds) == (20, training.seconds)
    assert all(
        torch.equal(one, other)
        for one, other in zip(again.predictor.parameters(), training.predictor.parameters(), strict=True)
    )
    again.take(200)
    last_loss = again.take(220)
    there = held_out(again)
    assert last_loss < 0.3 * first_loss
    assert there[0] > max(0.6, half[0] + 0.2), "more of the held-out changes is told"
    assert there[1] > max(0.5, half[1] + 0.1), "a held-out jump comes nearer"


def test_runs_of_the_usual_engine_are_learned_from_where_no_renderer_is(small, tmp_path):
    model = predictors.planted()
    source = pulls.Runs(model, tmp_path, trainer.blocks_of(model))
    assert [total for _, total in source.gather(18)] == [4] * 4
    assert source.groups == (1, 1, 1, 1)
    training = Training(trainer.untrained(model, source, "autodraggan", "planted", 12), source, 100, tmp_path / "a.pt")
    assert not training.predictor.about.zooms
    first_loss = training.take(20)
    training.take(260)
    assert training.take(280) < 0.5 * first_loss
    explained, gain = held_out(training)
    assert explained > 0.3
    assert gain > 0.3
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("runs-*.npz")}
    list(pulls.Runs(model, tmp_path, trainer.blocks_of(model)).gather(18))
    assert before == {file: file.stat().st_mtime_ns for file in tmp_path.glob("runs-*.npz")}, "made once"


def test_the_most_likely_change_takes_points_where_they_are_wanted_at_the_least_length():
    random = torch.Generator().manual_seed(0)
    for points in (1, 3, 9):
        jacobian = torch.randn(4, points, 3, 8, generator=random)
        moves = torch.einsum("ntcd,nd->ntc", jacobian[:, :, :2], torch.randn(4, 8, generator=random))
        change = pulls.likely(jacobian, moves, None, 1e-3, 4.0)
        moved = torch.einsum("ntcd,nd->ntc", jacobian[:, :, :2], change)
        assert torch.allclose(moved, moves, atol=1e-3)
        if points == 1:
            least = torch.linalg.pinv(jacobian[:, 0, :2]) @ moves[:, 0, :, None]
            assert torch.allclose(change, least[..., 0], atol=1e-3)
    grows = torch.full((4, 1), 0.1)
    change = pulls.likely(jacobian[:, :1], 0 * moves[:, :1], grows, 1e-3, 4.0)
    assert torch.allclose(torch.einsum("ntd,nd->nt", jacobian[:, :1, 2], change), grows, atol=1e-3)


def test_a_batch_has_the_units_of_the_network(small, tmp_path):
    source = predictors.motion(tmp_path)
    predictor = trainer.untrained(predictors.planted(), source, "autodraggan", "planted", 12)
    for number in range(12):
        batch = source.batch(predictor, np.random.default_rng(number), 16)
        assert float(batch.points.length.max()) <= 1 + 1e-5
        assert batch.wanted.shape[:2] == (16, batch.wanted.shape[1])
        assert batch.points.features.shape[1] <= 12
        assert float(batch.points.places.abs().max()) < 1.3
        moved = predictors.planted().scale * predictor.change(batch.wanted)[:, -1].mean(dim=1) * predictors.REACH
        asked = batch.points.motions[..., :2] * batch.points.length[:, None, None]
        asked = asked * predictor.unit * batch.wanted.shape[1]
        if asked.shape[1] == 1 and not bool(batch.points.motions[..., 3].any()):
            assert torch.allclose(moved, asked[:, 0], atol=0.1)


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path):
    """A small StyleGAN2 in a file."""
    file = tmp_path / "small.safetensors"
    save_generator(file, small_stylegan2(32))
    return file


def train(checkpoint, *more):
    folder = checkpoint.parent / "out"
    arguments = ["train", "predictor", str(checkpoint), "--out", str(folder), "--samples", "6", "--threads", "1"]
    return cli.main([*arguments, "--minutes", "0.005", *more]), folder


def test_the_command_trains_writes_samples_and_a_card_and_exports(checkpoint, small, capsys, monkeypatch):
    monkeypatch.setenv("DRAGGAN_WIDGET_CACHE", str(checkpoint.parent / "cache"))
    status, folder = train(checkpoint, "--install")
    said = capsys.readouterr()
    assert status == 0, said.err
    assert "data: part 1 of 2" in said.out
    assert "time left" in said.out
    for method in METHODS:
        made = Predictor.load(folder / f"{method}.safetensors")
        assert (made.about.method, made.about.model, made.about.points) == (method, "small", 72)
        assert (folder / f"{method}.png").read_bytes().startswith(b"\x89PNG")
        told = (folder / f"{method}.md").read_text()
        assert made.about.base in told
        assert "runs of the engine" in told
    from draggan_widget import load_generator

    model = load_generator(checkpoint)
    assert bind(model, Predicted()).predictor.about.model == "small"
    assert train(checkpoint, "--method", "autodraggan", "--export", str(folder / "mine.safetensors"))[0] == 0
    mine = Predictor.load(folder / "mine.safetensors")
    assert mine.about == Predictor.load(folder / "autodraggan.safetensors").about
    forget(model)


def test_the_command_goes_on_and_refuses_the_work_of_other_weights(checkpoint, small, capsys):
    status, folder = train(checkpoint, "--method", "autodraggan")
    assert status == 0
    steps = torch.load(folder / "autodraggan.pt", weights_only=True)["step"]
    assert train(checkpoint, "--method", "autodraggan", "--minutes", "0.02")[0] == 0
    assert torch.load(folder / "autodraggan.pt", weights_only=True)["step"] > steps
    capsys.readouterr()
    save_generator(checkpoint, small_stylegan2(32, seed=3))
    assert train(checkpoint)[0] == 1
    assert "holds the work of other weights, another edition of the model say" in capsys.readouterr().err
    (folder / "predictor.json").unlink()
    assert train(checkpoint, "--method", "autodraggan")[0] == 1
    assert "is the checkpoint of another predictor; give another --out" in capsys.readouterr().err
    (folder / "autodraggan.pt").write_bytes(b"nothing")
    assert train(checkpoint, "--method", "autodraggan", "--export", str(folder / "mine.safetensors"))[0] == 1
    assert "no checkpoint that can be gone on from" in capsys.readouterr().err


def test_what_cannot_begin_is_said_in_a_sentence(checkpoint, small, capsys, monkeypatch, tmp_path):
    for more, said in (
        (["--minutes", "0"], "--minutes must be above 0"),
        (["--points", "0"], "--points and --threads at least 1"),
        (["--export", str(tmp_path / "a.safetensors")], "--export writes one predictor; give --method"),
        (["--method", "autodraggan", "--export", str(tmp_path / "a.safetensors")], "no checkpoint"),
        (["--motion", str(tmp_path / "none")], "holds 0 parts of motion.py, and at least 2 are needed"),
    ):
        assert train(checkpoint, *more)[0] == 1
        assert said in capsys.readouterr().err
        for file in (tmp_path / "out").glob("*.json"):
            file.unlink()
    assert cli.main(["train", "predictor", str(tmp_path / "no.pkl"), "--out", str(tmp_path / "out")]) == 1
    assert "no.pkl" in capsys.readouterr().err
    with pytest.raises(ValueError, match="the renderer of the model does not run outside a checkout"):
        command._render(tmp_path / "motion.py", tmp_path, 1)
    monkeypatch.setattr(command, "PACKAGES", ("a_package_that_nobody_has",))
    (tmp_path / "motion.py").write_text("raise SystemExit(3)")
    with pytest.raises(
        ValueError, match=r'does not run without a_package_that_nobody_has: pip install -e "\.\[faces\]"'
    ):
        command._render(tmp_path / "motion.py", tmp_path, 1)
    monkeypatch.setattr(command, "PACKAGES", ())
    with pytest.raises(ValueError, match=r"motion\.py ended with status 3"):
        command._render(tmp_path / "motion.py", tmp_path, 1)


def test_files_that_hold_no_motion_are_refused(tmp_path):
    model = predictors.planted()
    (tmp_path / "motion-00000.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"motion-00000\.npz holds no motion of heads; make it again by motion\.py"):
        list(pulls.Motion(model, [tmp_path / "motion-00000.npz"], tmp_path, (1,)).gather(1))
    np.savez(
        tmp_path / "motion-00001.npz", z=np.zeros((1, 5)), points=np.zeros((1, 2, 2)), motions=np.zeros((1, 2, 3, 5))
    )
    with pytest.raises(ValueError, match="is of heads with 5 numbers; this model has 2"):
        list(pulls.Motion(model, [tmp_path / "motion-00001.npz"], tmp_path, (1,)).gather(1))


def test_a_sheet_shows_pulls_before_and_after(small, tmp_path):
    source = predictors.motion(tmp_path)
    predictor = trainer.untrained(Roaming(), source, "autodraggan", "planted", 12)
    training = Training(predictor, source, 1, tmp_path / "a.pt")
    card.write_samples(training, tmp_path / "a.png")
    from PIL import Image

    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.size == (card.WIDTH * card.SHOWN, 2 * card.WIDTH)
    look = training.look()
    predictor.save(tmp_path / "a.safetensors")
    card.write_card(training, look, dataclasses.replace(look, gain=0.5), tmp_path / "a.safetensors", tmp_path / "a.md")
    assert "% | 50.0% |" in (tmp_path / "a.md").read_text()
