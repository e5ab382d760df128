"""From a photograph to a model that can be dragged, and back: ``invert``, and what it returns."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import os
import time
from collections import abc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor

from draggan_widget.engines import picture_of, to_image
from draggan_widget.files import readable, write_whole
from draggan_widget.inversion.alignment import Aligned, Square, align, as_square, as_tensor, crop
from draggan_widget.inversion.encoder import encoder_for
from draggan_widget.inversion.landmarks import Landmarks, loaded_landmarks
from draggan_widget.inversion.losses import WINDOW, ms_ssim, psnr
from draggan_widget.inversion.lpips import lpips_at_hand, needed_lpips
from draggan_widget.inversion.opening import Opened, open_photo
from draggan_widget.inversion.pasting import paste
from draggan_widget.inversion.pivot import first_guess, fit_pivot
from draggan_widget.inversion.residual import Residual
from draggan_widget.inversion.settings import Inversion
from draggan_widget.inversion.tuning import Tuner
from draggan_widget.models import Layer, TunedCopy, ended, fingerprint, guarded
from draggan_widget.texts import read_json, shown_path

if TYPE_CHECKING:
    from draggan_widget.models import Generator

FORMAT = 1
WEIGHTS, LATENT, ABOUT, PHOTO = "tuned.safetensors", "latent.safetensors", "photo.json", "photo.png"
"""Files of a folder that ``Photo.save`` writes."""
NO_ENCODER = "No encoder for these weights is there, so the fit began at the mean latent."


@dataclasses.dataclass(frozen=True)
class Stage:
    """How far an inversion is."""

    what: str
    """"aligned", "guess", "pivot", "tuning" or "done"."""
    share: float
    """Of the whole, 0 … 1."""
    picture: Image.Image | None = None
    """The model's picture at this moment, where one was made anyway."""
    photo: Photo | None = None
    """The photograph as it is at this moment, to go on with. While it is tuned, its model is the copy whose weights
    still change, and its ``tuned`` and ``report`` are not there yet."""


@dataclasses.dataclass(frozen=True)
class Report:
    """How near an inversion came to the photograph."""

    psnr: dict[str, float]
    """In dB (the peak being 2 in [-1, 1]): of "guess" and "pivot", and of "tuned" if it was tuned."""
    ms_ssim: dict[str, float]
    """The same by MS-SSIM, at most 1; empty for pictures too small for it."""
    identity: float | None
    """How far dlib's descriptor of the result is from that of the crop; below 0.6 it is one person. None: unknown."""
    seconds: dict[str, float]
    """That "align", "guess", "pivot" and "tuning" took."""
    steps: int
    """Steps of the tuning."""
    notes: tuple[str, ...] = ()
    """What people should know, a sentence each."""
    lpips: dict[str, float] = dataclasses.field(default_factory=dict)
    """The same by LPIPS (AlexNet), where the package lpips and its weights are on this machine; else empty."""


@dataclasses.dataclass(frozen=True, eq=False)
class Photo:
    """A photograph as a latent of a tuned copy of a model."""

    model: Generator
    """The tuned copy, which shares with its base the weights that did not change."""
    latent: Tensor
    """(1, num_ws, w_dim), the pivot: its picture is the crop, as near as it came."""
    crop: Image.Image
    """What of the photograph the model was asked for, of its size."""
    square: Square
    """Where that lies in the photograph."""
    picture: Image.Image
    """The photograph, upright, in RGB and full size."""
    alpha: Image.Image | None
    """How opaque it is; None where it is all opaque."""
    tuned: TunedCopy
    """What makes the tuned copy of its base."""
    report: Report

    @property
    def fitted(self) -> Image.Image:
        """The model's picture of the pivot, made anew each time."""
        return picture_of(self.model, [Layer(self.latent)])

    @functools.cached_property
    def residual(self) -> Residual:
        """What the model's picture lacks of the photograph; for one that is not tuned any more."""
        return Residual(self.crop, self.fitted)

    def with_residual(self, edited: Image.Image | np.ndarray | Tensor) -> Image.Image:
        """Return the model's picture of an edit, with what the fit left of the photograph carried along with it.

        Of the pivot itself that is ``crop``. ``paste`` does likewise in the photograph.

        :param edited: a picture by ``model``, or the latent (1, num_ws, w_dim) of one.
        :raises ValueError: for a picture of another kind.
        """
        return self.residual.added(self._picture_of(edited).convert(self.crop.mode))

    def paste(
        self,
        edited: Image.Image | np.ndarray | Tensor,
        *,
        mask: np.ndarray | None = None,
        whole: bool = False,
        residual: bool = True,
    ) -> Image.Image:
        """Return the photograph in full size with an edit in it: RGB, or RGBA if it was not all opaque.

        What the edit left alone keeps the photograph's own pixels, to the bit.

        :param edited: a picture of the model's size, or the latent (1, num_ws, w_dim) of one.
        :param mask: (H, W) of the model's size, 0 … 1, 1 = may change: outside it nothing does.
        :param whole: paste all of the model's picture, softly at its edge, not only what the edit changed.
        :param residual: carry along, where something moved, what the fit left of the photograph.
        :raises ValueError: for a picture or mask of another size.
        """
        unedited = None if whole else self.fitted
        return self.pasted(self._picture_of(edited), unedited, mask, residual=residual)

    def pasted(
        self, edited: Image.Image, unedited: Image.Image | None, mask: np.ndarray | None, *, residual: bool
    ) -> Image.Image:
        """Return the photograph with a picture in it, without asking the model: in any thread. See ``paste``.

        :param unedited: ``fitted``, made before; None: all of the picture is pasted.
        """
        made = paste(self.picture, self.square, edited, unedited, mask, residual=residual)
        if self.alpha is not None:
            made.putalpha(self.alpha)
        return made

    def _picture_of(self, edited: Image.Image | np.ndarray | Tensor) -> Image.Image:
        if isinstance(edited, Tensor):
            return picture_of(self.model, [Layer(self.model.space.check(edited))])
        return open_photo(edited).picture if isinstance(edited, np.ndarray) else edited

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write it into a folder, from which ``Photo.load`` takes it: each file whole or not at all.

        :raises OSError: if it cannot be written.
        """
        there = Path(folder).expanduser()
        there.mkdir(parents=True, exist_ok=True)
        self.tuned.save(there / WEIGHTS)
        write_whole(there / LATENT, safetensors.torch.save({"ws": self.latent.detach().cpu().contiguous()}))
        shown = self.picture.copy()
        if self.alpha is not None:
            shown.putalpha(self.alpha)
        file = io.BytesIO()
        shown.save(file, "PNG", compress_level=1)
        write_whole(there / PHOTO, file.getvalue())
        about = {
            "format": FORMAT,
            "square": dataclasses.asdict(self.square),
            "report": dataclasses.asdict(self.report),
        }
        write_whole(there / ABOUT, json.dumps(about, indent=1).encode())

    @classmethod
    @guarded
    def load(cls, folder: str | os.PathLike[str], model: Generator) -> Photo:
        """Return what ``save`` wrote. :param model: the base that was tuned.

        :raises FileNotFoundError: if a file of it is missing. :raises ValueError: for damage, or another model.
        """
        there = Path(folder).expanduser()
        about = readable(there / ABOUT, "a folder of an inverted photograph").read_bytes()
        try:
            described = read_json(about)
            if described["format"] != FORMAT:
                raise ValueError("it is of another format; invert the photograph again, or update draggan_widget")
            square, report = Square(**described["square"]), Report(**described["report"])
            report = dataclasses.replace(report, notes=tuple(report.notes))
            latent = safetensors.torch.load(readable(there / LATENT, "a latent").read_bytes())["ws"]
        except FileNotFoundError:
            raise
        except Exception as error:
            raise ValueError(f"{shown_path(there)} holds no photograph that can be read: {error}") from error
        return cls.of_parts(model, TunedCopy.load(there / WEIGHTS), latent, open_photo(there / PHOTO), square, report)

    @classmethod
    @guarded
    def of_parts(
        cls, model: Generator, tuned: TunedCopy, latent: Tensor, opened: Opened, square: Square, report: Report
    ) -> Photo:
        """Return the photograph that ``model`` was tuned for. :raises ValueError: for parts that do not fit."""
        made = tuned.apply(model)
        cut = _as_model(crop(opened.flat, square, model.resolution), model.channels)
        return cls(made, made.space.check(latent), cut, square, opened.picture, opened.alpha, tuned, report)


@guarded
def invert(
    model: Generator,
    photo: Any,
    *,
    square: Square | Sequence[float] | None = None,
    face: int | None = None,
    label: int | None = None,
    settings: Inversion | None = None,
    progress: Callable[[Stage], object] | None = None,
) -> Photo:
    """Return a photograph as a latent of a tuned copy of ``model``, which can be dragged like any other.

    It is aligned, fitted by a latent (the pivot), and the weights of a copy are tuned until the picture is near
    (Roich et al., "Pivotal Tuning", 2021). The photograph stays on this machine, and ``model`` as it is.

    :param photo: see ``open_photo``. :param square: where the model's picture lies in it: a ``Square``, or x, y, size
        and perhaps angle. None: by the landmarks of its face, where dlib is installed and finds one; else the middle.
    :param face: which one of several, from 0 on, the largest first. :param label: the class, of a model with some.
    :param progress: called with each stage; what it raises ends the work.
    :raises FileNotFoundError: if there is no such file. :raises ValueError: for a photograph that cannot be used, a
        face that is not there, or a square beside it. :raises MemoryError: if memory runs out on the way.
    """
    work = inverting(model, photo, square=square, face=face, label=label, settings=settings)
    return ended(work) if progress is None else ended(work, progress)


def inverting(
    model: Generator,
    photo: Any,
    *,
    square: Square | Sequence[float] | None = None,
    face: int | None = None,
    label: int | None = None,
    settings: Inversion | None = None,
) -> abc.Generator[Stage, bool | None, Photo]:
    """Do what ``invert`` does in slices: yield how far it is after each, and return the ``Photo``.

    Where it is sent True, that is good enough: the fit of the latent, or the tuning, ends as far as it has come.
    """
    settings = settings or Inversion()
    latent = first_guess(model, label)  # first of all what costs nothing and may be refused
    if settings.lpips:
        needed_lpips()
    began = time.perf_counter()
    opened = open_photo(photo)
    landmarks = _landmarks()
    aligned = align(opened.flat, model, face, landmarks) if square is None else Aligned(as_square(square), 0)
    cut = _as_model(crop(opened.flat, aligned.square, model.resolution), model.channels)
    wanted = (as_tensor(cut) / 127.5 - 1).to(latent)  # (1, C, H, W) in [-1, 1]
    seconds = {"align": time.perf_counter() - began}
    notes, unchanged = (*opened.notes, *aligned.notes), TunedCopy(fingerprint(model), {})
    report = Report({}, {}, None, seconds, 0, notes)
    so_far = Photo(model, latent, cut, aligned.square, opened.picture, opened.alpha, unchanged, report)
    yield Stage("aligned", 0.02, cut, so_far)

    measured = _Measured(wanted)
    with _enough_memory():
        began = time.perf_counter()
        encoder = encoder_for(model)
        guess = first_guess(model, label, wanted, encoder)
        with torch.no_grad():
            fitted = model.synthesize(guess)
        seconds["guess"] = time.perf_counter() - began
        measured("guess", fitted)
        so_far = dataclasses.replace(so_far, latent=guess)
        yield Stage("guess", 0.03, to_image(fitted), so_far)

        began = time.perf_counter()
        latent, half = guess, 0.3 if settings.tuning_steps else 1.0
        for number, fitting in enumerate(fit_pivot(model, wanted, guess, label, settings)):
            latent = fitting
            share = min(half, 0.03 + (half - 0.03) * number / max(settings.pivot_steps, 1))
            if (yield Stage("pivot", share, None, dataclasses.replace(so_far, latent=latent))):
                break
        seconds["pivot"] = time.perf_counter() - began
        with torch.no_grad():
            fitted = model.synthesize(latent)
        measured("pivot", fitted)
        so_far = dataclasses.replace(so_far, latent=latent)
        yield Stage("pivot", half, to_image(fitted), so_far)

        began, steps = time.perf_counter(), 0
        tuner = Tuner(model, latent, wanted, label, settings)
        so_far = dataclasses.replace(so_far, model=tuner.model)
        for tuning in tuner.steps():
            steps = tuning.step
            share = half + (1 - half) * tuning.step / settings.tuning_steps
            if (yield Stage("tuning", share, _whole(tuning.picture, model), so_far)):
                break
        tuned, made = tuner.copy(), tuner.model
        seconds["tuning"] = time.perf_counter() - began
        if settings.tuning_steps:
            with torch.no_grad():
                fitted = made.synthesize(latent)
            measured("tuned", fitted)
    notes = (*opened.notes, *aligned.notes, *(() if encoder is not None else (NO_ENCODER,)))
    picture = to_image(fitted)
    near = measured.psnr, measured.ms_ssim
    report = Report(*near, _apart(cut, picture, landmarks), seconds, steps, notes, measured.lpips)
    so_far = dataclasses.replace(so_far, model=made, tuned=tuned, report=report)
    yield Stage("done", 1.0, picture, so_far)
    return so_far


def _whole(picture: Tensor, model: Generator) -> Image.Image:
    """Return a picture of the model's size, of one that may be coarse."""
    height, width = model.resolution
    return to_image(picture).resize((width, height), Image.Resampling.BILINEAR)


def _as_model(picture: Image.Image, channels: int) -> Image.Image:
    return picture.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])


@contextlib.contextmanager
def _enough_memory() -> abc.Iterator[None]:
    """Say in one sentence that memory has run out. :raises MemoryError: with it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch has a RuntimeError of its own for each device
        if not (isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "alloc" in str(error)):
            raise
        raise MemoryError(
            "there is not enough memory to tune a copy of this model; close other notebooks, or take a smaller model, "
            "or Inversion(tuning_steps=0)"
        ) from error


class _Measured:
    """How near pictures are to the one that is wanted."""

    def __init__(self, wanted: Tensor) -> None:
        self._wanted, self._lpips = wanted, lpips_at_hand()
        self.psnr: dict[str, float] = {}
        self.ms_ssim: dict[str, float] = {}
        self.lpips: dict[str, float] = {}

    def __call__(self, name: str, picture: Tensor) -> None:
        self.psnr[name] = psnr(picture, self._wanted)
        if min(picture.shape[2:]) >= WINDOW:
            self.ms_ssim[name] = ms_ssim(picture, self._wanted)
        if self._lpips is not None:
            with torch.no_grad():
                self.lpips[name] = float(self._lpips(picture, self._wanted))


def _landmarks() -> Landmarks | None:
    """Return what finds faces; None without dlib."""
    try:
        return loaded_landmarks()
    except ModuleNotFoundError:
        return None


def _apart(one: Image.Image, other: Image.Image, landmarks: Landmarks | None) -> float | None:
    """Return how far the faces of two pictures are by dlib's descriptor; None where that is not known."""
    if landmarks is None:
        return None
    described = [landmarks.describe(np.asarray(each.convert("RGB"))) for each in (one, other)]
    if described[0] is None or described[1] is None:
        return None
    return float(np.linalg.norm(described[0][1] - described[1][1]))
