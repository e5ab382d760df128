"""The prompt of a model that reads one: another prompt is another model of the same weights."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from draggan_widget.editing.own_picture import LEARNT
from draggan_widget.models import Diffusion
from draggan_widget.models.diffusion import Vocabulary
from draggan_widget.settings import shown

if TYPE_CHECKING:
    from draggan_widget.editing.model import Model

PROMPT = "the prompt"
"""What people are told is read meanwhile."""
SEVERAL = 40
"""Characters of a prompt that undo names."""


def prompt_of(model: Model) -> str | None:
    """Return the prompt of a model; None for one that reads no prompts."""
    generator = model.generator
    return generator.sampling.prompt if isinstance(generator, Diffusion) and generator.text is not None else None


def known_words(model: Model) -> tuple[str, ...]:
    """Return all words that a prompt of a model may have; none where it reads any text, or reads no prompts."""
    text = model.generator.text if isinstance(model.generator, Diffusion) else None
    return text.known if isinstance(text, Vocabulary) else ()


def check_prompt(model: Model, prompt: str) -> None:
    """Check that a model reads a prompt, without reading it. :raises ValueError: if not, saying why.

    :raises TypeError: for what is no text.
    """
    generator = model.generator
    if not isinstance(generator, Diffusion):
        raise ValueError(f"{model.name} reads no prompts; load a diffusion model, or use say(…)")
    if not isinstance(prompt, str):
        raise TypeError(f"prompt is {shown(prompt)}; give a text")
    if generator.text is None:
        raise ValueError("this model reads no prompts; leave the prompt empty")
    generator.text.words(prompt)


def prompted(model: Model, prompt: str) -> Model:
    """Return the model of the same weights with another prompt, which ``check_prompt`` has passed."""
    assert isinstance(model.generator, Diffusion)
    return dataclasses.replace(model, generator=model.generator.sampled(prompt=prompt))


def taking(before: Model, after: Model) -> tuple[str, str]:
    """Return what is done when a model takes the place of another, as undo calls it, and a sentence that it is done."""
    was, now = before.generator, after.generator
    if not isinstance(was, Diffusion) or not isinstance(now, Diffusion) or not now.is_of(was):
        return f"model {after.title}", f"{after.title} is loaded."
    if after.begins is not None and after.begins is not before.begins:
        done = "The picture is learnt: pull its points." if after.begun == LEARNT else f"Done: {after.begun}."
        return after.begun, done
    if was.sampling.prompt != now.sampling.prompt:
        told = shown(now.sampling.prompt[:SEVERAL]) if now.sampling.prompt else "none"
        return f"prompt {told}", f"The prompt is {told}."
    return f"model {after.title}", f"{after.title} is loaded."
