"""An edit as files for elsewhere: pictures that say where they come from, latents, films, and code."""

from __future__ import annotations

import functools
import importlib.util
import io
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from draggan_widget.editing.code import code_of
from draggan_widget.editing.document import Document
from draggan_widget.editing.films import film
from draggan_widget.editing.provenance import remark, sentence, tool, xmp

__all__ = ["FILES", "KINDS", "Kind", "code_of", "film", "latent", "png"]

Kind = Literal["png", "gif", "mp4", "drag", "latent", "code", "photo"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FILES: dict[Kind, tuple[str, str]] = {
    "png": (".png", "image/png"),
    "gif": (".gif", "image/gif"),
    "mp4": (".mp4", "video/mp4"),
    "drag": (".drag", "application/octet-stream"),
    "latent": (".npz", "application/octet-stream"),
    "code": (".py", "text/x-python"),
    "photo": (".png", "image/png"),
}
"""Kind → the ending of its files, and their media type."""


@functools.cache
def can_write_mp4() -> bool:
    """Return whether the package that writes MP4 films is here."""
    return importlib.util.find_spec("av") is not None


def png(image: Image.Image, *, provenance: Mapping[str, Any] | None) -> bytes:
    """Return a picture as PNG, which says that it was made by a machine, and how.

    See ``provenance``; the text chunks are ``Software``, ``Description`` and ``Comment``.

    :param provenance: what ``provenance_of`` gives, or any names with values that JSON can hold; None: nothing is
        said.
    """
    file, info = io.BytesIO(), PngInfo()
    if provenance is not None:
        info.add_text("Software", tool())
        info.add_text("Description", sentence(provenance))
        info.add_text("Comment", remark(provenance))
        info.add_itxt("XML:com.adobe.xmp", xmp())
    image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


def latent(document: Document) -> bytes:
    """Return the latent of a moment as ``.npz``, which ``numpy.load`` reads without pickle.

    It holds ``ws`` and ``w0`` (1, num_ws, w_dim), the latents now and at the beginning, ``handles`` and ``targets``
    (N, 2) in picture pixels (x, y), ``truncation``, and ``seed`` and ``label``, which are -1 where there is none.
    """
    file, drag = io.BytesIO(), document.drag
    np.savez_compressed(
        file,
        ws=drag.ws.cpu().numpy(),
        w0=drag.w0.detach().cpu().numpy(),
        handles=drag.handles,
        targets=drag.targets,
        seed=np.int64(-1 if document.seed is None else document.seed),
        truncation=np.float64(document.truncation),
        label=np.int64(-1 if document.label is None else document.label),
    )
    return file.getvalue()
