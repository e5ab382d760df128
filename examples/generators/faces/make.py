"""Make the built-in generator "faces" from nothing: render faces, learn them, write a file the package loads.

    python examples/generators/faces/make.py --out DIR [--minutes 110] [--pictures 24000] [--device cuda]
                                             [--edition 2] [--begin faces-1]

Stop it whenever you like; the same command goes on where it stopped. ``--export FILE`` writes what a checkpoint in
DIR has come to, also while training goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import beside  # noqa: F401  for what is shared
from command import PACKAGES, Command, main

COMMAND = Command(
    module="dataset",
    constant="FACES",
    size=(256, 256),
    editions=(1, 2, 3),
    edition=2,
    out=Path(__file__).parent / "out",
    packages=PACKAGES,
)

if __name__ == "__main__":
    sys.exit(main(COMMAND, __doc__))
