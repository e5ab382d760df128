"""Models from files and from names. What is in a file becomes inert values: nothing is imported, called or executed."""

from draggan_widget.models.checkpoints.files import read_file, read_pickle, safetensors_metadata
from draggan_widget.models.checkpoints.values import Name, Record, Unreadable, describe, plain, walk

from draggan_widget.models.checkpoints.load import (  # isort: skip -- the readers it names need what is above
    CheckpointError,
    best_device,
    builtin_base,
    builtin_edition,
    builtin_names,
    find_checkpoint,
    load_generator,
    offered_names,
    placed,
    save_generator,
)
from draggan_widget.models.checkpoints.load import TUNED, build, read_checkpoint
from draggan_widget.models.checkpoints.translation import Translation

__all__ = [
    "TUNED",
    "CheckpointError",
    "Name",
    "Record",
    "Translation",
    "Unreadable",
    "best_device",
    "build",
    "builtin_base",
    "builtin_edition",
    "builtin_names",
    "describe",
    "find_checkpoint",
    "load_generator",
    "offered_names",
    "placed",
    "plain",
    "read_checkpoint",
    "read_file",
    "read_pickle",
    "safetensors_metadata",
    "save_generator",
    "walk",
]
