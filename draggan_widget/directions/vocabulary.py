"""The words by which attributes are meant: phrases, each a set of word stems, with what they ask for."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SHORT = 4
"""Letters that a word keeps at least when its ending is taken off; of three where that ending is -er or -est."""
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
QUANTITY = "muchness"
"""Stands for "more" and "less" of a noun itself: "less hair"."""
JOINED = re.compile(r"\b(make|eye)[- ](up|shadow|liner|brow|lid)\b", re.IGNORECASE)
"""What is written in one word or in two."""


def stem(word: str) -> str:
    """Return what is the same of "long", "longer" and "longest", of "smile", "smiles" and "smiling".

    It need not be a word: vocabulary and text only have to be cut alike.
    """
    word = word.lower().removesuffix("'s")
    for ending, instead in (("iest", "y"), ("ier", "y"), ("ies", "y")):
        if len(word) > len(ending) + 2 and word.endswith(ending):
            return word.removesuffix(ending) + instead
    if len(word) > SHORT - 1 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("est", "ing", "er", "ed"):
        cut = word.removesuffix(ending)
        if cut != word and len(cut) > 2 and any(letter in "aeiouy" for letter in cut):
            if cut[-1] == cut[-2] and cut[-1] not in "aeiouls":
                cut = cut[:-1]
            word = cut
            break
    return word[:-1] if len(word) > SHORT - 1 and word.endswith("e") else word


def words_in(text: str) -> list[str]:
    """Return the words of a text in small letters, hyphens taken as spaces."""
    return WORD.findall(JOINED.sub(r"\1\2", text.lower()))


def stems(text: str) -> tuple[str, ...]:
    """Return the stems of the words of a text."""
    return tuple(stem(word) for word in words_in(text))


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """What phrases ask for."""

    phrases: Mapping[frozenset[str], Mapping[str, float]]
    """Stems of a phrase, in any order → amounts by attribute."""
    nouns: frozenset[str]
    """Stems of what has adjectives, such as "hair": one noun may have several."""
    spelled: Mapping[str, str]
    """Stem → a word of it as people write it."""

    @classmethod
    def of(
        cls, attributes: Iterable[Mapping[str, Any]], phrases: Mapping[str, Mapping[str, float]] | None = None
    ) -> Vocabulary:
        """Return the vocabulary of attributes.

        :param attributes: each has a ``name``, and ``words``: nouns ``of`` it, adjectives of these for ``less`` and
            ``more``, and words that mean it alone, ``alone_less`` and ``alone_more``. Where there are none, its name
            means more of it. What comes first counts, where two say the same.
        :param phrases: amounts by attribute of phrases that mean something of their own; they count before all.
        """
        found: dict[frozenset[str], Mapping[str, float]] = {}
        nouns: set[str] = set()
        spelled: dict[str, str] = {}

        def add(phrase: str, meaning: Mapping[str, float]) -> None:
            for word in words_in(phrase):
                spelled.setdefault(stem(word), word)
            found.setdefault(frozenset(stems(phrase)), meaning)

        for phrase, meaning in (phrases or {}).items():
            add(phrase, meaning)
        listed = list(attributes)
        for each in listed:
            name, words = each["name"], each.get("words") or {"alone_more": [each["name"].replace("_", " ")]}
            for sign, side in ((-1.0, "less"), (1.0, "more")):
                for alone in words.get(f"alone_{side}", ()):
                    add(alone, {name: sign})
                for noun in words.get("amount_of", ()):
                    nouns.add(stems(noun)[-1])
                    add(f"{noun} {QUANTITY}", {name: 1.0})
                for noun in words.get("of", ()):
                    nouns.add(stems(noun)[-1])
                    for adjective in words.get(side, ()):
                        add(f"{noun} {adjective}", {name: sign})
        return cls(found, frozenset(nouns), spelled)

    def known(self, word: str) -> str:
        """Return the stem of a word; where that is not known, that of the word without "-y", "-ish" and the like."""
        whole = stem(word)
        if whole in self.spelled:
            return whole
        for ending in ("y", "ish", "like", "ly", "ness", "en", "ful"):
            if len(cut := word.removesuffix(ending)) > 2 and cut != word and stem(cut) in self.spelled:
                return stem(cut)
        return whole

    @property
    def stems(self) -> frozenset[str]:
        """All stems that occur in some phrase."""
        return frozenset(self.spelled)

    def nearest(self, word: str) -> str | None:
        """Return the known word that is spelled most like ``word``; None where none is like it."""
        like = difflib.get_close_matches(word.lower(), sorted(set(self.spelled.values())), 1, cutoff=0.6)
        return like[0] if like else None

    def best(
        self, places: Mapping[str, Sequence[int]], taken: frozenset[str]
    ) -> tuple[frozenset[str], Mapping[str, float]] | None:
        """Return the phrase that says most of some stems: the longest, of these the one that stands closest.

        :param places: stem → where it stands. :param taken: stems that have said something already; nouns among them
            may say more with other words.
        """
        here = frozenset(places)
        candidates = [
            (phrase, meaning)
            for phrase, meaning in self.phrases.items()
            if phrase <= here and not (phrase & taken) - self.nouns and not phrase <= taken
        ]
        if not candidates:
            return None

        def rank(candidate: tuple[frozenset[str], Mapping[str, float]]) -> tuple[int, float]:
            where = [places[each][0] for each in candidate[0]]
            nouns = [places[each][0] for each in candidate[0] if each in self.nouns]
            late = 0.5 if nouns and len(where) > 1 and min(nouns) == min(where) else 0.0  # "long hair" before "hair …"
            return -len(candidate[0]), max(where) - min(where) + late

        return min(candidates, key=rank)
