"""What a face of the built-in renders is said to show: a caption of its known attributes, in a small vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SAID = {
    "sex": ("female", "male"),
    "age": ("young", "old"),
    "weight": ("thin", "heavy"),
    "smile": ("frowning", "smiling"),
    "jaw": (None, "open-mouth"),
    "blink": (None, "closed-eyes"),
    "yaw": ("turned-left", "turned-right"),
    "pitch": ("turned-up", "turned-down"),
    "roll": ("tilted-right", "tilted-left"),
    "zoom": ("far", "near"),
    "skin_tone": ("dark-skin", "light-skin"),
    "hair_tone": ("dark-hair", "fair-hair"),
    "hair_red": (None, "red-hair"),
    "grey": (None, "grey-hair"),
    "hair_length": ("short-hair", "long-hair"),
    "hair_wave": ("straight-hair", "wavy-hair"),
    "fringe": (None, "fringe"),
    "beard": ("shaven", "beard"),
    "iris": ("brown-eyes", "blue-eyes"),
    "lip_colour": ("pale-lips", "red-lips"),
    "eye_makeup": (None, "makeup"),
    "freckles": (None, "freckles"),
    "shirt_light": ("dark-shirt", "light-shirt"),
    "back_light": ("dark-background", "light-background"),
}
"""Attribute → what is said of a face that has little of it, and of one that has much; None for nothing."""
WORDS = tuple(word for pair in SAID.values() for word in pair if word is not None)
MIRRORED = {
    "turned-left": "turned-right",
    "turned-right": "turned-left",
    "tilted-left": "tilted-right",
    "tilted-right": "tilted-left",
}
"""What is said of a mirrored picture in place of a word; all others hold of both."""
OF_MEN = ("beard",)
"""Attributes that the renderer shows of men alone: of women nothing is said of them, whatever their numbers are."""
MUCH = 0.8
"""σ from which on an attribute is said."""
LEFT_OUT = 0.4
"""How often each word is left out, so that what is not said may be anything."""
SILENT = 0.1
"""How often nothing is said at all: guidance compares with that (Ho and Salimans, 2021)."""


def words_of(latent: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return all that can be said of a face. :param latent: its attributes in σ. :param names: of them."""
    values = dict(zip(names, latent, strict=True))
    found = []
    for name, (little, much) in SAID.items():
        word = much if values[name] > MUCH else little if values[name] < -MUCH else None
        if word is not None and (name not in OF_MEN or values["sex"] > 0):
            found.append(word)
    return found


def caption(latent: np.ndarray, names: Sequence[str], draw: np.random.Generator) -> str:
    """Return what is said of a face this time: some of its words, in any order, or nothing."""
    if draw.random() < SILENT:
        return ""
    words = [word for word in words_of(latent, names) if draw.random() >= LEFT_OUT]
    draw.shuffle(words)
    return " ".join(words)


def mirrored(said: str) -> str:
    """Return what a caption says of the mirrored picture."""
    return " ".join(MIRRORED.get(word, word) for word in said.split())
