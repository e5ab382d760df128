"""Photographs inverted in several ways, and dragged afterwards: how near each comes, and how well it can be pulled.

Lengths are pixels of a picture of 256 px, as in the other experiments.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from draggan_widget.analysis.experiments.experiments import Bench, UnmeasuredError
from draggan_widget.engines import drag, to_image
from draggan_widget.inversion import (
    CHIN,
    EYE_CORNER,
    MOUTH_CORNER,
    NOSE_TIP,
    Inversion,
    Square,
    Tuner,
    crop,
    encoder_for,
    first_guess,
    fit_pivot,
    lpips_at_hand,
    ms_ssim,
    open_photo,
    psnr,
)
from draggan_widget.models import Generator

PULLED = (NOSE_TIP, EYE_CORNER, MOUTH_CORNER, CHIN)
"""Landmarks, of which one is dragged in each picture."""
BY = 0.05
"""Of the width, by which it is."""
SMALLEST = 11
"""Pixels of a side, below which MS-SSIM cannot be taken."""


@dataclasses.dataclass(frozen=True)
class InversionWay:
    """One way of inverting."""

    name: str
    settings: Inversion | None
    """None: nothing is inverted, but a sample of the model's own is dragged, for comparison."""
    encoder: bool = True
    """Whether it begins at an encoder's guess, where the model has one; else it begins at the mean."""
    tracker: None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the way as values that JSON can hold."""
        settings = None if self.settings is None else self.settings.to_dict()
        return {"name": self.name, "settings": settings, "encoder": self.encoder}


@dataclasses.dataclass(frozen=True)
class Inverted:
    """Pictures are inverted, and one landmark of each is dragged by 5 % of the width in a random direction.

    ``psnr`` and ``ms_ssim`` are to the picture, ``identity`` is how far dlib's descriptors of both are, ``seconds``
    what inverting took, and ``drag`` how far the landmark is from the target afterwards, as dlib finds it.
    """

    pictures: str = ""
    """A hash of the pictures; empty: samples of the model's own are inverted, which should be found again."""
    first_seed: int = 80_000
    """Of these samples, and of those that are dragged for comparison."""
    _files: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, files: Sequence[str]) -> Inverted:
        """Return that of pictures in files, of which the middle is taken. :raises OSError: if one cannot be read."""
        if not files:
            return cls()
        digest = hashlib.sha256()
        for file in files:
            digest.update(hashlib.sha256(Path(file).read_bytes()).digest())
        made = cls(digest.hexdigest()[:16])
        # Not a field: what was measured of the same pictures elsewhere is not measured again.
        object.__setattr__(made, "_files", tuple(files))
        return made

    @property
    def name(self) -> str:
        """As tables call it."""
        return "inversion"

    def measure(self, bench: Bench, way: InversionWay, number: int) -> dict[str, Any]:
        """The figures of sample ``number``. :raises UnmeasuredError: where there is no such picture."""
        model = bench.generator
        if way.settings is None:
            return _pulled(bench, model, bench.seeded(self.first_seed + number), number)
        wanted = self.wanted(bench, number)
        began = time.perf_counter()
        made, latent = inverted(model, wanted, way)
        seconds = time.perf_counter() - began
        with torch.no_grad():
            fitted = made.synthesize(latent)
        figures: dict[str, Any] = {"psnr": psnr(fitted, wanted), "seconds": seconds}
        if min(model.resolution) >= SMALLEST:
            figures["ms_ssim"] = ms_ssim(fitted, wanted)
        if (measured := lpips_at_hand()) is not None:
            with torch.no_grad():
                figures["lpips"] = float(measured(fitted, wanted))
        return {**figures, **_identity(bench, fitted, wanted), **_pulled(bench, made, latent, number)}

    def wanted(self, bench: Bench, number: int) -> Tensor:
        """Return a picture (1, C, H, W) in [-1, 1]. :raises UnmeasuredError: where there is none of that number."""
        model = bench.generator
        if not self.pictures:
            return bench.picture(bench.seeded(self.first_seed + 10_000 + number)).clamp(-1, 1)
        if number >= len(self._files):
            raise UnmeasuredError(f"there are only {len(self._files)} pictures")
        return middle_of(self._files[number], model)


def inversion_ways() -> list[InversionWay]:
    """Own samples; the encoder alone; W, W+ and the usual pivot; 50 steps of it, and 300 from the mean; and tuned."""
    usual = Inversion()
    untuned = dataclasses.replace(usual, tuning_steps=0)
    return [
        InversionWay("own samples", None),
        InversionWay("encoder", dataclasses.replace(untuned, pivot_steps=0)),
        InversionWay("W", dataclasses.replace(untuned, own=0.0)),
        InversionWay("W+", dataclasses.replace(untuned, own=1.0, prior=0.0)),
        InversionWay("pivot", untuned),
        InversionWay("pivot, 50 steps", dataclasses.replace(untuned, pivot_steps=50)),
        InversionWay("300 steps from the mean", dataclasses.replace(untuned, pivot_steps=300), encoder=False),
        InversionWay("tuned", usual),
    ]


def inverted(model: Generator, wanted: Tensor, way: InversionWay) -> tuple[Generator, Tensor]:
    """Return the model, or a tuned copy, and the latent that a way of inverting makes of a picture (1, C, H, W)."""
    settings = way.settings or Inversion()
    label = 0 if model.label_dim else None
    latent = first_guess(model, label, wanted, encoder_for(model) if way.encoder else None)
    for found in fit_pivot(model, wanted, latent, label, settings):
        latent = found
    if not settings.tuning_steps:
        return model, latent
    return tuned(model, latent, wanted, label, settings), latent


def tuned(model: Generator, latent: Tensor, wanted: Tensor, label: int | None, settings: Inversion) -> Generator:
    """Return the copy of a model that is tuned for a picture (1, C, H, W), all steps at once."""
    tuner = Tuner(model, latent, wanted, label, settings)
    for _ in tuner.steps():
        pass
    return tuner.copy().apply(model)


def middle_of(file: str | Path, model: Generator) -> Tensor:
    """Return the middle of a photograph, (1, C, H, W) in [-1, 1], as large as a model's pictures."""
    flat = open_photo(file).flat
    cut = crop(flat, Square.middle(flat.size, model.resolution), model.resolution)
    kind: str = {1: "L", 3: "RGB", 4: "RGBA"}[model.channels]
    array = np.array(cut.convert(kind), np.float32).reshape(*model.resolution, -1)
    return (torch.from_numpy(array).permute(2, 0, 1)[None] / 127.5 - 1).to(next(model.parameters()))


def _identity(bench: Bench, one: Tensor, other: Tensor) -> dict[str, float]:
    describe = getattr(bench.detector, "describe", None)
    if describe is None:
        return {}
    found = [describe(_array(each)) for each in (one, other)]
    if found[0] is None or found[1] is None:
        return {}
    return {"identity": float(np.linalg.norm(found[0][1] - found[1][1]))}


def _pulled(bench: Bench, model: Generator, latent: Tensor, number: int) -> dict[str, Any]:
    """Return how far a landmark is from where it was dragged to; nothing where no faces are found at all."""
    if bench.detector is None:
        return {}
    with torch.no_grad():
        found = bench.detector(_array(model.synthesize(latent)))
    if found is None:
        return {"lost": "no face was found in the picture"}
    random = np.random.default_rng([number, 3])
    mark, angle = PULLED[number % len(PULLED)], random.uniform(0, 2 * np.pi)
    height, width = model.resolution
    handle = np.clip(found[mark], 0, [width - 1, height - 1])
    target = np.clip(handle + BY * width * np.array([np.cos(angle), np.sin(angle)]), 0, [width - 1, height - 1])
    result = drag(model, latent, handle[None], target[None])
    after = bench.detector(np.asarray(result.image.convert("RGB")))
    course = {"steps": result.steps, "reason": result.reason}
    if after is None:
        return {**course, "lost": "no face was found in the picture afterwards"}
    return {**course, "drag": bench.unit * float(np.hypot(*(after[mark] - target)))}


def _array(picture: Tensor) -> np.ndarray:
    image: Image.Image = to_image(picture)
    return np.asarray(image.convert("RGB"))
