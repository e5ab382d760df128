"""Ship what a training has come to: weights into the package, figures into the card, pictures into the docs.

    python examples/generators/faces_diffusion/ship.py OUT [--samples 50] [--drags 50] [--identity 0]

OUT is the ``--out`` of ``train.py``, which may still be at it. What is measured goes to ``docs/data`` row by row; the
same command goes on where it was stopped, as long as the weights are the same. Without OUT the weights that are there
are measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import measure  # of this folder: before train, which looks into those of other recipes
import torch
import train
import words_and_pull
from pages import put_in
from PIL import Image
from whole import write_atomically

from draggan_widget import load_generator
from draggan_widget.engines import to_image
from draggan_widget.models.diffusion import Diffusion

ROOT = Path(__file__).parents[3]
NAME = "faces-diffusion"
PLACE = ROOT / "draggan_widget/models/builtin" / NAME
CARD = PLACE.with_suffix(".md")
ROWS = ROOT / "docs/data/faces_diffusion.csv"
SAMPLES, PULLS = ROOT / "docs/faces_diffusion.png", ROOT / "docs/faces_diffusion_pulls.png"
WORDS = ROOT / "docs/words_and_pull.png"
ENGINES = ("dragdiffusion", "fastdrag")
MOST = 10_000_000
"""Bytes that may be shipped."""
SHOWN = 8
"""Pulls on the sheet."""


def installed(out: Path) -> int:
    """Put the weights of a training into the package; return how many steps it had taken.

    :raises ValueError: for more than may be shipped; what was there stays then.
    """
    made = PLACE.with_name(f"{NAME}.new")
    train.export(made, train.averaged(out))
    sheet = made.with_name(f"{made.name}-samples.png")
    size = size_of(made)
    if size > MOST:
        raise ValueError(f"{made} has {size / 1e6:.1f} MB, and {MOST / 1e6:.0f} MB may be shipped")
    write_atomically(SAMPLES, lambda stream: enlarged(Image.open(sheet)).save(stream, "PNG", optimize=True))
    sheet.unlink()
    old = PLACE.with_name(f"{NAME}.old")
    if PLACE.exists():
        PLACE.rename(old)
    for file in made.rglob("*"):  # for whoever installs the package may not be who uses it
        file.chmod(0o755 if file.is_dir() else 0o644)
    made.rename(PLACE)
    train.shutil.rmtree(old, ignore_errors=True)
    return int(torch.load(out / train.CHECKPOINT, map_location="cpu", weights_only=True)["steps"])


def size_of(folder: Path) -> int:
    """Return the bytes of a folder's files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def enlarged(picture: Image.Image) -> Image.Image:
    """Return a sheet at twice its size, each pixel as a square."""
    return picture.convert("RGB").resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)


def put(name: str, text: str, tell: Callable[[str], None] = print) -> None:
    """Write a text between two marks of the card. :raises ValueError: if it has none of that name."""
    put_in(CARD, name, text)
    tell(f"{name}:\n{text}\n")


def engines_told(rows: list[measure.Row]) -> str:
    """Return the table of engines."""
    lines = [
        "| engine | a third of the way or more | way gone, median | no face after | MS-SSIM, median | steps | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for engine in ENGINES:
        of_it = [row for row in rows if row.engine == engine]
        if of_it:
            lines.append(measure.line(engine, of_it))
    return "\n".join(lines)


def ship(model: Diffusion, samples: int, drags: int, identity: int) -> None:
    """Measure the model of the package, and write its card."""
    numbers = sum(weight.numel() for weight in model.parameters())
    put("size", f"{numbers / 1e6:.2f} million parameters, stored as float16: {size_of(PLACE) / 1e6:.1f} MB.")
    if samples:
        strip = words_and_pull.strip(words_and_pull.panels(NAME, words_and_pull.SEED))
        write_atomically(WORDS, lambda stream: strip.save(stream, "PNG", optimize=True))
        found = measure.faces_among(model, samples)
        put("samples", f"dlib finds a face in {found} of {samples} samples, of seeds 0 to {samples - 1} without words.")
        back = measure.inversions(model, 8)
        put(
            "inversion",
            f"Eight renders inverted and back: {back[0]:.1f} dB, and {back[measure.REFINE]:.1f} dB where each level is "
            "refined twice, as the editor does (median; float32, guidance 1, 50 steps, nothing learnt).",
        )
    rows, shown = measure.of_model(measure.read_rows(ROWS), model, identity), []
    ROWS.unlink(missing_ok=True)  # those of other weights are not kept
    measure.add_rows(ROWS, rows)
    for made, seen in measure.measuring(model, drags, ENGINES, identity, rows):
        rows += made
        measure.add_rows(ROWS, made)
        shown.append(seen)
        if len(shown) == SHOWN:
            sheet = enlarged(to_image(torch.cat(shown, dim=2)))
            write_atomically(PULLS, lambda stream, sheet=sheet: sheet.save(stream, "PNG", optimize=True))
        print(*(measure.line(row.engine, [row]) for row in made if row.left == row.left), flush=True)
    learnt = f"pictures were learnt before, by {identity} steps of LoRA" if identity else "nothing was learnt before"
    put("pulls", f"{len({row.pull for row in rows})} pulls; {learnt}.\n\n{engines_told(rows)}")
    put("natural", f"A pull of `natural` on `faces` takes {measure.seconds_of_natural():.2f} s by the same clock.")


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", help="the --out of train.py; none: the weights that are there")
    parser.add_argument("--samples", type=int, default=50, help="0: neither samples nor inversion are looked at")
    parser.add_argument("--drags", type=int, default=50)
    parser.add_argument("--identity", type=int, default=0, help="steps of learning each picture before its pull")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.out is not None:
        try:
            steps = installed(options.out)
        except (FileNotFoundError, ValueError) as error:
            print(f"Cannot ship: {error}", file=sys.stderr)
            return 1
        put("steps", f"{steps:,} steps of 16 pictures")
    ship(load_generator(NAME, "cpu"), options.samples, options.drags, options.identity)
    return 0


if __name__ == "__main__":
    sys.exit(main())
