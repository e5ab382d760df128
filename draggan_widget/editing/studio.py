"""Pictures of documents, each of the model that its document has."""

from __future__ import annotations

from PIL import Image

from draggan_widget.editing.document import Document
from draggan_widget.editing.model import Model
from draggan_widget.editing.pictures import Glimpse, Layers, Painter
from draggan_widget.engines import picture_of
from draggan_widget.models import Layer


class Studio:
    """Has one painter at a time, who learns how long pictures of his model take. It belongs to the worker's thread."""

    def __init__(self) -> None:
        self._painter: Painter | None = None

    def picture(self, document: Document) -> Image.Image:
        """Return the whole picture."""
        return document.drag.image

    def before(self, document: Document) -> Image.Image:
        """Return the picture that the edit began with."""
        return picture_of(document.model.generator, [Layer(document.drag.w0)])

    def glimpse(self, document: Document, quick: bool) -> Glimpse:
        """Return a picture to be shown, and whether it is the whole one, which only a ``quick`` one may not be."""
        layers, painter = document.drag.layers, self._painter_of(document.model)
        return painter.quick(layers) if quick else Glimpse(painter.whole(layers), True, True)

    def thumbnail(self, layers: Layers, model: Model) -> Image.Image:
        """Return a small picture of layers."""
        return self._painter_of(model).thumbnail(layers)

    def _painter_of(self, model: Model) -> Painter:
        if self._painter is None or self._painter.generator is not model.generator:
            self._painter = Painter(model.generator)
        return self._painter
