"""Before and after in one picture, with a split that can be moved."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from draggan_widget.analysis.canvases import View, canvas_library, drawing, encoded
from draggan_widget.analysis.sheets import labelled

WIDTH = 384


def compare(before: Any, after: Any, *, split: float = 0.5, width: int = WIDTH) -> Comparison:
    """Two pictures of one size, the first to the left of a split, the second to its right.

    With ipycanvas the split follows the pointer, or a slider; elsewhere it is a picture.

    :param before: a PIL image, or an array (H, W), (H, W, 3) or (H, W, 4) uint8. :param after: the same.
    :param split: where it is at first, 0 … 1 of the width. :param width: in pixels.
    :raises ValueError: for pictures of different sizes, or numbers out of range.
    """
    return Comparison(_image(before), _image(after), split, width)


class Comparison(View):
    """See ``compare``."""

    def __init__(self, before: Image.Image, after: Image.Image, split: float, width: int) -> None:
        if before.size != after.size:
            raise ValueError(f"the pictures are {before.size} and {after.size} pixels large; give two of one size")
        if width < 64:
            raise ValueError(f"width is {width}; it must be at least 64")
        size = width, max(1, round(before.height * width / before.width))
        self._before, self._after = (each.resize(size, Image.Resampling.BICUBIC) for each in (before, after))
        self._split = _checked(split)
        self._widget: Any = None

    def __repr__(self) -> str:
        return f"<Comparison split at {self._split:.0%}>"

    @property
    def split(self) -> float:
        """Where the pictures meet, 0 … 1 of the width. :raises ValueError: when it is set to something else."""
        return self._split

    @split.setter
    def split(self, value: float) -> None:
        self._split = _checked(value)
        if self._widget is not None:
            self._slider.value = self._split
            self._draw()

    def picture(self) -> Image.Image:
        """Return both, as they are split now."""
        width, height = self._before.size
        place = round(self._split * width)
        shown = self._after.convert("RGBA")
        shown.paste(self._before.convert("RGBA").crop((0, 0, place, height)), (0, 0))
        ImageDraw.Draw(shown).line((place, 0, place, height), fill="white", width=2)
        return labelled(shown, "before | after")

    def widget(self) -> Any:
        """Return the canvas with its slider."""
        if self._widget is None:
            self._widget = self._make_widget()
        return self._widget

    def _make_widget(self) -> Any:
        import ipywidgets

        canvases = canvas_library()
        width, height = self._before.size
        layout = {"width": f"{width}px", "height": f"{height}px"}
        self._canvas: Any = canvases.MultiCanvas(2, width=width, height=height, layout=layout)
        self._images = [
            ipywidgets.Image(value=encoded(each, "PNG"), format="png") for each in (self._before, self._after)
        ]
        self._slider: Any = ipywidgets.FloatSlider(
            value=self._split,
            min=0,
            max=1,
            step=0.01,
            description="split",
            readout=False,
            layout={"width": f"{width}px"},
        )
        self._slider.observe(self._slid, "value")
        self._canvas.on_mouse_down(lambda x, _y: self._point(x))
        self._canvas.on_mouse_move(lambda x, _y: self._point(x))
        self._canvas.on_client_ready(self._draw)
        return ipywidgets.VBox([self._canvas, self._slider])

    def _point(self, x: float) -> None:
        self.split = min(max(x / self._before.width, 0.0), 1.0)

    def _slid(self, change: Any) -> None:
        if change["new"] != self._split:
            self._split = change["new"]
            self._draw()

    def _draw(self) -> None:
        below, above = self._canvas[0], self._canvas[1]
        width, height = self._before.size
        place = self._split * width
        with drawing():
            below.clear()
            below.draw_image(self._images[1], 0, 0, width, height)
            above.clear()
            above.save()
            above.begin_path()
            above.rect(0, 0, place, height)
            above.clip()
            above.clear_rect(0, 0, place, height)
            above.draw_image(self._images[0], 0, 0, width, height)
            above.restore()
            above.fill_style = "white"
            above.fill_rect(place - 1, 0, 2, height)


def _checked(split: float) -> float:
    if not 0 <= split <= 1:
        raise ValueError(f"split is {split!r}; it must be from 0 to 1")
    return float(split)


def _image(picture: Any) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ValueError(
            f"a picture is an array {array.shape} of {array.dtype}; give a PIL image or (H, W, 3) whole numbers 0 … 255"
        )
    return Image.fromarray(array)
