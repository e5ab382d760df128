"""``draggan-widget invert``: a photograph as a latent of a tuned copy of a model, in a folder."""

from __future__ import annotations

import argparse
import dataclasses
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from draggan_widget.files import shown, write_whole

if TYPE_CHECKING:
    from draggan_widget.inversion.photo import Photo, Stage

DESCRIPTION = (
    "Fit a photograph by a latent of a model, and tune a copy of the model until its picture is near (pivotal tuning). "
    "DIR then holds crop.png, fitted.png, and what Photo.load(DIR, model) takes in Python to go on: the tuned weights, "
    "the latent, and the photograph. Nothing leaves this machine."
)
CROP, FITTED = "crop.png", "fitted.png"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("photo", type=Path, metavar="PHOTO")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for what is made")
    parser.add_argument("--model", default="faces", help="a built-in name or a checkpoint (default: faces)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--face", type=int, metavar="N", help="which of several faces, 0 for the largest")
    where.add_argument(
        "--square",
        metavar="X,Y,SIZE[,ANGLE]",
        help="where the picture lies: the middle and the height in pixels of the photograph, degrees clockwise",
    )
    parser.add_argument("--label", type=int, metavar="N", help="the class, of a model with classes")
    parser.add_argument("--pivot-steps", type=int, metavar="N", help="steps in which the latent is fitted")
    parser.add_argument(
        "--tuning-steps", type=int, metavar="N", help="steps at most in which weights are tuned; 0: none"
    )
    parser.add_argument("--force", action="store_true", help="write over what DIR holds already")


def run_invert(options: argparse.Namespace) -> int:
    """Invert a photograph, say how near it came; the status is 1 where nothing came of it."""
    from draggan_widget.inversion.alignment import as_square
    from draggan_widget.inversion.photo import ABOUT, invert
    from draggan_widget.inversion.settings import Inversion
    from draggan_widget.models import CheckpointError, load_generator

    try:
        if (options.out / ABOUT).exists() and not options.force:
            raise FileExistsError(f"{shown(options.out)} holds a photograph already; give --force to write over it")
        asked = {"pivot_steps": options.pivot_steps, "tuning_steps": options.tuning_steps}
        settings = dataclasses.replace(Inversion(), **{name: n for name, n in asked.items() if n is not None})
        square = None if options.square is None else as_square(_numbers(options.square))
        model = load_generator(options.model)
        options.out.mkdir(parents=True, exist_ok=True)
        photo = invert(
            model,
            options.photo,
            square=square,
            face=options.face,
            label=options.label,
            settings=settings,
            progress=_tell if sys.stderr.isatty() else None,
        )
        photo.save(options.out)
        for name, picture in ((CROP, photo.crop), (FITTED, photo.fitted)):
            file = io.BytesIO()
            picture.save(file, "PNG")
            write_whole(options.out / name, file.getvalue())
    except (OSError, ValueError, MemoryError, CheckpointError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped; nothing was written\n")
        return 130
    sys.stdout.write(_said(photo, options.out))
    return 0


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError as error:
        raise ValueError(f"--square {shown(text)} is not X,Y,SIZE or X,Y,SIZE,ANGLE; give numbers") from error


def _tell(stage: Stage) -> None:
    end = "\n" if stage.share >= 1 else ""
    sys.stderr.write(f"\r\x1b[K{stage.what} {stage.share:4.0%}{end}")
    sys.stderr.flush()


def _said(photo: Photo, folder: Path) -> str:
    report, square = photo.report, photo.square
    lines = [f"{shown(folder)}: square {square.x:.1f},{square.y:.1f},{square.size:.1f},{square.angle:.2f}"]
    for name, took in (("guess", "guess"), ("pivot", "pivot"), ("tuned", "tuning")):
        if name in report.psnr:
            like = f", MS-SSIM {report.ms_ssim[name]:.3f}" if name in report.ms_ssim else ""
            lines.append(f"  {name}: {report.psnr[name]:.1f} dB{like}, {report.seconds[took]:.1f} s")
    if report.identity is not None:
        lines.append(f"  distance of the faces by dlib: {report.identity:.2f}; below 0.6 it is one person")
    return "\n".join([*lines, *(f"  {note}" for note in report.notes), ""])
