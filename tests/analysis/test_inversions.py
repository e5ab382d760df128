"""Pictures are inverted in several ways and dragged afterwards, and what came of it are rows and a table."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

from draggan_widget import cli
from draggan_widget.analysis.experiments.evaluation import Evaluation, evaluate
from draggan_widget.analysis.experiments.inversions import InversionWay, Inverted, inversion_ways
from draggan_widget.inversion import Inversion
from draggan_widget.models import save_generator

ROOT = Path(__file__).parents[2]


class Face:
    """Finds 68 landmarks in any picture, and describes it by its mean colours."""

    def __call__(self, picture):
        height, width = picture.shape[:2]
        return np.tile([[width / 2, height / 2]], (68, 1)) + picture.mean() / 255

    def describe(self, picture):
        return self(picture), picture.mean(axis=(0, 1)) / 255


def quick(ways):
    return [
        way
        if way.settings is None
        else dataclasses.replace(
            way,
            settings=dataclasses.replace(
                way.settings,
                pivot_steps=min(way.settings.pivot_steps, 12),
                tuning_steps=min(way.settings.tuning_steps, 8),
            ),
        )
        for way in ways
    ]


def test_every_way_gives_its_figures_and_tuning_comes_nearest(generator):
    ways = quick(inversion_ways())
    assert [way.name for way in ways][:2] == ["own samples", "encoder"]
    found = evaluate(generator, [Inverted()], ways, samples=2, detector=Face())
    assert not [row for row in found.rows if "error" in row]
    means = found.summary()["inversion"]
    assert set(means["own samples"]) >= {"drag"}
    assert "psnr" not in means["own samples"]
    for way in ways[1:]:
        assert {"psnr", "ms_ssim", "identity", "seconds", "drag"} <= set(means[way.name])
    assert means["encoder"]["psnr"] < means["pivot"]["psnr"] < means["tuned"]["psnr"]
    assert "PSNR, dB" in found.to_markdown()


def test_pictures_of_a_folder_are_inverted_and_a_missing_one_is_said(generator, tmp_path):
    file = tmp_path / "a.png"
    Image.fromarray(np.full((70, 90, 3), 90, np.uint8)).save(file)
    way = InversionWay("mean", Inversion(pivot_steps=0, tuning_steps=0))
    found = evaluate(generator, [Inverted.of([str(file)])], [way], samples=2, detector=Face())
    assert found.rows[0]["psnr"] > 5
    assert "there are only 1 pictures" in found.rows[1]["error"]


def test_the_command_writes_rows_and_a_table(generator, tmp_path, capsys):
    save_generator(tmp_path / "m.safetensors", generator)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    command = ["evaluate", str(tmp_path / "m.safetensors"), "--experiments", "inversion", "--samples", "1"]
    command += ["--ways", "encoder", "--out", str(tmp_path / "out"), "--photos", str(pictures)]
    assert cli.main(command) == 1
    assert "holds no PNG, JPEG or WebP; give a folder of pictures" in capsys.readouterr().err
    Image.fromarray(np.full((70, 90, 3), 90, np.uint8)).save(pictures / "a.png")
    assert cli.main(command) == 0
    assert "PSNR, dB" in capsys.readouterr().out
    assert (tmp_path / "out" / "inversion.jsonl").exists()
    assert cli.main([*command[:-4], "--ways", "nothing"]) == 1
    assert "no way 'nothing'" in capsys.readouterr().err


def test_the_table_in_the_docs_is_that_of_the_raw_rows():
    held = json.loads((ROOT / "docs/data/inversion.json").read_text())
    made = Evaluation(tuple(held["rows"]), {}).to_markdown().partition("\n\n")[2]
    page = (ROOT / "docs/photos.md").read_text()
    assert re.search(r"<!-- inversion -->\n(.*?)\n<!-- end -->", page, re.DOTALL).group(1) == made
    assert {way["name"] for way in held["ways"]} == {row["way"] for row in held["rows"]}
