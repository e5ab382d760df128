"""Draw the same latents in every edition, one row or more for each, for looking at.

python examples/generators/faces/editions.py --out examples/generators/faces/editions.jpg [--pictures 12] [--basis FILE]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import beside  # noqa: F401  for what is shared
import numpy as np
from command import opengl_problems
from measure import measured_latents, rendered
from PIL import Image
from scene import EDITIONS

COLUMNS, SIDE = 6, 192


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the picture to write")
    parser.add_argument("--pictures", type=int, default=12, help="of each edition (12)")
    parser.add_argument("--basis", type=Path, default=Path(__file__).parent / "out/basis.npz")
    options = parser.parse_args()
    problems = opengl_problems()
    if not options.basis.exists():
        problems.append(f"no basis of the head at {options.basis}: run make.py first, or say where it is by --basis")
    if options.pictures < 1:
        problems.append("--pictures must be at least 1")
    if problems:
        print("Cannot draw:\n- " + "\n- ".join(problems), file=sys.stderr)
        return 1
    rows = []
    for edition in EDITIONS:
        drawn = rendered(measured_latents(options.pictures), options.basis, edition)
        small = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.LANCZOS)) for one in drawn]
        small += [np.full_like(small[0], 255)] * (-len(small) % COLUMNS)
        rows += [np.concatenate(small[first : first + COLUMNS], 1) for first in range(0, len(small), COLUMNS)]
    Image.fromarray(np.concatenate(rows)).save(options.out, quality=88)
    return 0


if __name__ == "__main__":
    sys.exit(main())
