"""References of public implementations with their weights, and what they drew; networks of a few channels and 16 px."""

from __future__ import annotations

import json

import numpy as np
import torch
from seeded import REFERENCES

from draggan_widget.models.checkpoints.load import build


def unpacked(name):
    """The arrays of a reference by name: those that halves can hold lie in one array, the others in another."""
    with np.load(REFERENCES / f"{name}.npz") as file:
        streams = {True: file["half"].astype(np.float32), False: file["whole"]}
        index = json.loads(str(file["index"]))
    parts, at = {}, {True: 0, False: 0}
    for part, shape, kind, half in index:
        end = at[half] + int(np.prod(shape, dtype=int))
        parts[part] = streams[half][at[half] : end].reshape(shape).astype(kind)
        at[half] = end
    return parts


def under(parts, prefix):
    """Those whose names begin with a prefix, as tensors, without it."""
    return {name[len(prefix) :]: torch.from_numpy(part) for name, part in parts.items() if name.startswith(prefix)}


def assert_draws(translation, z, pictures, label=None):
    """That what was read draws ``pictures``, by truncation, within 2e-4."""
    assert translation is not None
    generator = build("a file", translation)
    for truncation, wanted in pictures.items():
        with torch.no_grad():
            drawn = generator.synthesize(generator.mapping(z, label=label, truncation=float(truncation))).numpy()
        assert drawn.shape == wanted.shape
        assert np.abs(drawn - wanted).max() < 2e-4
    return generator
