"""Words and attributes → a change of the latent."""

from draggan_widget.directions.clip import FACE, PICTURE, Clip, Sight, by_words, load_clip
from draggan_widget.directions.collection import Directions, Listed
from draggan_widget.directions.direction import Direction, DirectionError, check_amount, check_name
from draggan_widget.directions.known import exact_change, known_of
from draggan_widget.directions.teaching import taught
from draggan_widget.directions.unnamed import principal, renamed, sefa
from draggan_widget.directions.vocabulary import Vocabulary
from draggan_widget.directions.words import Meaning, WordError, understand

__all__ = [
    "FACE",
    "PICTURE",
    "Clip",
    "Direction",
    "DirectionError",
    "Directions",
    "Listed",
    "Meaning",
    "Sight",
    "Vocabulary",
    "WordError",
    "by_words",
    "check_amount",
    "check_name",
    "exact_change",
    "known_of",
    "load_clip",
    "principal",
    "renamed",
    "sefa",
    "taught",
    "understand",
]
