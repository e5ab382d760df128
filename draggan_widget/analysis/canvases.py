"""What views that Python draws on ipycanvas have in common, and what shows where it cannot."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from draggan_widget.files import shown, target_of, write_whole

WIDGET = "application/vnd.jupyter.widget-view+json"
LARGEST_PICTURE = 200_000
"""Bytes of the picture that stands in for a widget where there is no kernel: every saved notebook carries it."""


def has_canvas() -> bool:
    """Return whether ipycanvas is installed and shows here: it does not in marimo, and not well in Colab.

    A notebook of marimo's is known by what marimo says of itself: its package may be imported anywhere.
    """
    marimo = sys.modules.get("marimo")
    in_marimo = marimo is not None and marimo.running_in_notebook()
    return find_spec("ipycanvas") is not None and not in_marimo and "google.colab" not in sys.modules


def canvas_library() -> Any:
    """Return the module ``ipycanvas``. :raises ModuleNotFoundError: without it, saying how to get it."""
    try:
        import ipycanvas
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'drawing on a canvas needs ipycanvas: pip install "draggan_widget[canvas]"'
        ) from error
    return ipycanvas


_drawing = threading.RLock()


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Send what is drawn within to the page as one message.

    ipycanvas collects it in one place for all canvases, and calls that tell of the page come in another thread where
    the kernel has subshells.
    """
    with _drawing, canvas_library().hold_canvas():
        yield


class View:
    """Shows itself as a widget where that works, and elsewhere as a picture."""

    def picture(self) -> Image.Image:
        """Return what it shows, as a still picture."""
        raise NotImplementedError

    def widget(self) -> Any:
        """Return the widget, made once. :raises ModuleNotFoundError: without ipycanvas."""
        raise NotImplementedError

    def moving(self) -> bytes | None:
        """Return what it shows as a GIF; None where nothing moves."""
        return None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as ``.png``, or what moves as ``.gif``, whole or not at all.

        :raises ValueError: for another ending. :raises OSError: if it cannot be written.
        """
        suffix = Path(path).suffix.lower()
        target_of(path)  # before a film is made
        moving = self.moving() if suffix == ".gif" else None
        if moving is None and suffix != ".png":
            endings = ".png" if self.moving.__func__ is View.moving else ".png or .gif"  # type: ignore[attr-defined]
            raise ValueError(f"{shown(path)} ends in {shown(suffix)!r}; this can be written as {endings}")
        write_whole(path, moving if moving is not None else encoded(self.picture(), "PNG"))

    def _repr_mimebundle_(self, **_kinds: Any) -> dict[str, Any]:
        said = {"text/plain": repr(self)}
        if not has_canvas():
            moving = self.moving()
            if moving is not None:
                return {**said, "image/gif": base64.b64encode(moving).decode()}
            return {**said, "image/png": base64.b64encode(encoded(self.picture(), "PNG")).decode()}
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget().model_id}
        still = encoded(self.picture(), "PNG")
        if len(still) > LARGEST_PICTURE:
            return {**said, WIDGET: view, "image/jpeg": base64.b64encode(encoded(self.picture(), "JPEG")).decode()}
        return {**said, WIDGET: view, "image/png": base64.b64encode(still).decode()}

    def _mime_(self) -> tuple[str, str]:
        """Return what marimo shows."""
        moving = self.moving()
        kind, data = ("gif", moving) if moving is not None else ("png", encoded(self.picture(), "PNG"))
        return "text/html", f'<img alt="{self!r}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'


def encoded(picture: Image.Image, kind: str, quality: int = 85) -> bytes:
    """Return a picture as PNG or JPEG; only JPEG has a quality, and no alpha."""
    file = io.BytesIO()
    if kind == "JPEG":
        picture.convert("RGB").save(file, kind, quality=quality)
    else:
        picture.save(file, kind)
    return file.getvalue()
