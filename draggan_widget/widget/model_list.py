"""The models that a person may choose: the built-in ones, the files of one folder, and in Python any other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from draggan_widget.editing import DragFile, Model, OnProgress
from draggan_widget.models import Generator, builtin_names

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
            return model.source if model.source in builtin_names(older=False) else None
        path = Path(model.source).expanduser().absolute()
        return path.name if path.parent == self.folder and path.name.isprintable() else None


def read_model(
    model: str | os.PathLike[str] | Generator | Model,
    listed: ModelList | None,
    device: Any,
    progress: OnProgress | None = None,
) -> Model:
    """Return the model that somebody means in Python: a name or a path first, then a file of the listed folder."""
    if isinstance(model, Model):
        return model
    if isinstance(model, Generator):
        return Model(model)
    try:
        return Model.load(model, device, progress)
    except FileNotFoundError:
        if listed is None or os.fspath(model) not in listed.files():
            raise
        return Model.load(listed.find(os.fspath(model)), device, progress)


def model_of_file(file: DragFile, given: str | Generator | None, device: str | None) -> Model:
    """Return the model of a saved edit: the one that is ``given``, or that the file names.

    Of a built-in name it is the edition that the edit was made with, which may be an older one.

    :raises FileNotFoundError: if there is no such model. :raises ValueError: for a file that names none.
    """
    source = file.source if given is None else given
    if source is None:
        raise ValueError(f"{file.name} was made with a generator given as an object; give it as model=…")
    try:
        model = Model(source) if isinstance(source, Generator) else Model.load(source, device)
        if given is None and not file.is_of(model.generator) and (edition := file.builtin) is not None:
            return Model.load(edition, device)
        return model
    except FileNotFoundError as error:
        said = f"{error}. {file.name} was made with it; where it is elsewhere now, give model=…"
        raise FileNotFoundError(said) from error


def _may_be_a_model(entry: os.DirEntry[str]) -> bool:
    # Hidden files are what systems leave beside others; what is no text cannot be told to the page.
    listed = not entry.name.startswith(".") and entry.name.lower().endswith(ENDINGS) and entry.name.isprintable()
    return listed and entry.is_file()
