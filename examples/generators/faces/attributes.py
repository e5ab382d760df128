"""Measure in pictures what each attribute of a generator does, and note which are worth a slider.

    python examples/generators/faces/attributes.py faces --renders DIR --out DIR2 [--minutes 10] [--samples 100]
                                                         [--write]

DIR is a folder of ``make.py`` with renders of the generator's edition. A network is taught by these alone to read the
80 numbers off a picture (``measurer.py``). Then each attribute is moved by +1 and -1 σ on samples, and the generator's
pictures are read. An attribute qualifies if the network reads it well (R² of at least 0.5 on renders that it has not
seen), if it moves the right way in 95 % of the pictures, and if the others move by less than a quarter of it on
average. Where dlib is installed, its descriptors say whether expression, pose, hair and light leave the face the same
person's. ``--write`` notes that in the file of attributes beside the weights, with the fingerprint of these, and in
docs/directions.md. What was done stays in DIR2: run again to go on.

``--adopt`` measures nothing: it notes that weights trained anew have the same attributes, and that nothing is known of
what these do in pictures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import beside  # noqa: F401  for what is shared
import numpy as np
import torch
from measure import edition_of
from measurer import Measurer, fit
from pairs import finished_parts
from scene import LATENT
from torch import Tensor, nn

from draggan_widget import load_generator
from draggan_widget.directions import Directions
from draggan_widget.files import write_whole
from draggan_widget.models import fingerprint, mapping_fingerprint

ROOT = Path(__file__).parents[3]
FILE = ROOT / "draggan_widget/models/builtin/faces_attributes.json"
PAGE = ROOT / "docs/directions.md"
NETWORK = "measurer.pt"
READABLE, RIGHT, OTHERS = 0.5, 0.95, 0.25
SAME_PERSON = 0.22
"""How far dlib's descriptor may move on average."""
KEEP_THE_PERSON = ("expression", "pose", "hair", "light")
"""Groups of attributes that have nothing to do with who it is."""
SEED = 4000

Found = dict[str, dict[str, Any]]


@torch.no_grad()
def drawn(generator: nn.Module, latents: Tensor) -> np.ndarray:
    """The generator's pictures ``(n, 256, 256, 3)`` uint8 of latents."""
    parts = []
    for some in latents.split(1):  # of ten together each takes 1.7 times as long: their maps fit no cache
        made = (generator.synthesize(some) * 127.5 + 127.5).round().clamp(0, 255).byte()
        parts.append(made.permute(0, 2, 3, 1).numpy())
    return np.concatenate(parts)


def network_of(folder: Path, renders: Path, minutes: float) -> Measurer:
    """The network in ``folder``; taught by renders where it is not there, or was taught by others."""
    parts = finished_parts(renders / "pictures")
    told = json.dumps([len(parts), json.loads((renders / "recipe.json").read_text())])
    kept, by = folder / NETWORK, folder / "taught_by.json"
    if kept.exists() and by.exists() and by.read_text() == told:
        return Measurer.load(kept)
    torch.manual_seed(SEED)
    measurer = fit(renders / "pictures", minutes, line=lambda text: print(text, flush=True))
    measurer.save(kept)
    by.write_text(told)
    return measurer


def move(
    generator: nn.Module, directions: Directions, measurer: Measurer, samples: int, people: int, kept: Path
) -> Found:
    """What each attribute does to the generator's pictures when it is moved by one σ; goes on from what is in a file.

    :param people: of how many samples dlib's descriptors are taken; 0 for none.
    """
    mark = mark_of(generator, measurer, samples, people)
    known = json.loads(kept.read_text()) if kept.exists() else {}
    found: Found = known["found"] if known.get("of") == mark else {}
    latents = generator.mapping(np.random.RandomState(SEED).randn(samples, len(LATENT)))
    pictures = drawn(generator, latents)
    before, person = measurer(pictures), Person(pictures[:people])
    readable = measurer.scores >= READABLE
    for place, name in enumerate(LATENT):
        if name in found:
            continue
        entry: dict[str, Any] = {"r2": round(float(measurer.scores[place]), 3), "qualifies": False}
        step = directions.change({name: 1.0})
        looks = people > 0 and directions[name].group in KEEP_THE_PERSON
        if readable[place]:
            more, less = (drawn(generator, latents + sign * step) for sign in (1, -1))
            both = np.concatenate([measurer(more) - before, before - measurer(less)])
            entry |= judged(both, place, readable) | {"samples": samples}
        elif looks:
            more, less = (drawn(generator, latents[:people] + sign * step) for sign in (1, -1))
        if looks and (moved := person.moved(more) + person.moved(less)):
            entry["descriptor"] = round(float(np.mean(moved)), 3)
        found[name] = entry
        write_whole(kept, _kept(mark, found))
        print(name, entry, flush=True)
    return found


def judged(both: np.ndarray, place: int, readable: np.ndarray) -> dict[str, float | bool]:
    """What readings of all attributes, that moved by ``both`` (n, 80), say of the one that was meant to grow by 1 σ."""
    own, rest = both[:, place], readable & (np.arange(both.shape[1]) != place)
    right, moved = float((own > 0).mean()), float(own.mean())
    others = float(np.abs(both[:, rest]).mean() / max(moved, 1e-9)) if rest.any() else 0.0
    return {
        "moved": round(moved, 3),
        "right": round(right, 3),
        "others": round(others, 3),
        "qualifies": bool(right >= RIGHT and others < OTHERS),
    }


def mark_of(generator: nn.Module, measurer: Measurer, *how: int) -> str:
    """By what it is known whether a measure was of this generator, and by this network."""
    return hashlib.sha256(json.dumps([fingerprint(generator), measurer.scores.tolist(), *how]).encode()).hexdigest()


def _kept(mark: str, found: Found) -> bytes:
    return (json.dumps({"of": mark, "found": found}, indent=1) + "\n").encode()


class Person:
    """Who faces are of, by dlib's descriptors."""

    def __init__(self, pictures: np.ndarray) -> None:
        """Look at the pictures before; dlib is not needed for none."""
        self._before: list[Any] = []
        if len(pictures):
            from draggan_widget.inversion import Landmarks

            self._look = Landmarks()
            self._before = [self._look.describe(picture) for picture in pictures]

    def moved(self, pictures: np.ndarray) -> list[float]:
        """How far the descriptor of each has moved, of those in which dlib sees a face before and after."""
        pairs = zip(
            self._before, (self._look.describe(picture) for picture in pictures[: len(self._before)]), strict=True
        )
        return [float(np.linalg.norm(a[1] - b[1])) for a, b in pairs if a is not None and b is not None]


def adopt(file: Path, source: str) -> None:
    """Note that a generator has the attributes of the file, of which nothing was measured."""
    values = json.loads(file.read_text(encoding="utf-8"))
    values["mapping"] = sorted({*values["mapping"], mapping_fingerprint(load_generator(source, device="cpu"))})
    values.pop("measured", None)
    for entry in values["attributes"]:
        entry.pop("measured", None)
    file.write_text(as_text(values), encoding="utf-8")


def write(file: Path, source: str, found: Found) -> None:
    """Note what was measured in the file of attributes."""
    values = json.loads(file.read_text(encoding="utf-8"))
    generator = load_generator(source, device="cpu")
    for entry in values["attributes"]:
        entry["measured"] = {name: value for name, value in found[entry["name"]].items() if name != "descriptor"}
    values["measured"] = {"fingerprint": fingerprint(generator)}
    if (mapping := mapping_fingerprint(generator)) not in values["mapping"]:
        values["mapping"].append(mapping)
    file.write_text(as_text(values), encoding="utf-8")


def table(values: dict[str, Any], found: Found) -> str:
    """A table for the docs: of each group of attributes which are offered, and which are not and why."""
    lines = ["| group | offered | can be read, and do not qualify | cannot be read | dlib |", "|---|---|---|---|---|"]
    for group, label in values["groups"].items():
        mine = {each["name"]: found[each["name"]] for each in values["attributes"] if each["group"] == group}
        good = [name for name, entry in mine.items() if entry["qualifies"]]
        seen = [name for name, entry in mine.items() if not entry["qualifies"] and entry["r2"] >= READABLE]
        rest = [name for name in mine if name not in (*good, *seen)]
        apart = [entry["descriptor"] for entry in mine.values() if "descriptor" in entry]
        person = f"{np.mean(apart):.2f}" if apart else ""
        cells = (label, *(", ".join(names) for names in (good, seen, rest)), person)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def summary(found: Found) -> str:
    """The figures of all attributes in a few sentences."""
    counts = sorted({entry["samples"] for entry in found.values() if "samples" in entry})
    moved = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "no"
    scores = [entry["r2"] for entry in found.values()]
    apart = [entry["descriptor"] for entry in found.values() if "descriptor" in entry]
    said = (
        f"R² on renders that the network has not seen: median {np.median(scores):.2f}, {READABLE} or more for "
        f"{sum(score >= READABLE for score in scores)} of {len(found)}. Moved on {moved} samples, "
        f"{sum(entry['qualifies'] for entry in found.values())} qualify."
    )
    if apart:
        said += (
            f" Dlib's descriptor moves by {np.mean(apart):.3f} for expression, pose, hair and light, at most "
            f"{max(apart):.3f} for one of these ({SAME_PERSON} asked)."
        )
    return said


def in_lines(text: str) -> str:
    """A text in lines that people can read."""
    return textwrap.fill(text, 120, break_on_hyphens=False, break_long_words=False)


def as_text(values: dict) -> str:
    """JSON in which a list or an object of plain values has one line."""

    def lines(value: object, indent: int) -> str:
        inner = " " * (indent + 1)
        flat = json.dumps(value, ensure_ascii=False)
        nested = (
            any(isinstance(each, dict | list) for each in (value.values() if isinstance(value, dict) else value))
            if (isinstance(value, dict | list))
            else False
        )
        if not nested and indent > 0:
            return flat
        if isinstance(value, dict):
            parts = [f"{inner}{json.dumps(key)}: {lines(each, indent + 1)}" for key, each in value.items()]
            return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"
        if isinstance(value, list):
            return "[\n" + ",\n".join(inner + lines(each, indent + 1) for each in value) + "\n" + " " * indent + "]"
        return flat

    return lines(values, 0) + "\n"


def missing_things(source: str, renders: Path) -> list[str]:
    """What would make the work fail, in words, each with its remedy."""
    if not (renders / "recipe.json").exists():
        return [f"{renders} is no folder of make.py (recipe.json is missing): run make.py --out {renders} first"]
    own, theirs = edition_of(source), json.loads((renders / "recipe.json").read_text()).get("edition", "1")
    if str(own) != theirs:
        return [f"{renders} holds renders of edition {theirs}, {source} is of edition {own}: give another folder"]
    if (parts := len(finished_parts(renders / "pictures"))) < 2:
        return [f"{renders} holds {parts} parts of renders, 2 are needed: run make.py with more --pictures"]
    return []


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a built-in name, or a file of weights")
    parser.add_argument("--renders", type=Path, help="a folder of make.py, with its recipe.json and pictures")
    parser.add_argument("--out", type=Path, help="folder for the network and what was measured")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=10, help="in which the network has to be taught")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--people", type=int, default=8, help="samples that dlib looks at; 0 for none")
    parser.add_argument("--write", action="store_true", help=f"note the result in {FILE.name} and {PAGE.name}")
    parser.add_argument("--adopt", action="store_true", help="only note that these weights have the attributes")
    options = parser.parse_args()
    if options.adopt:
        adopt(FILE, options.source)
        return 0
    if options.out is None or options.renders is None:
        parser.error("--renders and --out are needed, a folder of make.py and one for what is measured")
    if problems := missing_things(options.source, options.renders):
        print("Cannot measure:\n- " + "\n- ".join(problems), file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    measurer = network_of(options.out, options.renders, options.minutes)
    generator = load_generator(options.source, device="cpu")
    people = min(options.people, options.samples)
    try:
        Person(np.zeros((min(people, 1), 64, 64, 3), np.uint8))
    except ModuleNotFoundError as error:
        print(f"descriptors left out: {error}", flush=True)
        people = 0
    found = move(generator, Directions(generator), measurer, options.samples, people, options.out / "measured.json")
    print(summary(found))
    if options.write:
        from pages import put_in

        write(FILE, options.source, found)
        values = json.loads(FILE.read_text(encoding="utf-8"))
        put_in(PAGE, "measured", f"{in_lines(summary(found))}\n\n{table(values, found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
