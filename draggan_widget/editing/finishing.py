"""What is done to a picture of an edit after synthesis: an ordered list of names in the document.

Shown, saved and exported pictures all pass it, each a function of document and picture. What shows outside the mask is
joined in the features while a picture is made (``layers_of``), and so comes before all of these.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from draggan_widget.editing.document import Document

RESIDUAL = "residual"
"""What the fit left of a photograph is carried along with the motion, and added."""
OF_A_PHOTOGRAPH = (RESIDUAL,)
"""What an edit of a photograph has."""


def finished(document: Document, picture: Image.Image, *, quick: bool = False) -> Image.Image:
    """Return the picture as people are to see it.

    :param picture: by the model, of any size in its shape. :param quick: whether somebody waits, so that it may be
        nearly so.
    """
    for name in finish_of(document):
        picture = _DONE[name](document, picture, quick)
    return picture


def finish_of(document: Document) -> tuple[str, ...]:
    """Return what is done now: nothing while the model is still fitted to its photograph, which people watch."""
    return document.finish if document.model.packed is not None else ()


def checked_finish(names: object, *, of_photo: bool) -> tuple[str, ...]:
    """Return a finish that was stored. :param of_photo: whether the model was tuned for a photograph.

    :raises ValueError: for what is no list of names that are known here, each once, and fit the model.
    """
    if not isinstance(names, (list, tuple)) or any(name not in _DONE for name in names):
        raise ValueError("its finish is no list of what is done to pictures")
    if len(set(names)) < len(names) or (names and not of_photo):
        raise ValueError("its finish does not fit its model")
    return tuple(names)


def pasted(document: Document, picture: Image.Image, *, whole: bool = False) -> Callable[[], Image.Image]:
    """Return what makes the photograph in full size with a picture of its edit in it; that may be in any thread.

    :param picture: by the model, before its finish: in the photograph, only what has moved needs one.
    :param whole: see ``Photo.paste``. :raises ValueError: if the edit is not of a photograph.
    """
    photo, mask, residual = document.model.photo, document.mask, RESIDUAL in document.finish
    if photo is None:
        raise ValueError("this edit is not of a photograph; open one by editor.open_photo(…)")
    # Made here, in the thread that owns the model.
    unedited = None if whole else photo.fitted if document.model.packed is None else photo.residual.fitted
    return functools.partial(photo.pasted, picture, unedited, mask, residual=residual)


def _with_residual(document: Document, picture: Image.Image, quick: bool) -> Image.Image:
    photo = document.model.photo
    assert photo is not None
    return photo.residual.added(picture, quick=quick)


_DONE: dict[str, Callable[[Document, Image.Image, bool], Image.Image]] = {RESIDUAL: _with_residual}
