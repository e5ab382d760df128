"""Other people's checkpoint files as inert values: nothing in them is imported, called or executed."""

from draggan_widget.generators.reading.files import read_file, read_pickle, safetensors_metadata
from draggan_widget.generators.reading.values import Name, Record, Unreadable, describe, plain, walk

__all__ = [
    "Name",
    "Record",
    "Unreadable",
    "describe",
    "plain",
    "read_file",
    "read_pickle",
    "safetensors_metadata",
    "walk",
]
