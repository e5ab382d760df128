"""Sentences → attributes and amounts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from draggan_widget.directions import Vocabulary, WordError, understand
from draggan_widget.directions.known import read_known
from draggan_widget.directions.vocabulary import stem
from draggan_widget.directions.words import meaning

FOLDER = Path(__file__).parents[1]
FACES = read_known((FOLDER.parent / "draggan_widget/models/builtin/faces_attributes.json").read_text(encoding="utf-8"))
SENTENCES = json.loads((FOLDER / "data/sentences.json").read_text(encoding="utf-8"))
"""Written by somebody who had not seen the list of words. The signs of four numbers (eye_tilt, pitch, roll, shift_x)
were guessed there, and are set right as renders show them."""


def said(text):
    return dict(understand(text, FACES.vocabulary))


def test_at_least_55_of_60_sentences_are_understood_with_all_that_is_expected_and_the_right_signs():
    assert len(SENTENCES) == 60
    lost = []
    for each in SENTENCES:
        try:
            found = said(each["text"])
        except WordError as error:
            found = {"error": str(error)}
        if not all(found.get(name, 0) * amount > 0 for name, amount in each["expected"].items()):
            lost.append((each["text"], found))
    assert len(lost) <= 5, lost


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("older", {"age": 1}),
        ("Older, smiling a bit, hair much longer", {"age": 1, "smile": 0.5, "hair_length": 2}),
        ("older, turned left", {"age": 1, "yaw": -1}),
        ("longer and darker hair", {"hair_length": 1, "hair_tone": -1}),
        ("hair longer, darker and curlier", {"hair_length": 1, "hair_tone": -1, "hair_wave": 1}),
        ("much bigger eyes and mouth", {"eye_size": 2, "mouth_width": 2}),
        ("no beard", {"beard": -2}),
        ("without a beard or moustache", {"beard": -2}),
        ("beard gone", {"beard": -2}),
        ("not smiling", {"smile": -1}),
        ("don't smile", {"smile": -1}),
        ("less makeup", {"eye_makeup": -1}),
        ("less make-up", {"eye_makeup": -1}),
        ("a slight smile", {"smile": 0.5}),
        ("make the man look up", {"gaze_y": 1}),
        ("an older woman with long dark hair", {"age": 1, "sex": -1, "hair_length": 1, "hair_tone": -1}),
        ("a little nose", {"nose_width": -1, "nose_length": -1}),
        ("straighter hair and less of it", {"hair_wave": -1, "hair_volume": -1}),
        ("the eyes are too small", {"eye_size": 1}),
        ("eyes further apart", {"eye_spacing": 1}),
        ("close the eyes", {"blink": 1}),
        ("older please", {"age": 1}),
    ],
)
def test_degrees_negations_and_nouns_that_two_adjectives_share(text, amounts):
    assert said(text) == pytest.approx(amounts)


def test_unknown_words_are_told_with_the_nearest_known_one_and_the_rest_is_understood():
    understood = meaning("older, with a smlie", FACES.vocabulary)
    assert dict(understood.changes) == {"age": 1.0}
    assert understood.unknown == {"smlie": "smile"}
    assert understood.notes() == ["'smlie' is not known; the nearest known word is 'smile'"]


@pytest.mark.parametrize("text", ["smlie", "wearing glasses", "qwrtz"])
def test_a_text_of_which_nothing_is_known_is_refused_and_its_words_are_named(text):
    with pytest.raises(WordError, match=f"'{text.split()[-1]}' is not known"):
        said(text)


@pytest.mark.parametrize("text", ["", " , ", "make it so", "the", "nose"])
def test_a_text_that_asks_for_nothing_is_refused(text):
    with pytest.raises(WordError, match=r"(empty|names nothing).*; say what should .*older, turned left"):
        said(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [("older and younger", ("older", "younger")), ("happy but frowning", ("happy", "frowning"))],
)
def test_words_that_contradict_each_other_are_both_named(text, words):
    with pytest.raises(WordError, match=f"'{words[0]}' and '{words[1]}' contradict"):
        said(text)


def test_what_is_no_text_is_refused():
    with pytest.raises(TypeError, match="a text is needed"):
        said(7)


def test_every_attribute_is_meant_by_some_word_in_both_senses():
    one_way = {"african", "asian", "grey"}  # which nothing is the opposite of, but to have less of it
    for each in FACES.attributes:
        senses = {amounts[each["name"]] > 0 for amounts in FACES.vocabulary.phrases.values() if each["name"] in amounts}
        assert senses == ({True} if each["name"] in one_way else {True, False}), each["name"]


def test_the_name_of_a_taught_direction_is_a_word_of_its_own():
    vocabulary = Vocabulary.of([{"name": "heroic_look"}])
    assert understand("a bit more heroic look", vocabulary) == [("heroic_look", 0.5)]


@pytest.mark.parametrize(
    "words", [("long", "longer", "longest"), ("big", "bigger"), ("wavy", "wavier"), ("smile", "smiles", "smiling")]
)
def test_forms_of_a_word_have_one_stem(words):
    assert len({stem(word) for word in words}) == 1


@pytest.mark.parametrize(
    ("text", "changes", "beyond"),
    [
        ("older, with sparkling sequins", [("age", 1.0)], [("sparkling sequins", 1.0)]),
        ("much more wizardly", [], [("wizardly", 2.0)]),
        ("no sequins", [], [("sequins", -2.0)]),
        ("older, much more wizardly, smiling a bit", [("age", 1.0), ("smile", 0.5)], [("wizardly", 2.0)]),
        ("older", [("age", 1.0)], []),
    ],
)
def test_phrases_beyond_the_list_are_told_with_their_amounts_where_somebody_else_understands_them(
    text, changes, beyond
):
    found = meaning(text, FACES.vocabulary, beyond=True)
    assert list(found.changes) == changes
    assert list(found.beyond) == beyond
    assert not found.unknown


def test_a_phrase_beyond_the_list_that_is_wanted_and_not_is_refused():
    with pytest.raises(WordError, match="'wizardly' is asked for and is not"):
        meaning("more wizardly, less wizardly", FACES.vocabulary, beyond=True)


def test_a_text_without_end_is_refused_at_once():
    with pytest.raises(WordError, match=r"the text has 30,000 characters; say it in at most 2,000"):
        meaning("older " * 5000, FACES.vocabulary)
