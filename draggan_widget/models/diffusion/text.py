"""What a prompt is to a network: vectors of its words, by CLIP or by a small vocabulary of captions."""

from __future__ import annotations

import abc
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from draggan_widget.settings import shown

FEW = 8
"""Words that a message lists."""
LONGEST = 24
"""Words of a caption of a ``Vocabulary``."""


class Text(nn.Module, abc.ABC):
    """Prompt → vectors, which a network looks at by cross-attention."""

    @abc.abstractmethod
    def words(self, prompt: str) -> list[str]:
        """Return the words of a prompt in the order of their vectors; "" for vectors that stand for no word.

        :raises ValueError: for one that cannot be had; the text says why and what can.
        """

    @abc.abstractmethod
    def forward(self, prompt: str) -> Tensor:
        """Return the vectors (1, T, D) of a prompt. Raises as ``words``."""

    def places(self, prompt: str, word: str) -> list[int]:
        """Return which vectors of a prompt stand for a word. :raises ValueError: if none does, naming those there are.

        A word that was taken apart, or several words, have several.
        """
        words = self.words(prompt)
        asked = re.findall(r"\w+", word.lower())
        spelled = [re.sub(r"\W", "", each.lower()) for each in words]
        for first in range(len(spelled)):
            left = "".join(asked)
            taken: list[int] = []
            for number in range(first, len(spelled)):
                if not left or not spelled[number] or not left.startswith(spelled[number]):
                    break
                left, taken = left.removeprefix(spelled[number]), [*taken, number]
            if taken and not left:
                return taken
        known = ", ".join(dict.fromkeys(each for each in words if each)) or "nothing"
        raise ValueError(f"{shown(word)} is not in the prompt, which says {known}; name a word of it")


class ClipText(Text):
    """The text encoder of Stable Diffusion, with its tokenizer; both are transformers' own."""

    def __init__(self, tokenizer: Any, encoder: nn.Module) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.encoder = encoder

    def words(self, prompt: str) -> list[str]:
        """See ``Text``. Long words may be taken apart."""
        tokenizer = self.tokenizer
        numbers = tokenizer(prompt).input_ids
        longest = self._longest
        if len(numbers) > longest:
            raise ValueError(
                f"the prompt has {len(numbers) - 2} words and parts of words, and this model reads {longest - 2}; "
                "shorten it"
            )
        special = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
        told = ["" if number in special else tokenizer.decode([number]).strip() for number in numbers]
        return [*told, *[""] * (longest - len(told))]

    def forward(self, prompt: str) -> Tensor:
        """See ``Text``: T is the longest that the encoder reads, 77 for Stable Diffusion."""
        self.words(prompt)
        longest = self._longest
        numbers = self.tokenizer(prompt, padding="max_length", max_length=longest, return_tensors="pt").input_ids
        found: Tensor = self.encoder(numbers.to(next(self.encoder.parameters()).device))[0]
        return found

    @property
    def _longest(self) -> int:
        encoder: Any = self.encoder
        return min(int(self.tokenizer.model_max_length), int(encoder.config.max_position_embeddings))


class Vocabulary(Text):
    """A caption of known words, each with a vector of its own; their order says nothing.

    :param known: the words, without blanks. :param width: D.
    """

    def __init__(self, known: Sequence[str], width: int) -> None:
        super().__init__()
        self.known = tuple(known)
        self._numbers = {word: number for number, word in enumerate(self.known, start=1)}
        self.vectors = nn.Embedding(len(self.known) + 1, width)
        """The first is that of no word."""

    def words(self, prompt: str) -> list[str]:
        """See ``Text``."""
        words = re.findall(r"[\w-]+", prompt.lower())
        for word in words:
            if word not in self._numbers:
                some = ", ".join(self.known[:FEW])
                more = f" and {len(self.known) - FEW} more" if len(self.known) > FEW else ""
                raise ValueError(f"this model does not know the word {shown(word)}; it knows {some}{more}")
        if len(words) > LONGEST:
            raise ValueError(f"the prompt has {len(words)} words, and this model reads {LONGEST}; shorten it")
        return [*words, ""]

    def numbers(self, prompt: str) -> list[int]:
        """Return the rows of ``vectors`` of a prompt, the one of no word last."""
        return [self._numbers[word] if word else 0 for word in self.words(prompt)]

    def forward(self, prompt: str) -> Tensor:
        """See ``Text``: T is one more than the prompt has words."""
        numbers = torch.tensor([self.numbers(prompt)], device=self.vectors.weight.device)
        found: Tensor = self.vectors(numbers)
        return found
