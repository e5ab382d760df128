"""What a sentence asks for: "older, smiling a bit, hair much longer" → attributes and amounts.

A sentence falls into clauses, at commas and at "and"; in each, the phrases of a vocabulary are found, the longest
first, in whatever order their words stand. Degrees ("a bit", "much") and negations belong to the phrase next to them.
An adjective that lacks its noun has that of the clause before, or after: "longer and darker hair".
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from draggan_widget.directions.grammar import (
    AFTER,
    COURTESY,
    DECREASE,
    DEGREES,
    FILLERS,
    GONE,
    MORE,
    NOT,
    PERSONS,
    POINTING,
    PRONOUNS,
)
from draggan_widget.directions.vocabulary import QUANTITY, Vocabulary, stem, words_in
from draggan_widget.texts import quoted

CLAUSE = re.compile(
    r"[,;.!?:/\n&+]|\b(?=without\s+\w+ing\b)|\b(?:and|but|plus|while|yet|then|also|or|nor)\b(?!\s+(?:down|up)\b)",
    re.IGNORECASE,
)

LONGEST = 2000
"""Characters of a text."""


class WordError(ValueError):
    """A text of which nothing is understood, or that contradicts itself; the message names the words."""


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What a text asks for."""

    changes: tuple[tuple[str, float], ...]
    """Attributes and amounts in σ, each attribute once, in the order of the text."""
    unknown: Mapping[str, str | None]
    """Words that were not understood → the nearest that is known, or None."""
    beyond: tuple[tuple[str, float], ...] = ()
    """Phrases with words that are not known, for somebody else to understand, with their amounts."""

    def notes(self) -> list[str]:
        """Return a sentence for each word that was not understood."""
        return [_not_known(word, near) for word, near in self.unknown.items()]


@dataclasses.dataclass
class _Match:
    words: str
    meaning: Mapping[str, float]
    places: list[int]
    factor: float = 1.0
    beyond: bool = False
    """Whether it is left for somebody else to understand."""


def understand(text: str, vocabulary: Vocabulary) -> list[tuple[str, float]]:
    """Return the attributes and amounts, in σ, that a text asks for. Raises what ``meaning`` does."""
    return list(meaning(text, vocabulary).changes)


def meaning(text: str, vocabulary: Vocabulary, *, beyond: bool = False) -> Meaning:
    """Return what a text asks for, and the words in it that are not known.

    "A bit" is half a σ, "much" two; "no beard" and "without a beard" are two less, "less" and "not" one less.

    :param beyond: whether phrases with words that are not known are told as such, with their amounts, rather than their
        words as unknown.
    :raises WordError: if nothing of it is known, or if two words of it ask for opposite things.
    :raises TypeError: if it is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"a text is needed, such as 'older, turned left'; got {type(text).__name__}")
    if len(text) > LONGEST:
        raise WordError(f"the text has {len(text):,} characters; say it in at most {LONGEST:,}")
    clauses = [_Clause(part, vocabulary) for part, _ in _clauses(text)]
    if not any(clause.words for clause in clauses):
        raise WordError("the text is empty; say what should change, such as 'older, turned left'")
    inherits = [joined for _, joined in _clauses(text)]
    for place, clause in enumerate(clauses):
        before = clauses[place - 1] if place else None
        after = clauses[place + 1] if place + 1 < len(clauses) else None
        clause.find(before, after, negated=bool(inherits[place] and before and before.negated), beyond=beyond)
    changes: dict[str, tuple[float, str]] = {}
    for match in (match for clause in clauses for match in clause.matches if not match.beyond):
        for name, amount in match.meaning.items():
            amount *= match.factor
            there, words = changes.get(name, (0.0, ""))
            if there * amount < 0:
                raise WordError(
                    f"{quoted(words)} and {quoted(match.words)} contradict each other; leave one of them out"
                )
            if abs(amount) > abs(there):
                changes[name] = amount, match.words
    unknown = {word: vocabulary.nearest(word) for clause in clauses for word in clause.unknown}
    left: dict[str, float] = {}
    for match in (match for clause in clauses for match in clause.matches if match.beyond):
        if left.get(match.words, 0.0) * match.factor < 0:
            raise WordError(f"{quoted(match.words)} is asked for and is not; leave one of them out")
        left[match.words] = max(left.get(match.words, 0.0), match.factor, key=abs)
    if not changes and not left:
        said = [_not_known(word, near) for word, near in unknown.items()] or [
            f"{quoted(text.strip())} names nothing that could change, or does not say how; "
            "say what should be more or less, such as 'older, turned left'"
        ]
        raise WordError("; ".join(said))
    return Meaning(tuple((name, amount) for name, (amount, _) in changes.items()), unknown, tuple(left.items()))


def _not_known(word: str, near: str | None) -> str:
    return f"{quoted(word)} is not known" + (f"; the nearest known word is {quoted(near)}" if near else "")


def _contracted(word: str) -> tuple[str, ...]:
    """Return "should", "n't" for "shouldn't"."""
    return (word[:-3], "n't") if len(word) > len("n't") and word.endswith("n't") else (word,)


def _clauses(text: str) -> list[tuple[str, bool]]:
    """Return the clauses of a text, and whether each goes on from the one before by "or" or "nor"."""
    parts, start, joined = [], 0, False
    text = text.replace("’", "'")
    for found in CLAUSE.finditer(text):
        parts.append((text[start : found.start()], joined))
        start, joined = found.end(), found[0].lower() in ("or", "nor")
    parts.append((text[start:], joined))
    return [(part, joined) for part, joined in parts if part.strip()]


class _Clause:
    """One clause, and the phrases that are found in it."""

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.words = [each for word in words_in(text) if word not in COURTESY for each in _contracted(word)]
        self._stems = [vocabulary.known(word) for word in self.words]
        self._degrees, used = self._marks(DEGREES, set())
        self._gone, used = self._marks({**dict.fromkeys(GONE, -2.0), **dict.fromkeys((*NOT, *DECREASE), -1.0)}, used)
        self._behind, used = self._marks(dict.fromkeys(AFTER, -2.0), used, last=True)
        _, self._marked = self._marks(dict.fromkeys(MORE, 1.0), used)
        self._subjects = self._persons()
        quantities = [
            place for place, word in enumerate(self.words) if word in ("more", "less", "fewer", "much", "lots")
        ]
        self._quantity = quantities[-1] if quantities else None
        self.matches: list[_Match] = []
        self.unknown: list[str] = []
        self.negated = bool(self._gone)

    def _marks(
        self, marks: Mapping[str, float], used: set[int], *, last: bool = False
    ) -> tuple[list[tuple[int, float]], set[int]]:
        """Return where words of a list stand, with what they mean, and all places that are taken by now."""
        found, used = [], set(used)
        for name in sorted(marks, key=lambda each: -len(each.split())):
            parts = name.split()
            for place in range(len(self.words) - len(parts) + 1):
                places = set(range(place, place + len(parts)))
                if self.words[place : place + len(parts)] != parts or places & used:
                    continue
                if last and place + len(parts) < len(self.words):
                    continue
                if self._is_meant(name, place):
                    found.append((place + len(parts) - 1, marks[name]))
                    used |= places
        return found, used

    def _is_meant(self, name: str, place: int) -> bool:
        """Return whether a word that may say something else as well is one of degree here."""
        follows = self.words[place + 1] if place + 1 < len(self.words) else ""
        ahead = self.words[place + len(name.split())] if place + len(name.split()) < len(self.words) else ""
        if name == "a little" and stem(ahead) in self._vocabulary.nouns:
            return False  # "a little nose"
        if name == "far":
            return follows in ("more", "less") or follows.endswith("er")
        if name in ("little", "bit", "pretty", "way", "clearly"):
            return bool(follows) and (follows in ("more", "less", "of", "too") or follows.endswith("er"))
        return True

    def _persons(self) -> set[int]:
        """Return where somebody is named who is only pointed at."""
        return {
            place
            for place, each in enumerate(self._stems)
            if each in PERSONS and any(word in POINTING for word in self.words[max(0, place - 3) : place])
        }

    @property
    def nouns(self) -> list[str]:
        """The stems of its words that may have adjectives."""
        return [each for each in self._stems if each in self._vocabulary.nouns]

    @property
    def adjectives(self) -> list[str]:
        """The stems of its known words that are no nouns."""
        known = self._vocabulary.stems
        return [
            each
            for place, each in enumerate(self._stems)
            if each in known - FILLERS - self._vocabulary.nouns and place not in self._marked
        ]

    def find(self, before: _Clause | None, after: _Clause | None, *, negated: bool, beyond: bool = False) -> None:
        """Find the phrases. :param before: the clause before, :param after: and the one after."""
        if not self._take(self._places(())):
            self._take(self._places((stem(QUANTITY),)))
        borrowed, adjectives = None, self.adjectives
        if not self.matches and not any(word == "without" for word in self.words):
            lenders = [each for each in (before, after) if each is not None]
            borrowed = next((each for each in lenders if self._borrow(each)), None)
        elif before is not None and self._lacks_noun():
            borrowed = before if self._borrow(before) else None
        self.unknown = self._not_understood()
        if beyond and self.unknown:
            self._leave()
        self.negated |= negated
        if negated and not self._gone:
            for match in self.matches:
                match.factor *= -2.0
        if borrowed is not None and not self._degrees and not adjectives:
            self._degrees = [(len(self.words), factor) for _, factor in borrowed._degrees[-1:]]
        self._modify()

    def _places(self, borrowed: tuple[str, ...]) -> dict[str, list[int]]:
        places: dict[str, list[int]] = {}
        if stem(QUANTITY) in borrowed and self._quantity is not None:
            places[stem(QUANTITY)] = [self._quantity]
        for place, each in enumerate(self._stems):
            if place not in self._marked and place not in self._subjects:
                places.setdefault(each, []).append(place)
        for each in borrowed:
            if each == stem(QUANTITY):
                continue
            places.setdefault(each, [len(self._stems)])
        return places

    def _take(self, places: dict[str, list[int]], taken: frozenset[str] = frozenset()) -> bool:
        found = False
        while (best := self._vocabulary.best(places, taken)) is not None:
            phrase, meant = best
            taken |= phrase
            where = [place for each in phrase for place in places[each] if place < len(self.words)]
            said = " ".join(self.words[place] for place in sorted(where)) or " ".join(sorted(phrase))
            self.matches.append(_Match(said, meant, where))
            found = True
        return found

    def _lacks_noun(self) -> bool:
        """Return whether what was found may be meant of the noun of the clause before."""
        pronoun = any(word in PRONOUNS for word in self.words)
        return len(self.matches) == 1 and not self.nouns and (pronoun or len(self.matches[0].places) == 1)

    def _borrow(self, other: _Clause) -> bool:
        """Take the nouns of another clause, or its adjectives where this has only nouns. Return whether that helps."""
        adjectives = self.adjectives
        if not adjectives and self._quantity is not None and any(word in PRONOUNS for word in self.words):
            return self._take(self._places((*other.nouns, stem(QUANTITY))))
        lent = tuple(other.nouns) if adjectives else tuple(other.adjectives)
        if not lent or (not adjectives and not self.nouns):
            return False
        own = set(self._stems)
        best = self._vocabulary.best(self._places(lent), frozenset())
        if best is None or not best[0] & own or not best[0] & set(lent) or best[0] <= set(lent):
            return False
        kept, self.matches = self.matches, []
        if self._take(self._places(tuple(best[0] & set(lent)))):
            return True
        self.matches = kept
        return False

    def _modify(self) -> None:
        """Give degrees and negations to the phrases next to them."""
        for place, factor in self._degrees:
            if match := self._next_to(place, behind=0.6):
                match.factor *= factor
        for place, factor in self._gone:
            ahead = [match for match in self.matches if any(each > place for each in match.places)]
            if match := self._next_to(place, behind=0.6 if not ahead else 1e6):
                match.factor *= factor if len(match.places) == 1 else -1.0  # "no beard", but "no long hair"
        for place, factor in self._behind:
            if match := self._next_to(place, behind=0.0):
                match.factor *= factor

    def _next_to(self, place: int, behind: float) -> _Match | None:
        def distance(match: _Match) -> float:
            return min((each - place if each > place else place - each + behind) for each in match.places or [place])

        return min(self.matches, key=distance, default=None)

    def _leave(self) -> None:
        """Leave what has a word that is not known to somebody else: with all of the clause that says nothing yet."""
        used = {place for match in self.matches for place in match.places} | self._marked | self._subjects
        places = [place for place, word in enumerate(self.words) if place not in used and word not in FILLERS]
        self.matches.append(_Match(" ".join(self.words[place] for place in places), {}, places, beyond=True))
        self.unknown = []

    def _not_understood(self) -> list[str]:
        """Return the words, each once, that no phrase that was found has, and that mean something."""
        known, used = self._vocabulary.stems, {place for match in self.matches for place in match.places}
        found: dict[str, None] = {}
        for place, (word, each) in enumerate(zip(self.words, self._stems, strict=True)):
            if place in used | self._marked | self._subjects or each in FILLERS or word in FILLERS or word.isdigit():
                continue
            if each not in PERSONS and each not in known:
                found[word] = None
        return list(found)


def words_of(vocabulary: Vocabulary) -> list[str]:
    """Return the words that are known, as people write them, in the order of the alphabet."""
    return sorted(set(vocabulary.spelled.values()))
