"""Pictures of documents, each of the model that its document has."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from draggan_widget.editing.document import Document
from draggan_widget.editing.model import Model
from draggan_widget.editing.pictures import Glimpse, Painter
from draggan_widget.engines import to_image


class Studio:
    """Has one painter at a time, who learns how long pictures of his model take. It belongs to the worker's thread."""

    def __init__(self) -> None:
        self._painter: Painter | None = None

    def picture(self, document: Document) -> Image.Image:
        """Return the whole picture."""
        return _synthesized(document.model, document.drag.ws)

    def before(self, document: Document) -> Image.Image:
        """Return the picture that the edit began with."""
        return _synthesized(document.model, document.drag.w0)

    def glimpse(self, document: Document, quick: bool) -> Glimpse:
        """Return a picture to be shown, and whether it is the whole one, which only a ``quick`` one may not be."""
        ws, painter = document.drag.ws, self._painter_of(document.model)
        return painter.quick(ws) if quick else Glimpse(painter.whole(ws), True, True)

    def thumbnail(self, ws: Tensor, model: Model) -> Image.Image:
        """Return a small picture of a latent (1, num_ws, w_dim), wherever that lies."""
        painter = self._painter_of(model)
        return painter.thumbnail(ws.to(next(painter.generator.parameters())))

    def _painter_of(self, model: Model) -> Painter:
        if self._painter is None or self._painter.generator is not model.generator:
            self._painter = Painter(model.generator)
        return self._painter


def _synthesized(model: Model, ws: Tensor) -> Image.Image:
    with torch.no_grad():
        return to_image(model.generator.synthesize(ws))
