"""Show two words and a pull in one edit of the small diffusion model of faces.

    python examples/generators/faces_diffusion/words_and_pull.py [MODEL] [--seed 3] [--out docs/words_and_pull.png]

A head is moved and two other words are said of it while the background stays, and then a landmark of it is pulled. All
of that is one edit of one document: undo leads back step by step, and its code and file have it all.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from draggan_widget import Editor, load_generator
from draggan_widget.models.diffusion import Instructing

ROOT = Path(__file__).parents[3]
BEFORE, AFTER = "female smiling", "male beard"
"""What is said of the head, and what then."""
STRENGTH = 0.85
"""How far up its way the picture is edited: the farther, the more words can change."""
BY = (4.0, 0.0)
"""Pixels that the head is moved by, of 64."""
HEAD = (32.0, 31.0, 19.0, 24.0)
"""Middle and radii of an ellipse around it."""
PULLS = (((37.0, 42.0), (37.0, 45.0)),)
"""Of the moved head: the mouth, down."""
LED = Instructing(weight=0.0)
"""Not led by energies: these hold what is moved to what it was, and other words are to show here."""
SEED = 3
SIDE, GAP, LINE = 192, 8, 24


def head() -> np.ndarray:
    """Return a mask (64, 64) of the head."""
    rows, columns = np.mgrid[:64, :64]
    x, y, across, down = HEAD
    return (((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1).astype(np.float32)


def shown(editor: Editor) -> Image.Image:
    """Return the present picture, enlarged."""
    return editor.image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def marked(picture: Image.Image) -> Image.Image:
    """Return a picture with the pulls that are to come: red where they begin, blue where they go."""
    made, scale = picture.copy(), SIDE / 64
    pen = ImageDraw.Draw(made)
    for handle, target in PULLS:
        (x, y), (to_x, to_y) = (tuple((place + 0.5) * scale for place in each) for each in (handle, target))
        pen.line((x, y, to_x, to_y), fill="white", width=2)
        for (middle, row), colour in (((x, y), "red"), ((to_x, to_y), "blue")):
            pen.ellipse((middle - 4, row - 4, middle + 4, row + 4), fill=colour, outline="white")
    return made


async def done(editor: Editor) -> None:
    """Wait until a run has ended."""
    await editor.finished()


def panels(model: str, seed: int) -> list[tuple[str, Image.Image]]:
    """Return the pictures of the edit and what is said below them."""
    editor = Editor(load_generator(model, "cpu").sampled(prompt=BEFORE, strength=STRENGTH), seed=seed)
    try:
        made = [(f"“{BEFORE}”", shown(editor))]
        editor.instruct(head(), by=BY, prompt=AFTER, settings=LED)
        made.append((f"“{AFTER}”, {BY[0]:g} px to the right", marked(shown(editor))))
        for engine in ("dragdiffusion", "fastdrag"):
            editor.engine = engine
            editor.points = [{"handle": handle, "target": target} for handle, target in PULLS]
            editor.start()
            asyncio.run(done(editor))
            made.append((f"pulled by {engine}", shown(editor)))
            editor.undo()
    finally:
        editor.close()
    return made


def strip(found: list[tuple[str, Image.Image]]) -> Image.Image:
    """Return pictures side by side, with their texts below."""
    made = Image.new("RGB", (len(found) * (SIDE + GAP) - GAP, SIDE + LINE), "white")
    pen, font = ImageDraw.Draw(made), ImageFont.load_default(13)
    for number, (text, picture) in enumerate(found):
        made.paste(picture, (number * (SIDE + GAP), 0))
        pen.text((number * (SIDE + GAP), SIDE + 5), text, fill="black", font=font)
    return made


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="faces-diffusion", help="a built-in name, or a folder")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/words_and_pull.png")
    options = parser.parse_args()
    strip(panels(options.model, options.seed)).save(options.out, optimize=True)
    print(options.out)


if __name__ == "__main__":
    main()
