"""The recipe of the built-in faces: says what is missing, goes on where it stopped, and what it measures with."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import multiprocessing
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import MagicMock

import carry
import command
import dissect
import evaluate
import make
import measure
import numpy as np
import pairs
import pulls
import pytest
import remake
import safetensors.torch
import torch
import trainer as training
import weights
from critic import Critic, critic_loss, generator_loss, gradient_penalty, led_by
from dataset import FACES
from forward import TrainingForward, quick_dtype
from scene import LATENT
from teaching import OFFSET, FullyConnected, StyleGAN2, install_mapping, unit_second_moment
from team import Team
from variety import Faces, align, head_pose

from draggan_widget import load_generator
from draggan_widget.models import fingerprint

SMALL = {
    "z_dim": len(LATENT),
    "w_dim": 8 + len(LATENT),
    "channels": {4: 8, 8: 8, 16: 8, 32: 8},
    "mapping_layers": 2,
    "mapping_lr_multiplier": 1.0,
}


RECIPE = dataclasses.replace(
    FACES,
    size=(32, 32),
    part=40,
    held_out=8,
    network=SMALL,
    schedule=((0.5, 16, 4), (1.0, 32, 4)),
    continued=((0.1, 16, 4), (1.0, 32, 4)),
)
UNPACKED = dataclasses.replace(make.COMMAND, packages={})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with two parts of noise for pictures, for a recipe of small pictures and a small network."""
    monkeypatch.setattr(training, "teach_mapping", lambda generator, pairs: None)
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for part in range(2):
        pictures = rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
        np.save(pairs.part_file(tmp_path / "pictures", part), pictures)
    return tmp_path


def trainer(folder, minutes=1.0, **options):
    return training.Trainer(RECIPE, folder, pairs.Pairs(RECIPE, folder / "pictures"), minutes, **options)


def test_training_goes_on_where_it_was_stopped(folder):
    first = trainer(folder)
    for _ in range(3):
        first.step(32, 4)
    first.save()
    second = trainer(folder)
    assert (second.steps, second.seconds) == (3, first.seconds)
    for before, after in ((first.generator, second.generator), (first.average, second.average)):
        for name, weight in before.network.state_dict().items():
            assert torch.equal(weight, after.network.state_dict()[name]), name
    moments = second.optimiser.state_dict()["state"]
    assert moments
    assert all(torch.equal(document["exp_avg"], first.optimiser.state_dict()["state"][k]["exp_avg"])
               for k, document in moments.items())  # fmt: skip


def test_a_run_ends_when_its_time_is_used_up_and_leaves_a_generator_that_loads(folder):
    lines = []
    trainer(folder, minutes=0.02).run(lines.append)
    assert "held-out loss" in lines[-1]
    generator = load_generator(folder / "faces.safetensors", device="cpu")
    assert generator.resolution == (32, 32)
    assert torch.isfinite(generator.synthesize(generator.mapping(seed=0))).all()
    sizes = [json.loads(line)["size"] for line in (folder / "history.jsonl").read_text().splitlines()]
    assert sizes[0] == 16
    assert sizes[-1] == 32


@pytest.mark.parametrize(
    ("name", "writer"), [("checkpoint.pt", (torch, "save")), ("faces.safetensors", (Path, "write_bytes"))]
)
def test_a_write_that_breaks_off_leaves_the_old_file_as_it_was(folder, name, writer, monkeypatch):
    running = trainer(folder)
    before = (folder / name).read_bytes()
    running.step(32, 4)

    def full_disk(first, second, **_options):
        place = first if isinstance(first, Path) else second
        if isinstance(place, Path):
            with place.open("wb") as file:
                file.write(b"half")
        else:
            place.write(b"half")
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(*writer, full_disk)
        with pytest.raises(OSError, match="no space left"):
            running.save()
    assert (folder / name).read_bytes() == before
    assert trainer(folder).steps == (0 if name == "checkpoint.pt" else 1)


def test_the_first_pictures_are_never_trained_on(folder):
    known = pairs.Pairs(RECIPE, folder / "pictures")
    kept = {latent.tobytes() for latent in known.held_out()[1].numpy()}
    _, latents = known.batch(400, np.random.default_rng(0))
    assert len(kept) == 8
    assert not kept & {latent.tobytes() for latent in latents.numpy()}


def test_half_written_pictures_do_not_count_and_finished_ones_are_not_made_again(folder):
    (folder / "pictures" / "pictures-00002.123.part").write_bytes(b"half")
    assert pairs.finished_parts(folder / "pictures") == [0, 1]
    maker = pairs.DatasetMaker(RECIPE, folder / "pictures", folder / "basis.npz", 120, 2)
    assert maker.missing == [2]


def test_a_process_that_dies_is_told_instead_of_waited_for(folder):
    maker = pairs.DatasetMaker(RECIPE, folder / "pictures", folder / "no-such-basis.npz", 120, 1)
    maker.start()
    deadline = time.monotonic() + 60

    def wait() -> None:
        while time.monotonic() < deadline:
            maker.progress()
            time.sleep(0.1)

    with pytest.raises(RuntimeError, match="renders pictures died.*Run again"):
        wait()
    maker.stop()
    assert not multiprocessing.active_children()


def test_what_is_missing_is_said_before_any_long_work(tmp_path, monkeypatch):
    needy = dataclasses.replace(make.COMMAND, packages={"no_such_package": "no-such-package==1"})
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: type("Usage", (), {"free": 10**8})())
    package, *_, disk = command.missing_things(needy, tmp_path, 24_000)
    assert package == "the package no_such_package is not installed: pip install no-such-package==1"
    assert "0.1 GB free, 5.7 GB are needed: give another --out" in disk


def test_pictures_that_are_there_already_need_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: type("Usage", (), {"free": 15 * 10**8})())
    (tmp_path / "pictures").mkdir()
    for part in range(48):
        pairs.part_file(tmp_path / "pictures", part).touch()
    assert not any("GB" in problem for problem in command.missing_things(UNPACKED, tmp_path, 24_000))
    assert any("GB" in problem for problem in command.missing_things(UNPACKED, tmp_path, 48_000))


def test_a_folder_with_the_work_of_another_recipe_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(
        sys.modules, "moderngl", type("Mock", (), {"create_standalone_context": MagicMock(), "__spec__": 1})
    )
    (tmp_path / "recipe.json").write_text(json.dumps(FACES.record(2)))
    assert command.missing_things(UNPACKED, tmp_path, 1000) == []
    monkeypatch.setitem(FACES.network, "w_dim", 999)
    (problem,) = command.missing_things(UNPACKED, tmp_path, 1000)
    assert "holds the work of another recipe (see recipe.json): give another --out" in problem


def test_a_folder_with_the_work_of_another_edition_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("command.opengl_problems", list)
    (tmp_path / "recipe.json").write_text(json.dumps(FACES.record(1)))
    (problem,) = command.missing_things(UNPACKED, tmp_path, 1000, edition=2)
    assert "holds pictures and weights of edition 1, and edition 2 is to be made: give another --out" in problem
    assert command.missing_things(UNPACKED, tmp_path, 1000, edition=1) == []


def test_no_opengl_is_said_before_any_long_work(tmp_path, monkeypatch):
    def no_library(**_options):
        raise Exception("libEGL.so not loaded")  # as the loader does

    mock = type("Mock", (), {"create_standalone_context": no_library, "__spec__": 1})
    monkeypatch.setitem(sys.modules, "moderngl", mock)
    (problem,) = (text for text in command.missing_things(UNPACKED, tmp_path, 1000) if "OpenGL" in text)
    assert "libEGL.so not loaded" in problem
    assert "apt-get install libegl1 libgl1-mesa-dri" in problem


@pytest.mark.parametrize("edition", [1, 2])
def test_a_checkpoint_of_another_edition_is_refused_and_left_as_it_is(folder, edition):
    trainer(folder, edition=edition)
    before = (folder / "checkpoint.pt").read_bytes()
    with pytest.raises(ValueError, match=rf"is of edition {edition}, not {3 - edition}: give another --out"):
        trainer(folder, edition=3 - edition)
    assert (folder / "checkpoint.pt").read_bytes() == before


def test_a_damaged_checkpoint_is_said_before_any_long_work(folder, monkeypatch):
    monkeypatch.setattr("command.opengl_problems", list)
    (folder / "checkpoint.pt").write_bytes(b"half")
    (problem,) = command.missing_things(UNPACKED, folder, 1000)
    assert "checkpoint.pt cannot be read" in problem
    assert "remove it to begin anew" in problem


@pytest.mark.parametrize("edition", [1, 2])
def test_a_generator_says_of_which_edition_it_is(folder, edition):
    trainer(folder, edition=edition)
    assert measure.edition_of(folder / "faces.safetensors") == edition


def test_shipped_weights_say_their_edition_and_anothers_renders_are_refused(tmp_path, monkeypatch):
    assert [measure.edition_of(name) for name in ("faces", "faces-1")] == [2, 1]
    monkeypatch.setattr(measure, "opengl_problems", list)
    few, other, basis = measure.missing_things("faces-1", tmp_path / "basis.npz", 2, 3)[:3]
    assert "run make.py first" in basis
    assert few == "--pictures must be at least 20"
    assert other == "faces-1 is of edition 1, not 2: leave --edition out, or name its weights"


def test_training_that_goes_on_from_weights_draws_what_they_drew(folder):
    first = trainer(folder)
    for _ in range(3):
        first.step(32, 4)
    first.save()
    file = folder / "begin.safetensors"
    weights.export(RECIPE, first.average, file, 2)
    (folder / "checkpoint.pt").unlink()
    second = trainer(folder, begin=file)
    assert second.schedule == RECIPE.continued
    z = first.pairs.held_out()[1]
    draw = TrainingForward(second.generator, torch.float32, centred=True)
    with torch.no_grad():
        made = draw(second.generator.network["mapping"](z, None), 32)
    loaded = load_generator(file, device="cpu")
    torch.testing.assert_close(made, loaded.synthesize(loaded.mapping(z)), rtol=1e-3, atol=1e-3)
    again = trainer(folder)
    assert again.schedule == RECIPE.continued  # it need not be told again
    mapping = copy.deepcopy(again.generator.network["mapping"].state_dict())
    for _ in range(2):
        again.step(32, 4)
    for name, weight in again.generator.network["mapping"].state_dict().items():
        assert torch.equal(weight, mapping[name]), name


@pytest.mark.parametrize(
    ("begin", "says"), [("faces", "is of another network"), ("no-such-file.safetensors", "no-such-file")]
)
def test_weights_that_cannot_be_gone_on_from_are_said_before_anything_is_written(folder, begin, says):
    (problem,) = weights.beginning_problems(RECIPE, begin)
    assert says in problem
    with pytest.raises(ValueError, match=says):
        trainer(folder, begin=begin)
    assert not (folder / "checkpoint.pt").exists()


def test_the_finish_trains_generator_and_critic_and_goes_on_where_it_was_stopped(folder):
    first = trainer(folder)
    first.seconds = 0.8 * 60
    critic = copy.deepcopy(first.critic.state_dict())
    drawn = copy.deepcopy(first.generator.network.state_dict())
    for _ in range(3):
        assert math.isfinite(first.step(32, 4))
    assert math.isfinite(first.judged)
    for before, now in ((critic, first.critic.state_dict()), (drawn, first.generator.network.state_dict())):
        assert any(not torch.equal(before[name], now[name]) for name in before)
    first.save()
    second = trainer(folder)
    for name, weight in first.critic.state_dict().items():
        assert torch.equal(weight, second.critic.state_dict()[name]), name
    assert second.critic_optimiser.state_dict()["state"][0]["step"] == 3


def test_the_first_edition_has_no_adversary(folder):
    first = trainer(folder, edition=1)
    first.seconds = 0.9 * 60
    first.step(32, 4)
    assert first.critic is None
    assert first.judged is None


def test_training_lowers_the_loss_over_a_stop(folder, monkeypatch):
    smooth = np.linspace(0, 255, 32)[None, :, None, None].repeat(40, 0).repeat(32, 2).repeat(3, 3).astype(np.uint8)
    for part in range(2):
        np.save(pairs.part_file(folder / "pictures", part), smooth)
    first = trainer(folder)
    before = first.save()
    for _ in range(25):
        first.step(32, 8)
    middle = first.save()
    second = trainer(folder)
    for _ in range(25):
        second.step(32, 8)
    assert second.save() < middle < before


def test_the_supervised_term_has_the_last_word():
    supervised, loud, quiet = torch.tensor([3.0, 4.0]), torch.tensor([0.0, 100.0]), torch.tensor([0.1, 0.0])
    assert torch.allclose(led_by(supervised, loud, 0.5), torch.tensor([3.0, 6.5]))
    assert torch.allclose(led_by(supervised, quiet, 0.5), torch.tensor([3.1, 4.0]))


def test_a_critic_tells_renders_of_a_latent_from_those_of_another():
    torch.manual_seed(0)
    critic = Critic(8, 4)
    optimiser = torch.optim.Adam(critic.parameters(), 3e-3, betas=(0.0, 0.99))
    latents = torch.randn(16, 4)
    pictures = latents[:, :3, None, None].expand(-1, -1, 8, 8)
    for _ in range(120):
        loss = critic_loss(critic, pictures, pictures.roll(1, 0), latents) + gradient_penalty(critic, pictures, latents)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert critic(pictures, latents)[0].mean() > critic(pictures.roll(1, 0), latents)[0].mean() + 0.5


def test_a_critic_judges_each_patch_by_what_is_there():
    torch.manual_seed(0)
    critic, latents = Critic(32, 4), torch.randn(8, 4)
    optimiser = torch.optim.Adam(critic.parameters(), 3e-3, betas=(0.0, 0.99))
    stripes = torch.tensor([-1.0, 1.0]).repeat(16).expand(8, 3, 32, 32)
    for _ in range(60):
        loss = critic_loss(critic, stripes, torch.zeros_like(stripes), latents)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    half = torch.cat([stripes[..., :16], torch.zeros_like(stripes)[..., 16:]], dim=3)
    patches = critic(half, latents)[1].unflatten(1, (16, 16))
    assert patches.shape == (8, 16, 16)
    assert patches[..., :6].min() > patches[..., 10:].max()


def test_features_match_where_pictures_do():
    torch.manual_seed(0)
    critic, latents, true = Critic(16, 4), torch.randn(4, 4), torch.rand(4, 3, 16, 16)
    alike, other = (
        generator_loss(critic, true, made, latents, 1.0) - generator_loss(critic, true, made, latents, 0.0)
        for made in (true, true.flip(0))
    )
    assert alike == 0
    assert other > 0.1


@pytest.mark.parametrize(
    ("units", "dtype"), [(set(), "float32"), ({"amx_tile"}, "bfloat16"), ({"avx512_bf16"}, "bfloat16")]
)
def test_halves_are_used_only_where_they_are_quick(units, dtype, monkeypatch):
    for name in ("amx_tile", "avx512_bf16"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda there=name in units: there, raising=False)
    assert quick_dtype(torch.device("cpu")) == getattr(torch, dtype)


def test_a_device_that_is_not_there_is_said_before_any_long_work(tmp_path):
    (problem,) = (text for text in command.missing_things(UNPACKED, tmp_path, 1000, "cuda:77") if "device" in text)
    assert "no device cuda:77" in problem
    assert "leave --device out" in problem


@pytest.mark.parametrize("arguments", [["--pictures", "500"], ["--processes", "0"], ["--minutes", "-1"]])
def test_amounts_that_make_no_generator_are_refused(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["make.py", *arguments])
    with pytest.raises(SystemExit):
        command.main(make.COMMAND, make.__doc__)
    assert "--pictures must be at least 1000" in capsys.readouterr().err


def test_an_export_without_a_checkpoint_says_what_to_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["make.py", "--out", str(tmp_path), "--export", str(tmp_path / "new.safetensors")])
    assert command.main(make.COMMAND, make.__doc__) == 1
    assert f"no checkpoint in {tmp_path} yet: run make.py --out" in capsys.readouterr().err


def test_the_latent_is_handed_through_the_mapping_beside_what_it_was_taught():
    generator = StyleGAN2(32, **SMALL)
    taught = torch.nn.ModuleList([FullyConnected(len(LATENT), 8), FullyConnected(8, 8)])
    install_mapping(generator, taught)
    z = torch.randn(50, len(LATENT), generator=torch.Generator().manual_seed(0))
    w = generator.network["mapping"](z, None)
    torch.testing.assert_close(w[:, 8:], unit_second_moment(z) + OFFSET, rtol=0, atol=1e-5)
    x = unit_second_moment(z)
    for layer in taught:
        x = torch.nn.functional.leaky_relu(layer(x), 0.2) * 2**0.5
    torch.testing.assert_close(w[:, :8], x, rtol=1e-4, atol=1e-4)


def test_a_team_of_two_takes_the_mean_of_both():
    team = Team(2, 3)
    team.shared.zero_()
    other = copy.copy(team)
    other.rank = 1
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(member.mean, torch.tensor(numbers))
                for member, numbers in ((team, [1.0, 2.0, 3.0]), (other, [3.0, 2.0, 1.0]))]  # fmt: skip
        assert all(torch.equal(one.result(), torch.full((3,), 2.0)) for one in both)


def test_nobody_waits_for_a_member_that_has_died():
    team = Team(2, 3)
    team.watch([type("Dead", (), {"exitcode": 1})()])
    with pytest.raises(RuntimeError, match="a process that trains died.*Run the same command again"):
        team.mean(torch.zeros(3))


def test_figures_of_pulls_count_lost_faces_as_failures():
    pull = pulls.Pull(2000, "chin", (0.05, 0.0))
    good = pulls.Pulled(pull, error=1.0, changed=0.1, outside=0.0, reason="arrived", steps=10, seconds=1.0)
    other_person = dataclasses.replace(good, changed=0.3)
    lost = dataclasses.replace(good, error=math.inf, changed=math.inf, reason="capped", steps=30)
    figures = pulls.summary([good, other_person, lost, None], typical_difference=0.5)
    assert figures["pulls"] == 3
    assert figures["good"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["within"] == figures["face_found"] == figures["arrived"] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["same_face"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["median_error"] == figures["error_chin"] == 1.0
    assert figures["seconds_a_step"] == pytest.approx(3 / 50)
    with pytest.raises(RuntimeError, match="no face in any of 2 pictures"):
        pulls.summary([None, None], 0.5)


def head(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Landmarks (68, 2) of a head turned by degrees, those that are not looked at being zero."""
    from variety import _HEAD

    yaw, pitch, roll = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    landmarks = np.zeros((68, 2))
    landmarks[list(_HEAD)] = (np.array(list(_HEAD.values())) @ (about_z @ about_x @ about_y).T)[:, :2] * 50 + 128
    return landmarks


@pytest.mark.parametrize(
    "angles", [(0, 0, 0), (25, 0, 0), (-25, 0, 0), (0, 15, 0), (0, 0, 10), (20, -10, 5), (30, 15, -10)]
)
def test_the_pose_of_a_head_is_read_from_its_landmarks(angles):
    assert np.abs(np.subtract(head_pose(head(*angles)), angles)).max() < 1e-6


def test_shapes_that_differ_by_place_size_and_turn_only_are_the_same():
    shape = np.random.default_rng(0).normal(size=(68, 2))
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    first, second, third = align(np.stack([shape, 3 * shape @ turn + 7, shape * (1.2, 1)]))
    assert np.abs(first - second).max() < 1e-9
    assert np.abs(first - third).max() > 1e-2


def test_pictures_without_a_face_lower_the_rate_of_faces_found():
    pictures = [np.zeros((8, 8, 3), np.uint8)] * 4
    described = iter([(np.zeros((68, 2)), np.zeros(128)), None, None, (np.zeros((68, 2)), np.ones(128))])
    finder = type("Finder", (), {"describe": lambda self, _picture: next(described)})()
    faces = Faces(pictures, finder)
    assert faces.rate == 0.5
    assert faces.typical_difference() == pytest.approx(np.sqrt(128))


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """Two parts of a product, the second of which cannot be made until its folder is there; what was made is told."""
    made = []

    def second(folder):
        if not (folder / "ready").exists():
            raise FileNotFoundError("not ready")
        made.append("second")

    monkeypatch.setattr(remake, "MADE_FOR", tmp_path / "made_for.json")
    monkeypatch.setattr(remake, "present", lambda: "new")
    first = remake.Part("first", "a picture", (), lambda folder: made.append("first"))
    monkeypatch.setattr(remake, "PARTS", (first, remake.Part("second", "figures", (), second)))
    (tmp_path / "made_for.json").write_text('{"first": "old"}')
    return made


def test_what_was_made_for_other_weights_is_made_again_and_goes_on_after_a_fault(parts, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["remake.py", "--out", str(tmp_path)])
    assert remake.main() == 1
    assert "second failed: not ready; mend that" in capsys.readouterr().err
    assert json.loads((tmp_path / "made_for.json").read_text()) == {"first": "new"}
    (tmp_path / "ready").touch()
    assert remake.main() == 0
    assert parts == ["first", "second"]
    monkeypatch.setattr(sys, "argv", ["remake.py", "--list"])
    assert remake.main() == 0
    assert capsys.readouterr().out.count("as it should be") == 2


def test_parts_say_what_they_need_before_any_is_made(tmp_path):
    def problems(**needs):
        part = remake.Part("figures", "of heads", ("no_such_package",), lambda folder: None, **needs)
        package, *others = remake.missing_things([part], tmp_path)
        assert "figures: the package no_such_package is not installed" in package
        return [other for other in others if "is not installed" not in other]

    assert problems() == []
    (basis,) = problems(basis=True)
    assert re.search(r"^figures: .* holds no basis.npz: run make.py", basis)
    (renders,) = problems(renders=2)
    assert "holds 0 parts of renders, 2 are needed: run make.py" in renders
    assert problems(basis=True, draws=True, drawn=lambda folder: True) == [], "all of it is drawn already"


def test_what_draws_heads_needs_the_packages_for_that_until_they_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(remake, "TO_DRAW", ("no_such_renderer",))
    for drawn in (False, True):
        part = remake.Part("x", "heads", (), lambda folder: None, draws=True, drawn=lambda folder, all_=drawn: all_)
        assert len(remake.missing_things([part], tmp_path)) == (not drawn)


def test_what_comes_with_the_package_is_made_for_its_weights():
    owners = {part.name: part.own() for part in remake.PARTS if part.own is not None and part.name != "attributes"}
    of_predictors = owners.pop("predictors")
    assert of_predictors == remake.present()
    assert owners == dict.fromkeys(("arrays", "encoder", "metric"), remake.present())


@pytest.fixture
def drawing(folder):
    """A file of weights that were hardly trained."""
    first = trainer(folder)
    first.step(32, 4)
    weights.export(RECIPE, first.average, folder / "drawing.safetensors", 2)
    return folder / "drawing.safetensors"


def dissecting(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["dissect.py", *map(str, arguments)])
    return dissect.main()


@pytest.mark.parametrize(("layer", "unit"), [("b16.conv0", 3), ("b32.conv1", 0)])
def test_a_silenced_unit_says_the_same_everywhere_and_no_other_weight_changes(drawing, layer, unit, monkeypatch):
    made = drawing.with_name("silent.safetensors")
    assert dissecting(monkeypatch, drawing, "--silence", f"{layer}:{unit}", "--out", made) == 0
    before, after = (load_generator(path, device="cpu") for path in (drawing, made))
    ws = [before.mapping(seed=seed, truncation=0.7) for seed in range(dissect.SAMPLES)]
    was, said = dissect.maps_of(before, ws)[layer][:, unit], dissect.maps_of(after, ws[:1])[layer][:, unit]
    assert float(was.std()) > 0.01
    assert float(said.std()) < 1e-3
    assert float(said.mean()) == pytest.approx(float(was.flatten(1).median(1).values.median()), abs=2e-3)
    changed = [
        name for name, weight in before.state_dict().items() if not torch.equal(weight, after.state_dict()[name])
    ]
    assert changed == [f"network.synthesis.{layer}.weight", f"network.synthesis.{layer}.bias"]
    assert dissect.notes_of(made) == dissect.notes_of(drawing)


def test_units_that_do_something_on_one_side_alone_are_found():
    maps = torch.randn(1, 5, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.1
    maps[0, 3, 3:6, 11:14] = 3.0
    maps[0, 1] = maps[0, 1] + maps[0, 1].flip(-1)
    (first, by), *_ = dissect.suspects(maps, (12 * 16 + 8, 4 * 16 + 8), 256)
    assert first == 3
    assert by > 3


def test_units_that_are_not_there_are_named(drawing, monkeypatch, capsys):
    made = drawing.with_name("silent.safetensors")
    assert dissecting(monkeypatch, drawing, "--silence", "b32.conv1:999", "b99.conv0:1", "--out", made) == 1
    assert "there is no unit b32.conv1:999, b99.conv0:1; layers are b4.conv1" in capsys.readouterr().err
    assert not made.exists()
    with pytest.raises(SystemExit):
        dissecting(monkeypatch, drawing, "--silence", "b32.conv1", "--out", made)
    assert "names no unit" in capsys.readouterr().err


def test_what_was_made_for_nearly_the_same_weights_is_carried_over_and_no_other(drawing, tmp_path, monkeypatch, capsys):
    old = load_generator(drawing, device="cpu")
    file = tmp_path / "metric.safetensors"

    def carried(new, base):
        safetensors.torch.save_file({"layer": torch.ones(2, 2)}, file, {"fingerprint": base, "blocks": "2+3"})
        monkeypatch.setattr(carry, "KEYS", {file: "fingerprint"})
        monkeypatch.setattr(carry, "BLOCKS", (2, 3))
        monkeypatch.setattr(carry, "load_generator", lambda source, device: old if source == drawing else new)
        monkeypatch.setattr(carry, "present", lambda: fingerprint(new))
        monkeypatch.setattr(sys, "argv", ["carry.py", str(drawing)])
        return carry.main(), remake.header_of(file)["fingerprint"]

    assert carried(old, fingerprint(old)) == (1, fingerprint(old))
    near, far, meaning = (copy.deepcopy(old) for _ in range(3))
    with torch.no_grad():
        near.network["synthesis"]["b8"].conv0.bias.add_(1e-4)
        far.network["synthesis"]["b8"].conv0.weight.neg_()
        meaning.network["mapping"].fc0.weight.mul_(1.01)
    assert carried(near, fingerprint(old)) == (0, fingerprint(near))
    assert torch.equal(safetensors.torch.load_file(file)["layer"], torch.ones(2, 2))
    assert carried(near, "of other weights") == (0, "of other weights")
    assert "left: it is of other weights" in capsys.readouterr().out
    assert carried(far, fingerprint(old)) == (1, fingerprint(old))
    assert carried(meaning, fingerprint(old)) == (1, fingerprint(old))
    said = capsys.readouterr().err
    assert "that is too much" in said
    assert "latents mean something else" in said


def test_figures_are_put_into_their_place_in_a_card(tmp_path):
    card = tmp_path / "card.md"
    card.write_text("a\n<!-- drags -->\nold\n<!-- /drags -->\nb\n")
    rows = {"natural": {"good": 0.913, "median_error": 1.234, "pulls": 3.0}, "draggan": {"good": 1.0}}
    evaluate.put_in(card, "drags", evaluate.table(rows))
    lines = card.read_text().splitlines()
    assert lines[0] == "a"
    assert "| natural | 91 % | 1.23 |" in lines
    assert "| draggan | 100 % | – |" in lines
    assert lines[-1] == "b"
    with pytest.raises(ValueError, match="has no place for figures between <!-- variety -->"):
        evaluate.put_in(card, "variety", "x")


def test_the_card_has_a_place_for_each_figure():
    card = (remake.PACKAGE / "models/builtin/faces.md").read_text(encoding="utf-8")
    for place in ("size", "variety", "drags"):
        assert f"<!-- {place} -->\n" in card
        assert f"\n<!-- /{place} -->" in card
