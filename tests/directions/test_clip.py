"""Directions by words that a CLIP network understands, from a tiny one of random weights in transformers' own files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from random_diffusion import tokenizer
from random_stylegan2 import small_stylegan2

from draggan_widget import Editor
from draggan_widget.directions import Clip, Direction, DirectionError, Directions, Sight, WordError, by_words, load_clip
from draggan_widget.directions.clip import regressed

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    torch.manual_seed(3)
    there = tmp_path_factory.mktemp("clip")
    words = tokenizer(there / "words")
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = CLIPTextConfig(
        vocab_size=len(words), max_position_embeddings=32, bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id, pad_token_id=words.eos_token_id, **size,
    )  # fmt: skip
    vision = CLIPVisionConfig(image_size=32, patch_size=8, **size)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8)
    CLIPModel(config).save_pretrained(there)
    words.save_pretrained(there)
    return there


@pytest.fixture(scope="module")
def small():
    return small_stylegan2()


def reddish(small, share=1.0):
    """A network whose first number is how red a picture is, and by which "red" is far along it."""

    def pictures(given):
        red = (given[:, :1] - given.mean(1, keepdim=True)).mean((2, 3))
        return torch.cat([share * red, torch.ones(len(given), 1)], 1)

    def texts(given):
        return torch.tensor([[float("red" in text), 1.0] for text in given])

    return Clip(pictures, texts)


def redness(model, latent):
    with torch.no_grad():
        picture = model.synthesize(latent)
    return float((picture[:, 0] - picture.mean(1)).mean())


# --- loading ----------------------------------------------------------------------------------------------------------


def test_pictures_and_texts_are_seen_as_transformers_own_processor_has_them_seen(folder):
    from PIL import Image
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

    model = CLIPModel.from_pretrained(folder)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    image = np.random.RandomState(0).randint(0, 255, (16, 24, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    clip = load_clip(folder)
    with torch.no_grad():
        theirs = model.get_image_features(**processor(Image.fromarray(image), return_tensors="pt"))
        theirs = getattr(theirs, "pooler_output", theirs)
        ours = clip.pictures(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1)
        assert float(torch.cosine_similarity(ours, theirs)) > 0.999
        words = CLIPTokenizer.from_pretrained(folder)(["red face"], return_tensors="pt")
        theirs = model.get_text_features(**words)
        theirs = getattr(theirs, "pooler_output", theirs)
        assert torch.allclose(clip.texts(["red face", "a photo"])[:1], theirs, atol=1e-5)


def test_a_folder_that_is_not_there_is_told_with_what_to_give(tmp_path):
    with pytest.raises(FileNotFoundError, match="give a folder that holds a CLIP model as transformers saves it"):
        load_clip(tmp_path / "none")


def test_a_folder_of_another_kind_or_a_damaged_one_is_told_with_what_to_give(folder, tmp_path):
    with pytest.raises(DirectionError, match=r"has no config\.json that can be read; give a folder"):
        load_clip(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(DirectionError, match="holds a model of the kind 'bert', not of 'clip'; give a folder"):
        load_clip(tmp_path)
    for file in folder.iterdir():
        if file.is_file() and file.name != "model.safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(DirectionError, match="cannot be taken: .*; give a folder"):
        load_clip(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(DirectionError):
        load_clip(tmp_path)


def test_a_folder_that_lacks_weights_is_refused_rather_than_filled_with_random_ones(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    for file in folder.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(folder / "model.safetensors")
    weights.pop("visual_projection.weight")
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(DirectionError, match=r"it lacks 1 weights, such as 'visual_projection\.weight'"):
        load_clip(tmp_path)


def test_a_text_that_is_longer_than_clip_reads_is_refused(folder):
    with pytest.raises(DirectionError, match="this CLIP reads 30; shorten it"):
        load_clip(folder).texts(["red " * 40])


def test_nothing_is_downloaded_by_a_name_in_place_of_a_folder():
    with pytest.raises(FileNotFoundError, match="no folder 'openai/clip-vit-base-patch32'"):
        load_clip("openai/clip-vit-base-patch32")


# --- directions -------------------------------------------------------------------------------------------------------


def test_a_direction_by_words_changes_pictures_that_were_not_looked_at_as_clip_sees_them(small):
    direction = by_words(small, reddish(small), "a red face", samples=200)
    assert direction.source == "clip"
    assert direction.score > 0.3
    more = [
        redness(small, latent + direction.change[None]) > redness(small, latent - direction.change[None])
        for latent in (small.space.draw(seed=seed) for seed in range(900, 920))
    ]
    assert np.mean(more) >= 0.9
    values = small.space.samples(2000, seed=8)[1] @ direction.reading - direction.zero
    assert float(values.std()) == pytest.approx(1, abs=0.1)
    assert float(direction.change[0].double() @ direction.reading) == pytest.approx(1, abs=1e-4)


def test_directions_are_found_by_a_folder_of_clip_and_come_back_from_their_files(folder, small, tmp_path):
    sight = Sight(small, folder, samples=120)
    assert sight.share == 0
    assert sight.look()
    assert 0 < sight.share < 1
    direction = sight.direction("red face", against="photo of face", name="ruddy")
    assert sight.share == 1
    assert (direction.name, direction.label, direction.group) == ("ruddy", "Ruddy", "clip")
    direction.save(tmp_path / "ruddy.safetensors")
    assert Direction.load(tmp_path / "ruddy.safetensors", small).source == "clip"
    known = Directions(small)
    known.add(direction)
    assert known.understand("much more ruddy").changes == (("ruddy", 2.0),)
    assert next(each for each in known.listed() if each.name == "ruddy").group == "Words by CLIP"


def test_a_direction_of_known_ones_is_made_of_these(small):
    basis = {name: each for name, each in Directions(small).items() if each.source == "principal"}
    direction = by_words(small, reddish(small), "a red face", samples=120, basis=basis)
    changes = torch.stack([each.change[0] for each in basis.values()]).double()
    left = (
        direction.change[0].double()
        - torch.linalg.lstsq(changes.T, direction.change[0].double()[:, None]).solution[:, 0] @ changes
    )
    assert float(left.norm()) < 1e-5 * float(direction.change[0].norm())


def test_what_clip_does_not_see_in_the_models_pictures_is_told_with_what_to_do(small):
    random = torch.Generator().manual_seed(0)
    blind = Clip(
        lambda given: torch.randn(len(given), 6, generator=random),
        lambda given: torch.eye(6)[[len(t) % 6 for t in given]],
    )
    with pytest.raises(
        DirectionError, match=r"hardly sees 'a red face' \(R² 0\.\d\d, 0\.1 needed\).*teach it by examples"
    ):
        by_words(small, blind, "a red face", samples=64)


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda sight: sight.direction(" "), "says nothing; give words"),
        (lambda sight: sight.direction(None), "says nothing; give words"),
        (lambda sight: sight.direction("a face", against="a face"), "sees 'a face' and 'a face' as the same"),
        (lambda sight: sight.direction("a red face", name="\n"), "cannot be one"),
        (lambda sight: Sight(sight.model, sight.clip, samples=3), "samples"),
    ],
)
def test_texts_and_numbers_that_say_nothing_are_refused(small, ask, error):
    sight = Sight(small, reddish(small), samples=16)
    with pytest.raises(ValueError, match=error):
        ask(sight)


def test_a_text_that_clip_cannot_read_is_refused_before_any_picture_is_looked_at(folder, small):
    sight = Sight(small, folder, samples=16)
    for text, error in (("red " * 40, "this CLIP reads 30; shorten it"), (" ", "says nothing"), ("a face", "the same")):
        with pytest.raises(DirectionError, match=error):
            sight.direction(text)
    with pytest.raises(DirectionError, match="cannot be one"):
        sight.direction("red", name=" ")
    assert sight.share == 0


def test_regression_tells_how_well_it_does_on_what_was_left_out():
    random = torch.Generator().manual_seed(1)
    x = torch.randn(80, 30, generator=random)
    clear, noise = x[:, 0] - 0.5 * x[:, 3], torch.randn(80, generator=random)
    weights, score = regressed(x, clear)
    assert score > 0.95
    assert float(torch.cosine_similarity(x.double() @ weights, clear.double(), dim=0)) > 0.99
    assert regressed(x, noise)[1] < 0.1
    assert regressed(x, torch.ones(80))[1] == 0.0


# --- in an editor -----------------------------------------------------------------------------------------------------


@pytest.fixture
def editor(small):
    editor = Editor(small, seed=2)
    yield editor
    editor.close()


def test_a_phrase_beyond_the_list_is_found_by_clip_and_is_one_step_of_undo(editor):
    before = editor.latent
    with pytest.raises(WordError, match="'red' is not known"):
        editor.say("a bit more red")
    notes = editor.say("a bit more red", clip=reddish(editor.generator))
    assert notes[0].startswith("Red: found by CLIP")
    red = editor.attributes.directions["red"]
    assert red.value(torch.as_tensor(editor.latent)) - red.value(torch.as_tensor(before)) == pytest.approx(
        0.5, abs=0.01
    )
    editor.undo()
    assert np.array_equal(editor.latent, before)
    editor.say("red")  # it is a word from now on
    assert not np.array_equal(editor.latent, before)


def test_a_phrase_that_clip_cannot_read_is_refused_before_any_picture_is_looked_at(editor, folder):
    looked = []
    clip = load_clip(folder)
    watched = Clip(lambda pictures: looked.append(pictures) or clip.pictures(pictures), clip.texts)
    longer = "a b c d e f g h " * 3
    for text, error in (("wizardly " * 12, "cannot be one"), (longer, "this CLIP reads 30; shorten it")):
        with pytest.raises(DirectionError, match=error):
            editor.say(text, clip=watched)
    assert not looked
    assert "wizardly" not in editor.attributes.directions


def test_a_path_that_holds_no_clip_changes_nothing(editor, tmp_path):
    before = editor.latent
    with pytest.raises(FileNotFoundError, match="holds a CLIP model"):
        editor.say("wizardly", clip=tmp_path / "none")
    with pytest.raises(DirectionError, match="give a folder"):
        editor.say("wizardly", clip=tmp_path)
    assert np.array_equal(editor.latent, before)
    assert "wizardly" not in editor.attributes.directions
