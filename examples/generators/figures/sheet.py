"""Draw a sheet of people, eight in a row.

python examples/generators/figures/sheet.py --renders DIR --out FILE.jpg [--count 32] [--seed 21]

DIR is a folder of ``make.py``, whose basis is used; it is made there where it is missing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import beside  # noqa: F401  for what is shared
import numpy as np
from body import body_at
from command import opengl_problems
from person import LATENT, person_from_latent
from PIL import Image


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renders", type=Path, required=True, help="a folder of make.py, for its basis")
    parser.add_argument("--out", type=Path, required=True, help="file of the sheet")
    parser.add_argument("--count", type=int, default=32, help="how many people, a multiple of 8")
    parser.add_argument("--seed", type=int, default=21)
    options = parser.parse_args()
    if options.count < 8 or options.count % 8:
        parser.error(f"--count is {options.count}; it must be a multiple of 8")
    if problems := opengl_problems():
        print(f"Cannot draw: {problems[0]}", file=sys.stderr)
        return 1
    from draw import Renderer

    basis = body_at(options.renders / "basis.npz")
    renderer = Renderer(basis)
    latents = np.random.default_rng(options.seed).normal(size=(options.count, len(LATENT)))
    pictures = [renderer(person_from_latent(latent, basis)) for latent in latents]
    rows = [np.concatenate(pictures[first : first + 8], 1) for first in range(0, options.count, 8)]
    Image.fromarray(np.concatenate(rows)).save(options.out, quality=88)
    return 0


if __name__ == "__main__":
    sys.exit(main())
