"""Words and attributes → a change of the latent."""

from draggan_widget.directions.collection import Directions, Listed, check_amount
from draggan_widget.directions.direction import Direction, DirectionError
from draggan_widget.directions.known import exact_change, known_of
from draggan_widget.directions.teaching import taught
from draggan_widget.directions.unnamed import principal, renamed, sefa
from draggan_widget.directions.vocabulary import Vocabulary
from draggan_widget.directions.words import Meaning, WordError, understand

__all__ = [
    "Direction",
    "DirectionError",
    "Directions",
    "Listed",
    "Meaning",
    "Vocabulary",
    "WordError",
    "check_amount",
    "exact_change",
    "known_of",
    "principal",
    "renamed",
    "sefa",
    "taught",
    "understand",
]
