"""An edit played again: its pictures below, handles and their ways above."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from PIL import Image

from draggan_widget.analysis.canvases import View, canvas_library, drawing, encoded
from draggan_widget.analysis.sheets import drawn_ways, labelled
from draggan_widget.editing import History, Record, finish, gif, thinned

if TYPE_CHECKING:
    from draggan_widget.analysis.player import Player

MOST_FRAMES, MOST_PIXELS = 60, 40_000_000
"""The browser keeps all frames, with four bytes a pixel: of wide pictures there are fewer."""
LENGTH, SHORTEST, LONGEST = 3000, 40, 200
"""Milliseconds: of the whole, and the limits of one frame."""
WIDTH, NARROWEST_PLAYER = 384, 320
"""Pixels."""


def replay(history: History, *, width: int = WIDTH) -> Replay:
    """Return an edit to be played again: in a notebook with ipycanvas animated in the browser, elsewhere a GIF.

    The browser keeps frames and time, so it plays, pauses and scrubs while the kernel is busy. What has to wait for the
    kernel then: ``frame`` and ``picture()``, which follow the page, and pages that are opened meanwhile.

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
        self._history, self._width = history, width
        last = history.picture()
        pixels = width * max(1, round(last.height * width / last.width))
        self.records: list[Record] = thinned(history, min(MOST_FRAMES, max(2, MOST_PIXELS // pixels)))
        """Of the frames."""
        self._pictures = [history.picture(record.step) for record in self.records[:-1]] + [last]
        self._frame = len(self.records) - 1
        self._player: Player | None = None
        self._widget: Any = None

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"<Replay of {self.records[-1].step} steps in {len(self)} frames>"

    def __iter__(self) -> Iterator[Image.Image]:
        for number in range(len(self)):
            picture = self._drawn(number).convert("RGBA")
            yield Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")

    @property
    def milliseconds(self) -> int:
        """Of each frame but the last."""
        return 10 * round(min(max(LENGTH / len(self), SHORTEST), LONGEST) / 10)

    @property
    def frame(self) -> int:
        """The frame that is shown, from 0."""
        return self._frame if self._player is None else self._player.frame

    def picture(self) -> Image.Image:
        """Return the frame that is shown."""
        return self._drawn(self.frame)

    def moving(self) -> bytes:
        """Return the whole edit as a GIF."""
        return finish(gif(self))

    def show(self, frame: int) -> None:
        """Go to a frame. :raises ValueError: if there is none of that number."""
        if not 0 <= frame < len(self):
            raise ValueError(f"there is no frame {frame}; there are 0 to {len(self) - 1}")
        self._frame = frame
        if self._player is not None:
            self._player.go(frame, playing=False)

    def play(self) -> None:
        """Play all frames, from the first. The browser keeps the time, so a busy kernel does not hold it up."""
        self.widget()
        assert self._player is not None
        self._player.go(0, playing=True)

    def widget(self) -> Any:
        """Return the canvases of the frames, one of which shows, and what plays them."""
        if self._widget is None:
            self._widget = self._make_widget()
        return self._widget

    def _drawn(self, number: int) -> Image.Image:
        record = self.records[number]
        return labelled(drawn_ways(self._history, record, self._pictures[number], self._width), _said(record))

    def _make_widget(self) -> Any:
        import ipywidgets

        from draggan_widget.analysis.player import Player

        canvases = canvas_library()
        pictures = list(self)
        width, height = pictures[0].size
        layout = ipywidgets.Layout(width=f"{width}px", height=f"{height}px", flex="none")
        frames = []
        for picture in pictures:
            image = ipywidgets.Image(value=encoded(picture, "JPEG", quality=90), format="jpeg", layout=layout)
            canvas = canvases.Canvas(width=width, height=height, layout=layout)

            def draw(canvas: Any = canvas, image: Any = image) -> None:
                with drawing():
                    canvas.draw_image(image, 0, 0)

            # A canvas remembers nothing: who comes later sees it empty until it is drawn again.
            canvas.on_client_ready(draw)
            draw()
            frames.append(canvas)
        labels = [f"step {record.step}" for record in self.records]
        self._player = Player(labels=labels, milliseconds=self.milliseconds, frame=self._frame)
        self._player.layout.width = f"{max(width, NARROWEST_PLAYER)}px"
        # The frame that shows is chosen in the browser alone: it needs no kernel for that.
        stack = ipywidgets.Stack(frames, selected_index=self._frame, layout=layout)
        ipywidgets.jsdlink((self._player, "frame"), (stack, "selected_index"))
        return ipywidgets.VBox([stack, self._player])


def _said(record: Record) -> str:
    to_go = f", {record.distances.max():.1f} px to go" if len(record.distances) else ""
    return f"step {record.step}{to_go}"
