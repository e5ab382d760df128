"""Ship what a training of figures has come to: weights into the package, figures into its card, pictures into docs.

    python examples/generators/figures/ship.py DIR [--reader FILE] [--pulls 50] [--only pulls sheets …] [--list]
                                               [--as-they-are] [--unfinished]

DIR is a folder of ``make.py``, which may still be at it; FILE is that of ``reader.py`` (``DIR/reader.pt``). First the
generator of the checkpoint is put into the package, unless ``--as-they-are`` says that the weights that are there stay.
Then all is made that depends on the weights: the array of how the rest of a picture moves, so that no first pull has to
wait for it, two sheets, which numbers have sliders, and the figures of the card. What is made for the present weights
already is left alone, and rows of pulls are kept as they come: stopped at any point, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import beside  # noqa: F401  for what is shared
import numpy as np
import remaking
import torch
from attributes import READABLE, in_lines
from body import BodyBasis
from joint_pulls import KINDS, Row, measured_pulls, people, pull, reading, summary, weights_of
from naming import LEAST, Numbers, listed, moved, note, numbers_of
from pages import put_in
from people import FIGURES, SHAPE
from person import LATENT
from reader import load_reader
from remaking import PACKAGE, ROOT, Part, array_file, make_all, missing_things, tell
from sheets import Edit, picture_of, sample_sheet, strip
from weights import export_checkpoint
from whole import write_atomically

from draggan_widget import drag, load_generator
from draggan_widget.models import Generator

HERE = Path(__file__).parent
NAME = FIGURES.name
PLACE = PACKAGE / f"models/builtin/{NAME}.safetensors"
CARD = PLACE.with_suffix(".md")
PAGE = ROOT / "docs/figures.md"
ROWS = ROOT / "docs/data/figures_pulls.csv"
SAMPLES, PULLS = ROOT / "docs/figures.jpg", ROOT / "docs/figures_pulls.jpg"
MADE_FOR = HERE / "made_for.json"
MOST = 20_000_000
"""Bytes that may be shipped."""
COLUMNS, LINES = 8, 4
"""Of the sheet of samples."""
ATTRIBUTES = PLACE.with_name(f"{NAME}_attributes.json")
SAMPLED = 25
"""Pictures in which attributes are moved."""
ROUNDS = 20
"""Pictures and pulls that are timed."""


def refusal(folder: Path, unfinished: bool) -> str | None:
    """Why what is in a folder is not shipped, in a sentence; None if it is."""
    said, history = folder / "recipe.json", folder / "history.jsonl"
    if not said.exists() or not history.exists():
        return f"{folder} is no folder of a training: run make.py --out {folder} first"
    held = json.loads(said.read_text())
    if held != FIGURES.record(int(held.get("edition", "1"))):
        return f"{folder} holds the work of another recipe (see {said.name}): give another folder, or make it anew"
    *_, last = history.read_text().splitlines() or ['{"size": 0}']
    if not unfinished and (size := json.loads(last)["size"]) < SHAPE[0]:
        return (
            f"{folder} has been trained on pictures of {size} px, and not yet on whole ones of {SHAPE[0]} px: let "
            "make.py go on, or give --unfinished"
        )
    return None


def install(folder: Path) -> None:
    """Put the weights of a training into the package.

    :raises FileNotFoundError: if there is no checkpoint. :raises RuntimeError: if it is of another network.
    :raises ValueError: for more than may be shipped, and for weights that are no numbers. What was there stays then.
    """
    made = PLACE.with_name(f"{PLACE.name}.new")
    try:
        steps, seconds = export_checkpoint(FIGURES, folder, made)
        if (size := made.stat().st_size) > MOST:
            raise ValueError(f"the weights have {size / 1e6:.1f} MB, and {MOST / 1e6:.0f} MB may be shipped")
        load_generator(made, device="cpu")
        made.replace(PLACE)
    finally:
        made.unlink(missing_ok=True)
    lines = (folder / "history.jsonl").read_text().splitlines()
    apart = (
        f", {json.loads(lines[-1])['held_out']:.3f} from the renders of 64 people that it never saw" if lines else ""
    )
    put_in(CARD, "steps", f"{steps:,} steps in {seconds / 60:.0f} minutes{apart}")


def present() -> str:
    """The fingerprint of the weights that are in the package now."""
    return remaking.present(NAME)


def of_arrays() -> str | None:
    """The present weights if the package has their array, which has their fingerprint for a name."""
    return present() if array_file(NAME).exists() else None


def make_arrays(_: Path) -> None:
    """Compute how the rest of a person moves."""
    remaking.make_arrays(NAME)


def processor_time(work: Callable[[], object]) -> float:
    """Seconds of processor time that something takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def times(generator: Generator, rounds: int = ROUNDS) -> tuple[float, float, float]:
    """The median processor time, in ms, of a picture, of a step of ``natural``, and of a pull of a hand's length."""
    pictures, steps, pulls = [], [], []
    high, wide = generator.resolution
    for seed in range(rounds + 1):
        ws = generator.mapping(seed=seed, truncation=0.7)
        pictures.append(processor_time(partial(picture_of, generator, ws)))
        began = time.process_time()
        result = drag(generator, ws, [(0.5 * wide, 0.35 * high)], [(0.5 * wide + 0.05 * high, 0.35 * high)])
        pulls.append(time.process_time() - began)
        steps.append(pulls[-1] / max(result.steps, 1))
    return tuple(1e3 * statistics.median(each[1:]) for each in (pictures, steps, pulls))  # the first warm up


def make_card(_: Path) -> None:
    """Measure size and times."""
    generator = load_generator(NAME, device="cpu")
    picture, step, whole = times(generator)
    numbers = sum(weight.numel() for weight in generator.parameters())
    put_in(
        CARD,
        "size",
        f"{numbers / 1e6:.2f} million parameters, stored as float16: {PLACE.stat().st_size / 1e6:.1f} MB. A picture "
        f"takes {picture:.0f} ms and a step of `natural` {step:.0f} ms, a pull of a shoulder by 5 % of the height "
        f"{whole:.0f} ms: medians of {ROUNDS}, of processor time, by one thread.",
    )


def make_sheets(folder: Path, reader_file: Path) -> None:
    """Draw a sheet of samples, and one pull of each kind: of the first person whom it can be tried on."""
    from draw import Renderer  # needs OpenGL, as joint_pulls does when it looks for people

    generator, reader = load_generator(NAME, device="cpu"), load_reader(reader_file)
    basis = BodyBasis.load(folder / "basis.npz")
    renderer = Renderer(basis)
    edits: list[Edit] = []
    for kind, each in KINDS.items():
        (seed,) = people(each, basis, renderer, 1)
        edits.append(pull(generator, reader, kind, seed, weights_of(generator))[1])
    samples = sample_sheet(generator, columns=COLUMNS, rows=LINES, height=SHAPE[0])
    for file, picture in ((SAMPLES, samples), (PULLS, strip(edits, SHAPE[0]))):
        write_atomically(file, lambda stream, picture=picture: picture.save(stream, "JPEG", quality=88))


def make_pulls(folder: Path, reader_file: Path, count: int) -> None:
    """Pull joints and ends of clothes, and say how well that went and how well the reader reads."""
    from draw import Renderer

    generator, reader = load_generator(NAME, device="cpu"), load_reader(reader_file)
    basis = BodyBasis.load(folder / "basis.npz")
    renderer = Renderer(basis)
    put_in(CARD, "reading", f"{reading(generator, reader, basis, renderer).capitalize()}.")
    rows = measured_pulls(generator, reader, basis, renderer, ROWS, count, list(KINDS))
    put_in(CARD, "pulls", summary(rows))
    put_in(PAGE, "pulls", in_words(rows))


def in_words(rows: list[Row]) -> str:
    """How many pulls of each kind have done their work, in a sentence."""
    told = []
    for kind in KINDS:
        mine = [row.good for row in rows if row.kind == kind]
        if mine:
            told.append(f"{kind} {100 * np.mean(mine):.0f} %")
    return in_lines(f"Done, of {len(rows)} pulls: {', '.join(told)}.")


def of_attributes() -> str | None:
    """The weights that attributes were measured on."""
    return json.loads(ATTRIBUTES.read_text(encoding="utf-8")).get("measured", {}).get("fingerprint")


def make_attributes(folder: Path, reader_file: Path) -> None:
    """Measure what each of the numbers does in pictures, and note which are offered by name."""
    from draggan_widget.directions.known import read_known

    generator, numbers = load_generator(NAME, device="cpu"), numbers_of(reader_file, folder / "pictures")
    known = read_known(ATTRIBUTES.read_text(encoding="utf-8"))
    found = moved(generator, known, numbers, SAMPLED, folder / "moved.json")
    count = note(ATTRIBUTES, generator, found)
    put_in(CARD, "attributes", said_of(numbers, count))
    if count >= LEAST:
        put_in(PAGE, "attributes", f"{in_lines(said_of(numbers, count))}\n\n{listed(ATTRIBUTES)}")
    else:
        put_in(PAGE, "attributes", in_lines(said_of(numbers, count)))


def said_of(numbers: Numbers, count: int) -> str:
    """What became of attributes, in sentences."""
    read = int((numbers.scores >= READABLE).sum())
    said = (
        f"Of {len(LATENT)} numbers {read} can be read off renders that were not learned from (R² of at least "
        f"{READABLE}), and {count} of these qualify when they are moved on {SAMPLED} samples."
    )
    return said + (
        " Those have sliders, locks and words."
        if count >= LEAST
        else f" That is fewer than {LEAST}, so attributes are principal components and SeFa directions, without names."
    )


def parts_of(reader_file: Path, pulls: int) -> tuple[Part, ...]:
    """What depends on the weights."""
    return (
        Part("arrays", "how the rest of a person moves", (), make_arrays, of_arrays),
        Part("card", "size and times in the card", (), make_card),
        Part(
            *("sheets", f"docs/{SAMPLES.name} and docs/{PULLS.name}", ()),
            partial(make_sheets, reader_file=reader_file),
            draws=True,
            basis=True,
        ),
        Part(
            *("pulls", f"docs/data/{ROWS.name} and the figures of pulls", ()),
            partial(make_pulls, reader_file=reader_file, count=pulls),
            draws=True,
            basis=True,
        ),
        Part(
            *("attributes", "which of the numbers have sliders", ()),
            partial(make_attributes, reader_file=reader_file),
            of_attributes,
            renders=2,
        ),
    )


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder of make.py")
    parser.add_argument("--reader", type=Path, metavar="FILE", help="of reader.py (default: DIR/reader.pt)")
    parser.add_argument("--pulls", type=int, default=50, help="of each kind")
    parser.add_argument("--only", nargs="+", choices=[part.name for part in parts_of(Path(), 0)])
    parser.add_argument("--list", action="store_true", help="say what is made for which weights, and do nothing")
    parser.add_argument("--as-they-are", action="store_true", help="the weights that are in the package stay")
    parser.add_argument("--unfinished", action="store_true", help="ship what has not come to whole pictures yet, too")
    options = parser.parse_args()
    if options.pulls < 1:
        parser.error(f"--pulls is {options.pulls}; it must be at least 1")
    torch.set_num_threads(1)
    folder = options.folder.absolute()
    reader_file = (options.reader or folder / "reader.pt").absolute()
    chosen = parts_of(reader_file, options.pulls)
    parts = [part for part in chosen if options.only is None or part.name in options.only]
    stays = options.as_they_are or options.list
    if (
        problem := (None if PLACE.exists() else f"{PLACE} is not there")
        if stays
        else refusal(folder, options.unfinished)
    ):
        print(f"Cannot ship: {problem}", file=sys.stderr)
        return 1
    problems = missing_things(parts, folder) if not options.list else []
    if not options.list and any(part.basis or part.renders for part in parts):
        try:
            load_reader(reader_file)
        except FileNotFoundError as error:
            problems.append(str(error))
    if problems:
        print("Cannot ship:\n- " + "\n- ".join(problems), file=sys.stderr)
        return 1
    if not stays:
        try:
            install(folder)
        except (OSError, RuntimeError, ValueError) as error:
            print(f"Cannot ship: {error}", file=sys.stderr)
            return 1
    now = present()
    old = [part for part in parts if part.made_for(MADE_FOR) != now]
    if options.list:
        tell(parts, old)
        return 0
    return make_all(old, folder, MADE_FOR, now)


if __name__ == "__main__":
    sys.exit(main())
