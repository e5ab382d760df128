"""Numbers of figures are read off renders, moved in pictures, and named where enough of them do what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

pytest.importorskip("scipy")
import naming
import pairs
from people import FIGURES
from person import LATENT, normalised
from reader import Reader
from weights import new_generator

from draggan_widget.directions.known import read_known
from draggan_widget.models import mapping_fingerprint
from draggan_widget.models.checkpoints.load import BUILTIN

SHOWN = LATENT.index("floor_light")
KNOWN = (BUILTIN / "figures_attributes.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def renders(tmp_path_factory):
    """A folder with two parts of grey pictures, as light as one of their numbers says, beside the file of a reader."""
    folder = tmp_path_factory.mktemp("renders")
    for part in range(2):
        shades = 128 + 35 * normalised(pairs.part_latents(FIGURES, part)[:40])[:, SHOWN]
        pictures = np.broadcast_to(shades[:, None, None, None], (40, 256, 128, 3)).astype(np.uint8)
        np.save(pairs.part_file(folder, part), pictures)
        np.savez(pairs.known_file(folder, part), points=np.zeros(1), seen=np.zeros(1))
    torch.manual_seed(0)
    torch.save({"reader": Reader().state_dict()}, folder / "reader.pt")
    return folder


@pytest.fixture(scope="module")
def numbers(renders):
    return naming.numbers_of(renders / "reader.pt", renders)


def test_a_number_that_shows_is_read_and_those_that_do_not_are_not(numbers):
    assert numbers.scores[SHOWN] > 0.9
    assert np.delete(numbers.scores, SHOWN).max() < 0.5
    pictures = np.stack([np.full((256, 128, 3), 128 + 35 * sigma, np.uint8) for sigma in (-1, 0, 1)])
    assert numbers(pictures)[:, SHOWN] == pytest.approx([-1, 0, 1], abs=0.3)


def test_what_was_learned_is_kept_for_the_reader_that_it_was_of(renders, numbers, monkeypatch):
    monkeypatch.setattr(naming, "learned", lambda reader, folder: pytest.fail("learned again"))
    assert np.array_equal(naming.numbers_of(renders / "reader.pt", renders).scores, numbers.scores)
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match=r"run reader\.py"):
        naming.numbers_of(renders / "none.pt", renders)
    with pytest.raises(ValueError, match=r"holds 0 parts of renders, 2 are needed: run make\.py"):
        naming.learned(numbers.reader, renders.parent)


@pytest.fixture
def generator(monkeypatch):
    """One that was not trained, whose pictures are as light as the first number of the latent says."""
    torch.manual_seed(0)
    generator = new_generator(FIGURES)

    def picture_of(generator, ws):
        return np.full((256, 128, 3), int(np.clip(128 + 35 * float(ws[0, 0, 0]), 0, 255)), np.uint8)

    class Direction:
        def __init__(self, name):
            self.name = name
            self.change = torch.zeros(generator.num_ws, generator.w_dim)
            self.change[:, 0] = 1.0 if name == LATENT[SHOWN] else 0.0

    monkeypatch.setattr(naming, "picture_of", picture_of)
    monkeypatch.setattr(naming, "known_directions", lambda model, known: [Direction(name) for name in LATENT])
    return generator


def test_a_number_qualifies_that_moves_pictures_as_it_says_and_the_rest_is_gone_on_with(generator, numbers, tmp_path):
    known = read_known(KNOWN)
    found = naming.moved(generator, known, numbers, 3, tmp_path / "moved.json")
    assert [name for name, entry in found.items() if entry["qualifies"]] == [LATENT[SHOWN]]
    assert found[LATENT[SHOWN]]["right"] == 1.0
    kept = json.loads((tmp_path / "moved.json").read_text())
    kept["found"][LATENT[0]]["r2"] = 0.123
    del kept["found"][LATENT[1]]
    (tmp_path / "moved.json").write_text(json.dumps(kept))
    again = naming.moved(generator, known, numbers, 3, tmp_path / "moved.json")
    assert again[LATENT[0]]["r2"] == 0.123
    assert again[LATENT[1]] == found[LATENT[1]]
    assert naming.moved(generator, known, numbers, 2, tmp_path / "moved.json")[LATENT[0]] == found[LATENT[0]]


def test_names_are_given_where_enough_qualify_and_to_the_weights_that_were_measured(generator, tmp_path):
    file = tmp_path / "attributes.json"
    for count in (naming.LEAST, naming.LEAST - 1):
        file.write_text(KNOWN, encoding="utf-8")
        found = {name: {"r2": 0.6, "qualifies": place < count} for place, name in enumerate(LATENT)}
        assert naming.note(file, generator, found) == count
        values = json.loads(file.read_text(encoding="utf-8"))
        assert values["mapping"] == ([mapping_fingerprint(generator)] if count == naming.LEAST else [])
        assert values["attributes"][0]["measured"] == {"r2": 0.6, "qualifies": True}
        assert naming.listed(file).startswith("| group | offered |\n|---|---|\n| Person | sex, age, african, asian |")
