"""DragBench's measures on pictures with points: what is read, what is measured, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from random_diffusion import small_pixels

from draggan_widget import cli
from draggan_widget.analysis.experiments.dragbench import Row, as_csv, measure, read_cases, table
from draggan_widget.engines import DragDiffusion
from draggan_widget.models.diffusion import Identity, Sampling, described, found_again, save_diffusion

pytest.importorskip("peft")


@pytest.fixture(scope="module")
def model():
    return small_pixels(sampling=Sampling(prompt="old", steps=4))


@pytest.fixture
def folder(tmp_path):
    """Two pictures of 32 × 48 pixels, one with a mask."""
    draw = np.random.default_rng(0)
    for name in ("one", "two"):
        Image.fromarray(draw.integers(0, 256, (32, 48, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    painted = np.zeros((32, 48), np.uint8)
    painted[:, :24] = 255
    Image.fromarray(painted).save(tmp_path / "mask.png")
    write(
        tmp_path,
        {"file": "one.png", "points": [[10, 10, 40, 10]], "prompt": "young", "mask": "mask.png"},
        {"file": "two.png", "points": [[5, 5, 5, 20], [30, 20, 30, 25]]},
    )
    return tmp_path


def write(folder, *pictures):
    (folder / "points.json").write_text(json.dumps({"pictures": list(pictures)}))


def test_pictures_and_points_are_brought_to_the_size_of_the_model(model, folder):
    one, two = read_cases(folder, model)
    assert (one.name, one.prompt, tuple(one.picture.shape)) == ("one", "young", (1, 3, 16, 16))
    assert one.handles.tolist() == [[(10.5) / 3 - 0.5, 10.5 / 2 - 0.5]]
    assert one.targets.tolist() == [[40.5 / 3 - 0.5, 10.5 / 2 - 0.5]]
    assert (one.mask[:, :8] == 1).all()
    assert (one.mask[:, 8:] == 0).all()
    assert (two.mask, two.prompt, len(two.handles)) == (None, "", 2)
    whole = Image.open(folder / "one.png").resize((16, 16), Image.Resampling.LANCZOS)
    assert np.abs((one.picture[0].permute(1, 2, 0).numpy() + 1) * 127.5 - np.asarray(whole)).max() < 0.01


def test_content_is_found_where_it_went():
    torch.manual_seed(0)
    before = torch.randn(1, 12, 16, 16)
    after = torch.roll(before, (2, -3), (2, 3))  # down by 2, to the left by 3
    places = np.array([[8.0, 5.0], [10.0, 9.0]])
    assert found_again(before, after, places, (16, 16)).tolist() == [[5.0, 7.0], [7.0, 11.0]]
    assert found_again(before, before, places, (16, 16)).tolist() == places.tolist()
    assert found_again(before, 3 * before, places, (16, 16)).tolist() == places.tolist()


def test_what_a_model_sees_in_a_picture_is_a_mean_over_noises_at_one_time(model):
    picture = torch.rand(1, 3, 16, 16) * 2 - 1
    draw = torch.Generator().manual_seed(0)
    alpha = float(model.scheduler.alphas_cumprod[261])
    seen = []
    hook = model.unet.up_blocks[1].register_forward_hook(lambda module, args, output: seen.append(output))
    with torch.no_grad():
        for _ in range(2):
            noisy = alpha**0.5 * picture + (1 - alpha) ** 0.5 * torch.randn(picture.shape, generator=draw)
            model.unet(noisy, 261, encoder_hidden_states=model.text("old"))
    hook.remove()
    torch.testing.assert_close(described(model, picture, ensemble=2), (seen[0] + seen[1]) / 2)


def test_every_picture_is_pulled_and_measured(model, folder):
    told = []
    rows = measure(
        model,
        read_cases(folder, model),
        settings=DragDiffusion(max_steps=2),
        identity=Identity(steps=1, rank=1),
        tell=lambda *said: told.append(said),
    )
    assert [row.name for row in rows] == ["one", "two"]
    assert told == [(1, 2, "one"), (2, 2, "two")]
    assert rows[0].unedited == pytest.approx(10.0)
    assert (rows[0].steps, rows[0].reason) == (2, "capped")
    assert all(row.fidelity < 1 and row.distance >= 0 and row.seconds > 0 for row in rows)


def test_the_table_has_means_and_the_distance_without_an_edit():
    rows = [Row("one", 0.9, 2.0, 6.0, 1.0, 10, "arrived"), Row("two", 0.7, 4.0, 8.0, 3.0, 80, "capped")]
    lines = table(rows).splitlines()
    assert lines[2] == "| one | 0.900 | 2.00 | 6.00 | 1.0 | 10 | arrived |"
    assert lines[-1] == "| mean of 2 | 0.800 | 3.00 | 7.00 | 2.0 | 45 | |"
    assert as_csv(rows).splitlines()[1] == "one,0.9,2.0,6.0,1.0,10,arrived"


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        ({"points": [[1, 1, 2, 2]]}, "picture 1 of points.json must have a file and points"),
        ({"file": "one.png", "points": []}, r"needs points as \[\[x, y, to_x, to_y\], …\]"),
        ({"file": "one.png", "points": [[1, 1, 2]]}, r"needs points as \[\[x, y, to_x, to_y\], …\]"),
        ({"file": "one.png", "points": [[1, 1, 60, 2]]}, "has points outside its 48 × 32 pixels"),
        ({"file": "gone.png", "points": [[1, 1, 2, 2]]}, "holds no file gone.png, which points.json names"),
        ({"file": "../one.png", "points": [[1, 1, 2, 2]]}, "holds no file ../one.png"),
        ({"file": "points.json", "points": [[1, 1, 2, 2]]}, "is no picture that can be read"),
    ],
)
def test_what_is_no_picture_with_points_is_refused(model, folder, picture, said):
    write(folder, picture)
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        read_cases(folder, model)


def test_the_command_says_what_it_needs(folder, tmp_path, capsys):
    save_diffusion(tmp_path / "model", small_pixels())
    for arguments, said in (
        (["evaluate", "faces", "--points", str(folder)], "--points needs a diffusion model"),
        (["evaluate", str(tmp_path / "model")], "a diffusion model is evaluated on pictures with points"),
        (["evaluate", str(tmp_path / "model"), "--points", str(tmp_path / "model")], "holds no points.json"),
    ):
        assert cli.main([*arguments, "--out", str(tmp_path / "out")]) == 1
        assert said in capsys.readouterr().err
