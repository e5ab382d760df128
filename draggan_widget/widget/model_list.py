"""The models that a person may choose from in the page: the built-in ones, and the files of one folder."""

from __future__ import annotations

import os
from pathlib import Path

from draggan_widget.editing import Model
from draggan_widget.models import builtin_names

ENDINGS = (".pkl", ".pt", ".pth", ".ckpt", ".safetensors", ".zip")
"""Of files that may be models. Whether one is, only its content tells."""


class ModelList:
    """A folder that the user named. Only listed files can be loaded from it, so no name leads elsewhere.

    :raises NotADirectoryError: if there is no such folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        # Absolute, so that it stays the same folder when a cell changes the working one.
        self.folder = Path(folder).expanduser().absolute()
        if not self.folder.is_dir():
            raise NotADirectoryError(f"models is {os.fspath(folder)!r}, which is no folder; name one that holds models")

    def files(self) -> list[str]:
        """Return the names of the files that may be models, as they are now; none if the folder is gone."""
        try:
            return sorted(entry.name for entry in os.scandir(self.folder) if _may_be_a_model(entry))
        except OSError:
            return []

    def find(self, name: str) -> str:
        """Return the path to load for a listed name. :raises ValueError: if it is not listed."""
        if name in builtin_names():
            return name
        if name not in self.files():
            raise ValueError(f"{name!r} is not among the models of {self.folder}")
        return str(self.folder / name)

    def entry(self, model: Model) -> str | None:
        """Return the name under which a model is listed; None if it came from elsewhere."""
        if model.source is None or model.source in builtin_names():
            return model.source
        path = Path(model.source).expanduser().absolute()
        return path.name if path.parent == self.folder and path.name.isprintable() else None


def _may_be_a_model(entry: os.DirEntry[str]) -> bool:
    # Hidden files are what systems leave beside others; what is no text cannot be told to the page.
    listed = not entry.name.startswith(".") and entry.name.lower().endswith(ENDINGS) and entry.name.isprintable()
    return listed and entry.is_file()
