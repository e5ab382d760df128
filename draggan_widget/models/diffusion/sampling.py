"""How the pictures of a diffusion model are sampled: what a latent of it means hangs on this."""

from __future__ import annotations

import dataclasses

from draggan_widget.settings import as_number, as_whole, shown

LARGEST_GUIDANCE = 30.0


@dataclasses.dataclass(frozen=True)
class Sampling:
    """A prompt, and the way from noise to picture. The numbers are those of DragDiffusion.

    :raises ValueError: for a number that it may not have. :raises TypeError: for a prompt that is no text.
    """

    prompt: str = ""
    """What the picture shows, in the words of the model."""
    steps: int = 50
    """Of the whole way."""
    strength: float = 0.7
    """At which part of the way from picture to noise a latent lies: at 0.7 of 50 steps, at level 35. The more, the
    farther a drag can go, and the less of the picture stays."""
    guidance: float = 1.0
    """How strongly the prompt counts (Ho and Salimans, 2021); at 1 as it was trained, without a second pass."""

    def __post_init__(self) -> None:
        if not isinstance(self.prompt, str):
            raise TypeError(f"prompt is {shown(self.prompt)}; give a text")
        steps, strength, guidance = as_whole(self.steps), as_number(self.strength), as_number(self.guidance)
        if steps is None or not 1 <= steps <= 1000:
            raise ValueError(f"steps is {shown(self.steps)}; it must be a whole number from 1 to 1,000")
        if strength is None or not 0 < strength <= 1:
            raise ValueError(f"strength is {shown(self.strength)}; it must be a number above 0 and up to 1")
        if guidance is None or not 0 <= guidance <= LARGEST_GUIDANCE:
            raise ValueError(f"guidance is {shown(self.guidance)}; it must be a number from 0 to {LARGEST_GUIDANCE:g}")
        for name, value in (("steps", steps), ("strength", strength), ("guidance", guidance)):
            object.__setattr__(self, name, value)

    @property
    def level(self) -> int:
        """At which level of the way a latent lies, at least 1."""
        return max(1, round(self.strength * self.steps))
