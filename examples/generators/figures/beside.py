"""Puts what all generators are made with, and the modules of the faces, on the import path."""

import sys
from pathlib import Path

_PLACE = Path(__file__).resolve().parent.parent
for _folder in (_PLACE / "shared", _PLACE / "faces"):
    if str(_folder) not in sys.path:
        sys.path.append(str(_folder))
