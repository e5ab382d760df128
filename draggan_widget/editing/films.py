"""The edit as a moving picture, made in slices: a GIF of one palette, or an MP4."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from types import ModuleType
from typing import Any, Literal, Protocol

from PIL import Image, ImageColor

from draggan_widget.editing.document import Document
from draggan_widget.editing.drawing import HANDLE, draw_points
from draggan_widget.editing.finishing import finished
from draggan_widget.editing.history import Record, thinned
from draggan_widget.editing.jobs import Progress, Work, in_thread
from draggan_widget.editing.pictures import Layers, Painter
from draggan_widget.editing.provenance import gif_with_xmp, mp4_with_xmp, remark, sentence, tool
from draggan_widget.engines import blend_of
from draggan_widget.models import Generator

MOST_FRAMES = 120
LENGTH = 3000
"""Milliseconds that an edit of few frames takes, within the two limits that follow."""
SHORTEST, LONGEST = 40, 120
"""Milliseconds of a frame."""
HOLD = 1500
"""Milliseconds for which the last frame stays."""
WIDEST_GIF = 512
"""Pixels: a wider GIF is scaled down, or it were tens of megabytes."""
PALETTE_FROM, PALETTE_SIDE = 12, 128
"""So many frames, evenly chosen, tell which colours there are, each by no more pixels than a square of this side."""
NARROWEST_DRAWN = 512
"""Pixels: where handles are drawn, a narrower picture is scaled up, or they were blots."""
SMPTE_170M, LIMITED = 6, 1
"""The colours of an MP4 as ITU-T H.273 numbers them, said in the file, since players guess by its size otherwise."""


def film(
    kind: Literal["gif", "mp4"],
    document: Document,
    generator: Generator,
    *,
    handles: bool = False,
    provenance: Mapping[str, Any] | None = None,
) -> Work[bytes]:
    """A job that makes the film of an edit, from its beginning to ``document``.

    There are at most 120 frames, of 40 to 120 ms each, the last of which stays for 1.5 s. Where pictures have alpha
    they lie on white.

    :param handles: whether handles and targets are drawn. :param provenance: what ``provenance_of`` gives, or any
        names with values that JSON can hold: the film says that it was made by a machine, and how; None: nothing is
        said.
    :raises ValueError: for another kind. :raises ModuleNotFoundError: for an MP4 without PyAV, saying how to get it.
    """
    if kind not in ("gif", "mp4"):
        raise ValueError(f"there is no film {kind!r}; there are gif and mp4")
    frames = _Frames(document, generator, handles)
    return gif(frames, provenance) if kind == "gif" else _mp4(frames, provenance, _video_library())


class _Frames:
    """The pictures of an edit, each made when it is asked for."""

    def __init__(self, document: Document, generator: Generator, handles: bool) -> None:
        self._records: Sequence[Record] = thinned(document.records, MOST_FRAMES)
        self._document, self._drag, self._handles = document, document.drag, handles
        self._generator, self._painter = generator, Painter(generator)

    def __len__(self) -> int:
        return len(self._records) or 1

    @property
    def milliseconds(self) -> int:
        """Of each frame but the last; GIF counts in hundredths of a second."""
        return 10 * round(min(max(LENGTH / len(self), SHORTEST), LONGEST) / 10)

    def __iter__(self) -> Iterator[Image.Image]:
        drag, blend = self._drag, blend_of(self._drag.config)
        for record in self._records[:-1]:
            layers = record.kept.layers(self._generator, record.ws, blend)
            yield self._picture(layers, record.handles, record.targets)
        # The last one is what is shown, whatever was done since the last step.
        yield self._picture(drag.layers, drag.handles, drag.targets)

    def _picture(self, layers: Layers, handles: Any, targets: Any) -> Image.Image:
        picture = finished(self._document, self._painter.whole(layers))
        if self._handles:
            points = [{"handle": one, "target": other} for one, other in zip(handles, targets, strict=True)]
            picture = draw_points(picture, points, max(picture.width, NARROWEST_DRAWN))
        if picture.mode == "RGBA":
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture)
        return picture.convert("RGB")


class Frames(Protocol):
    """The pictures of a film, all of one size and RGB, each made when it is asked for."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Image.Image]: ...

    @property
    def milliseconds(self) -> int:
        """Of each frame but the last."""


def gif(frames: Frames, provenance: Mapping[str, Any] | None = None) -> Work[bytes]:
    """A job that makes a GIF, of one palette, no wider than 512 px. :param provenance: see ``film``."""
    # One palette for all and no dithering: what does not move does not flicker either.
    pictures = []
    for number, picture in enumerate(frames, start=1):
        pictures.append(_at_most(picture, WIDEST_GIF))
        yield Progress(0.7 * number / len(frames), "making pictures")
    palette = _palette(pictures)
    for number, picture in enumerate(pictures):
        pictures[number] = picture.quantize(palette=palette, dither=Image.Dither.NONE)
        yield Progress(0.7 + 0.2 * (number + 1) / len(frames), "choosing colours")
    durations = [frames.milliseconds] * (len(frames) - 1) + [HOLD]
    said = {} if provenance is None else {"comment": f"{sentence(provenance, 'film')}\n{remark(provenance)}"}

    def write(tell: Callable[[float], None]) -> bytes:
        def rest() -> Iterator[Image.Image]:
            for number, picture in enumerate(pictures[1:], start=1):
                tell(number / len(frames))
                yield picture

        file = io.BytesIO()
        pictures[0].save(file, "GIF", save_all=True, append_images=rest(), duration=durations, loop=0, **said)
        return file.getvalue()

    # Pillow writes a GIF in one go, which takes too long for a slice.
    content = yield from in_thread(write, "writing", (0.9, 1.0))
    yield Progress(1.0)
    return content if provenance is None else gif_with_xmp(content)


def _at_most(picture: Image.Image, width: int) -> Image.Image:
    if picture.width <= width:
        return picture
    height = max(1, round(picture.height * width / picture.width))
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _palette(pictures: Sequence[Image.Image]) -> Image.Image:
    """The colours of some pictures and of handles, 256 at most, rare ones as well as those of wide areas."""
    width, height = (min(side, PALETTE_SIDE) for side in pictures[0].size)
    some = pictures[:: -(-len(pictures) // PALETTE_FROM)]
    sheet = Image.new("RGB", (width, height * len(some)))
    for number, picture in enumerate(some):
        sheet.paste(picture.resize((width, height), Image.Resampling.NEAREST), (0, height * number))
    drawn = [channel for colour in (HANDLE, "white", "black") for channel in ImageColor.getrgb(colour)[:3]]
    found = sheet.quantize(256 - len(drawn) // 3, method=Image.Quantize.MAXCOVERAGE, kmeans=1)
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(found.getpalette() or []), *drawn])
    return palette


def _mp4(frames: _Frames, provenance: Mapping[str, Any] | None, av: ModuleType) -> Work[bytes]:
    file, done, hold = io.BytesIO(), 0, -(-HOLD // frames.milliseconds)
    with av.open(file, "w", format="mp4") as container:
        if provenance is not None:
            tags = {"encoding_tool": tool(), "description": sentence(provenance, "film"), "comment": remark(provenance)}
            container.metadata.update(tags)
        stream = container.add_stream("libx264", rate=Fraction(1000, frames.milliseconds))
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "18", "preset": "fast"}
        stream.codec_context.colorspace, stream.codec_context.color_range = SMPTE_170M, LIMITED
        for number, each in enumerate(frames, start=1):
            picture = _even(each)
            if number == 1:
                stream.width, stream.height = picture.size
            # Players differ in how long they show a last frame, so it is repeated.
            again = 1 if number < len(frames) else hold
            for _ in range(again):
                container.mux(stream.encode(av.VideoFrame.from_image(picture)))
                done += 1
                yield Progress(0.95 * done / (len(frames) - 1 + hold), "making pictures")
        container.mux(stream.encode(None))
    yield Progress(1.0)
    return file.getvalue() if provenance is None else mp4_with_xmp(file.getvalue())


def _even(picture: Image.Image) -> Image.Image:
    """With its last column and row doubled where their number is odd: colours are stored for 2 by 2 pixels."""
    width, height = picture.size
    if width % 2 == 0 and height % 2 == 0:
        return picture
    whole = Image.new("RGB", (width + width % 2, height + height % 2))
    for x, y in ((1, 1), (1, 0), (0, 1), (0, 0)):
        whole.paste(picture, (x * (width % 2), y * (height % 2)))
    return whole


def _video_library() -> ModuleType:
    try:
        import av
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('an MP4 needs PyAV: pip install "draggan_widget[video]"') from error
    return av
