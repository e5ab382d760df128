"""Make again what was made for the weights of the built-in faces, after these have become others.

    python examples/generators/faces/remake.py --out DIR [--only encoder metric] [--list]

DIR is a folder of ``make.py``, whose renders are learned from. Whatever depends on the weights names the fingerprint of
those it was made for: the encoder, the metric of trackers, the predictors, the attributes and the arrays that come with
the package say it themselves, and are refused for other weights; of pictures and figures, ``made_for.json`` says it.
What is made for the present weights is left alone, so stopped at any point the same command goes on. All takes about
two and a half hours on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import beside  # noqa: F401  for what is shared
import remaking
from remaking import PACKAGE, ROOT, TO_DRAW, Part, array_file, make_all, put, run, tell

HERE = Path(__file__).parent
NAME = "faces"
MADE_FOR = HERE / "made_for.json"
ENCODER = PACKAGE / f"inversion/encoders/{NAME}.safetensors"
METRIC = PACKAGE / f"engines/trackers/{NAME}_metric.safetensors"
ATTRIBUTES = PACKAGE / f"models/builtin/{NAME}_attributes.json"
PREDICTORS = PACKAGE / "engines/predicted/weights"
JUMPS = ROOT / "docs/data/jumps.csv", ROOT / "docs/predictors.md"
"""The rows of pulls by predictors, and the page with their figures."""
METHODS = ("autodraggan", "usercontrollable")
HEADS, PART = 3050, 50
"""Whose motion predictors learn from, and of how many of these a file of ``motion.py`` is."""
MINUTES, PULLS, PULLING = 6.0, 40, ("natural", "draggan")
"""To train each predictor, the pulls it is then measured by, and the engines that go on from its jump."""


def present() -> str:
    """The fingerprint of the weights that are in the package now."""
    return remaking.present(NAME)


def make_arrays(_: Path) -> None:
    """Compute how the rest of a face moves."""
    remaking.make_arrays(NAME)


def make_encoder(folder: Path) -> None:
    """Train the encoder, from the one that there is, whose latents mean the same."""
    out = folder / f"encoder-{present()[:8]}"
    begin = ["--begin", ENCODER] if ENCODER.exists() else []
    run(HERE / "encode.py", NAME, "--out", out, "--renders", folder, "--threads", os.cpu_count() or 1, *begin)
    put(out / "encoder.safetensors", ENCODER)


def make_metric(folder: Path) -> None:
    """Train the metric of trackers on pairs of heads whose motion is known."""
    pairs, made = folder / "pairs.npz", folder / f"metric-{present()[:8]}.safetensors"
    if not pairs.exists():
        run(HERE / "correspond.py", "--out", pairs, "--basis", folder / "basis.npz")
    run(HERE / "metric.py", "--pairs", pairs, "--out", made)
    put(made, METRIC)


def motion_parts(folder: Path) -> list[Path]:
    """The files of ``motion.py``, which serve all weights: that are wanted, in their order."""
    return [folder / f"motion/motion-{part:05d}.npz" for part in range(-(-HEADS // PART))]


def has_motion(folder: Path) -> bool:
    """Whether all of them are there."""
    return all(part.exists() for part in motion_parts(folder))


def make_predictors(folder: Path) -> None:
    """Train both predictors on the motion of heads, and measure their jumps."""
    if not has_motion(folder):
        run(HERE / "motion.py", "--out", folder / "motion", "--heads", HEADS, "--basis", folder / "basis.npz")
    out, threads = folder / f"predictors-{present()[:8]}", os.cpu_count() or 1
    learned = ("--motion", folder / "motion", "--samples", HEADS - PART, "--minutes", MINUTES, "--threads", threads)
    run("-m", "draggan_widget", "train", "predictor", NAME, "--out", out, *learned)
    rows, page = JUMPS
    written = ("--csv", rows, "--page", page, "--threads", threads)
    run(HERE / "jumps.py", NAME, "--weights", out, "--pulls", PULLS, *written, "--engines", *PULLING)
    PREDICTORS.mkdir(exist_ok=True)
    for method in METHODS:  # last: from then on they count as made
        put(out / f"{method}.safetensors", PREDICTORS / f"{NAME}_{method}.safetensors")


def make_attributes(folder: Path) -> None:
    """Measure in pictures what attributes do, and whether a smile is held."""
    out, threads = folder / "attributes", ("--threads", os.cpu_count() or 1)
    measure = (HERE / "attributes.py", NAME, "--renders", folder, "--out", out, *threads)
    run(*measure)
    for engine in ("natural", "draggan"):
        basis = "--basis", folder / "basis.npz"
        run(HERE / "holding.py", NAME, "--out", out, *basis, "--engine", engine, *threads, "--write")
    run(*measure, "--write")  # last, since it says for which weights; what was measured is kept


def make_distances(folder: Path) -> None:
    """Measure how far pictures are from renders."""
    rows = ROOT / "docs/data/faces_distances.csv"
    run(HERE / "measure.py", NAME, "--basis", folder / "basis.npz", "--csv", rows)


def make_card(folder: Path) -> None:
    """Measure the figures of the card."""
    card = PACKAGE / f"models/builtin/{NAME}.md"
    run(HERE / "evaluate.py", NAME, "--basis", folder / "basis.npz", "--card", card)


def make_sheets(_: Path) -> None:
    """Draw the sheet of samples and the strip of edits."""
    run(HERE / "evaluate.py", NAME, "--show", ROOT / "docs")


def make_photos(folder: Path) -> None:
    """Invert the portrait and pull it."""
    out = folder / f"portrait-{present()[:8]}"
    run(ROOT / "tests/portrait_pulls.py", "--out", out)
    put(out / "photos.jpg", ROOT / "docs/photos.jpg")


def make_masks(_: Path) -> None:
    """Pull under masks."""
    docs = ROOT / "docs"
    run(ROOT / "tests/masked_pulls.py", docs / "data/masked_pulls.csv", "--sheet", docs / "masks.jpg")


def make_film(_: Path) -> None:
    """Record the pull of the README in a browser."""
    run(ROOT / "tests/e2e/record_pull.py", ROOT / "docs/pull.gif")


def header_of(path: Path) -> dict[str, str]:
    """The header of a safetensors file; empty if there is no file."""
    from safetensors import safe_open

    if not path.exists():
        return {}
    with safe_open(path, "np") as file:
        return file.metadata() or {}


def of_arrays() -> str | None:
    """The present weights if the package has their array, which has their fingerprint for a name."""
    return present() if array_file(NAME).exists() else None


def of_encoder() -> str | None:
    """The weights that the encoder guesses latents of."""
    said = header_of(ENCODER).get("draggan_widget encoder")
    return json.loads(said)["base"] if said is not None else None


def of_metric() -> str | None:
    """The weights whose features the metric compares."""
    return header_of(METRIC).get("fingerprint")


def of_predictors() -> str | None:
    """The weights that all predictors answer pulls on; None where they are of several."""
    files = [PREDICTORS / f"{NAME}_{method}.safetensors" for method in METHODS]
    said = [header_of(file).get("draggan_widget predictor") for file in files]
    bases = {None if each is None else json.loads(each)["about"]["base"] for each in said}
    return bases.pop() if len(bases) == 1 else None


def of_attributes() -> str | None:
    """The weights that attributes were measured on."""
    return json.loads(ATTRIBUTES.read_text(encoding="utf-8")).get("measured", {}).get("fingerprint")


PARTS = (
    Part("arrays", "how the rest of a face moves", (), make_arrays, of_arrays),
    Part("encoder", "the encoder of photographs", (), make_encoder, of_encoder, basis=True),
    Part("metric", "the metric of trackers", (), make_metric, of_metric, draws=True, basis=True),
    Part(
        *("predictors", "networks that answer pulls, and their figures", ("dlib",), make_predictors, of_predictors),
        draws=True,
        basis=True,
        drawn=has_motion,
    ),
    Part("attributes", "what attributes do in pictures", ("dlib", "scipy"), make_attributes, of_attributes, renders=2),
    Part("distances", "docs/data/faces_distances.csv", (), make_distances, draws=True, basis=True),
    Part("card", "the figures of the card", ("dlib",), make_card, draws=True, basis=True),
    Part("sheets", "docs/faces.jpg and docs/edits.jpg", ("dlib",), make_sheets),
    Part("photos", "docs/photos.jpg", ("dlib",), make_photos),
    Part("masks", "docs/masks.jpg and its rows", ("dlib",), make_masks),
    Part("film", "docs/pull.gif", ("playwright",), make_film),
)


def stale(parts: tuple[Part, ...] = PARTS) -> list[Part]:
    """The parts that were made for other weights than those in the package, or were never made."""
    now = present()
    return [part for part in parts if part.made_for(MADE_FOR) != now]


def missing_things(parts: list[Part], folder: Path) -> list[str]:
    """What would make the work fail, in words, each with its remedy."""
    return remaking.missing_things(parts, folder, TO_DRAW)


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "out", metavar="DIR", help="a folder of make.py")
    parser.add_argument("--only", nargs="+", choices=[part.name for part in PARTS], help="these parts alone")
    parser.add_argument("--list", action="store_true", help="say what is made for which weights, and make nothing")
    options = parser.parse_args()
    chosen = tuple(part for part in PARTS if options.only is None or part.name in options.only)
    old = stale(chosen)
    if options.list:
        tell(chosen, old)
        return 0
    folder = options.out.absolute()
    if problems := missing_things(old, folder):
        print("Cannot start:\n- " + "\n- ".join(problems), file=sys.stderr)
        return 1
    return make_all(old, folder, MADE_FOR, present())


if __name__ == "__main__":
    sys.exit(main())
