"""Puts what generators share, and the modules of the faces beside this folder, on the import path."""

import sys
from pathlib import Path

_PLACE = Path(__file__).resolve().parent.parent
for _folder in (_PLACE / "shared", _PLACE / "faces"):
    if str(_folder) not in sys.path:
        sys.path.append(str(_folder))
