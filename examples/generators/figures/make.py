"""Make the generator "figures" from nothing: render people, learn them, write a file the package loads.

    python examples/generators/figures/make.py --out DIR [--minutes 110] [--pictures 24000] [--processes 2]

Stop it whenever you like; the same command goes on where it stopped. ``--export FILE`` writes what a checkpoint in
DIR has come to, also while training goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import beside  # noqa: F401  for what is shared
from command import PACKAGES, Command, main

COMMAND = Command(
    module="people",
    constant="FIGURES",
    size=(256, 128),
    editions=(1,),
    edition=1,
    out=Path(__file__).parent / "out",
    packages=PACKAGES,
)

if __name__ == "__main__":
    sys.exit(main(COMMAND, __doc__))
