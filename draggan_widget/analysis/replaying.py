"""An edit played again: its pictures below, handles and their ways above."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import Any

from PIL import Image

from draggan_widget.analysis.canvases import View, canvas_library
from draggan_widget.analysis.sheets import colour_of, drawn_ways, labelled, ways
from draggan_widget.editing.chores import finish
from draggan_widget.editing.drawing import HANDLE
from draggan_widget.editing.film import gif
from draggan_widget.editing.history import History, Record, thinned

MOST_FRAMES = 60
LENGTH, SHORTEST, LONGEST = 3000, 40, 200
"""Milliseconds: of the whole, and the limits of one frame."""
WIDTH = 384
LARGEST_SHEET = 8192
"""Pixels along a side of the sheet that holds all frames; browsers take no larger ones."""


def replay(history: History, *, width: int = WIDTH) -> Replay:
    """An edit to be played again: in a notebook with ipycanvas animated in the browser, elsewhere a GIF.

    :param width: of its pictures, in pixels.
    :raises ValueError: for an empty history, one without a generator, or a width below 64.
    """
    return Replay(history, width)


class Replay(View):
    """See ``replay``. ``show`` goes to a frame, ``play`` plays all; ``save`` writes a ``.png`` or a ``.gif``."""

    def __init__(self, history: History, width: int) -> None:
        if not len(history):
            raise ValueError("this history is empty: nothing was dragged yet, so there is nothing to play")
        if width < 64:
            raise ValueError(f"width is {width}; it must be at least 64")
        self._history = history
        self.records: list[Record] = thinned(history, MOST_FRAMES)
        """Of the frames."""
        self._pictures = [history.picture(record.step) for record in self.records]
        first = self._pictures[0]
        self._size = width, max(1, round(first.height * width / first.width))
        self._frame = len(self.records) - 1
        self._widget: Any = None

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"<Replay of {self.records[-1].step} steps in {len(self)} frames>"

    def __iter__(self) -> Iterator[Image.Image]:
        for number in range(len(self)):
            yield self._drawn(number).convert("RGB")

    @property
    def milliseconds(self) -> int:
        """Of each frame but the last."""
        return 10 * round(min(max(LENGTH / len(self), SHORTEST), LONGEST) / 10)

    @property
    def frame(self) -> int:
        """The frame that is shown, from 0."""
        return self._frame

    def picture(self) -> Image.Image:
        """The frame that is shown."""
        return self._drawn(self._frame)

    def moving(self) -> bytes:
        """All of it as a GIF."""
        return finish(gif(self))

    def show(self, frame: int) -> None:
        """Go to a frame. :raises ValueError: if there is none of that number."""
        if not 0 <= frame < len(self):
            raise ValueError(f"there is no frame {frame}; there are 0 to {len(self) - 1}")
        self._frame = frame
        if self._widget is not None:
            self._slider.value = frame
            self._draw([frame])

    def play(self) -> None:
        """Play all frames. The browser keeps the time, so a busy kernel does not hold it up."""
        self.widget()
        self._draw(list(range(len(self))))
        self._frame = self._slider.value = len(self) - 1

    def widget(self) -> Any:
        """The canvas with a button and a slider."""
        if self._widget is None:
            self._widget = self._make_widget()
        return self._widget

    def _drawn(self, number: int) -> Image.Image:
        record = self.records[number]
        return labelled(drawn_ways(self._history, record, self._pictures[number], self._size[0]), _said(record))

    def _make_widget(self) -> Any:
        import ipywidgets

        canvases = canvas_library()
        width, height = self._size
        columns = math.ceil(math.sqrt(len(self)))
        shrink = min(1.0, LARGEST_SHEET / (columns * max(width, height)))
        cell = max(1, int(width * shrink)), max(1, int(height * shrink))
        sheet = Image.new("RGB", (columns * cell[0], math.ceil(len(self) / columns) * cell[1]), "white")
        for number, picture in enumerate(self._pictures):
            small = picture.resize(cell, Image.Resampling.BICUBIC)
            sheet.paste(small, _cell(number, columns, cell), small if small.mode == "RGBA" else None)
        file = io.BytesIO()
        sheet.save(file, "JPEG", quality=92)
        self._columns = columns
        self._sheet_size = columns * width, math.ceil(len(self) / columns) * height
        self._sheet = ipywidgets.Image(value=file.getvalue(), format="jpeg")
        layout = {"width": f"{width}px", "height": f"{height}px"}
        self._canvas: Any = canvases.MultiCanvas(2, width=width, height=height, layout=layout)
        self._hold = canvases.hold_canvas
        self._ways = ways(self._history, self.records[-1].step, width / self._pictures[0].width)
        button = ipywidgets.Button(description="Play", icon="play", tooltip="Play the edit from its beginning")
        button.layout.width = "6em"
        self._slider: Any = ipywidgets.SelectionSlider(
            options=[(f"step {record.step}", number) for number, record in enumerate(self.records)],
            value=self._frame,
            layout={"width": f"{max(120, width - 100)}px"},
        )
        self._slider.observe(self._slid, "value")
        button.on_click(lambda _button: self.play())
        # A canvas remembers nothing: who comes later sees it empty until it is drawn again.
        self._canvas.on_client_ready(lambda: self._draw([self._frame]))
        return ipywidgets.VBox([self._canvas, ipywidgets.HBox([button, self._slider])])

    def _slid(self, change: Any) -> None:
        if change["new"] != self._frame:
            self._frame = change["new"]
            self._draw([self._frame])

    def _draw(self, frames: list[int]) -> None:
        below, above = self._canvas[0], self._canvas[1]
        width, height = self._size
        with self._hold():
            for place, number in enumerate(frames):
                x, y = _cell(number, self._columns, self._size)
                below.draw_image(self._sheet, -x, -y, *self._sheet_size)
                above.clear()
                self._draw_points(above, self.records[number])
                above.global_alpha, above.fill_style = 0.5, "black"
                above.fill_rect(0, height - 4, width, 4)
                above.global_alpha, above.fill_style = 1.0, "white"
                above.fill_rect(0, height - 4, width * (number + 1) / len(self), 4)
                if place < len(frames) - 1:
                    above.sleep(self.milliseconds)

    def _draw_points(self, above: Any, record: Record) -> None:
        scale = self._size[0] / self._pictures[0].width
        steps = sum(1 for each in self._history if each.step <= record.step)
        radius = max(4, self._size[0] / 80)
        above.line_join = above.line_cap = "round"
        for number, handle, target in zip(record.ids, record.handles, record.targets, strict=True):
            way = self._ways[number][:steps]
            place = [(float(value) + 0.5) * scale for value in handle]
            ring = [(float(value) + 0.5) * scale for value in target]
            lines: list[tuple[list[Any], str, float]] = [([place, ring], "black", 4), ([place, ring], "white", 2)]
            if len(way) > 1:
                lines += [(way, "black", 4), (way, colour_of(number, record.ids), 2)]
            for points, colour, thickness in lines:
                above.stroke_style, above.line_width = colour, thickness
                above.stroke_lines([list(point) for point in points])
            above.stroke_style, above.line_width = "white", 2
            above.stroke_circle(*ring, radius)
            above.fill_style = HANDLE
            above.fill_circle(*place, radius)
            above.stroke_circle(*place, radius)
        above.font, above.fill_style, above.stroke_style = "bold 13px sans-serif", "white", "black"
        above.line_width = 3
        above.stroke_text(_said(record), 8, self._size[1] - 12)
        above.fill_text(_said(record), 8, self._size[1] - 12)


def _said(record: Record) -> str:
    to_go = f", {record.distances.max():.1f} px to go" if len(record.distances) else ""
    return f"step {record.step}{to_go}"


def _cell(number: int, columns: int, size: tuple[int, int]) -> tuple[int, int]:
    row, column = divmod(number, columns)
    return column * size[0], row * size[1]
