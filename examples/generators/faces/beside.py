"""Puts what all generators are made with, in the folder beside this one, on the import path."""

import sys
from pathlib import Path

_SHARED = str(Path(__file__).resolve().parent.parent / "shared")
if _SHARED not in sys.path:
    sys.path.append(_SHARED)
