"""An edit as files for elsewhere: pictures that say where they come from, latents, films, and code."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import draggan_widget
from draggan_widget.editing.dragfile import save_drag
from draggan_widget.editing.film import film
from draggan_widget.editing.model import Model
from draggan_widget.editing.moment import Moment
from draggan_widget.editing.program import code

__all__ = ["FILES", "KINDS", "Kind", "code", "drag", "film", "latent", "png", "provenance_of"]

Kind = Literal["png", "gif", "mp4", "drag", "latent", "code"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FILES: dict[Kind, tuple[str, str]] = {
    "png": (".png", "image/png"),
    "gif": (".gif", "image/gif"),
    "mp4": (".mp4", "video/mp4"),
    "drag": (".drag", "application/octet-stream"),
    "latent": (".npz", "application/octet-stream"),
    "code": (".py", "text/x-python"),
}
"""Kind → the ending of its files, and their media type."""
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""What the IPTC calls media made by a trained model (NewsCodes, Digital Source Type)."""
XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/">
   <Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
   <xmp:CreatorTool>{tool}</xmp:CreatorTool>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def provenance_of(moment: Moment, model: Model) -> dict[str, Any]:
    """Where the picture of a moment comes from, for ``png``: generator, seed, truncation, class and steps."""
    known = {
        "generator": model.name,
        "seed": moment.seed,
        "truncation": None if moment.seed is None else moment.truncation,
        "label": moment.label,
        "steps": moment.drag.step,
    }
    return {name: value for name, value in known.items() if value is not None}


def png(image: Image.Image, *, provenance: Mapping[str, Any] | None) -> bytes:
    """A picture as PNG, which says that it was made by a machine, and how.

    It says so to people in the text chunks ``Software``, ``Description`` and ``Comment``, the last being
    ``provenance`` as JSON, and to programs in XMP, by the IPTC's Digital Source Type.

    :param provenance: what ``provenance_of`` gives, or any names with values that JSON can hold; None: nothing is
        said.
    """
    file, info = io.BytesIO(), PngInfo()
    if provenance is not None:
        tool = f"draggan_widget {draggan_widget.__version__}"
        info.add_text("Software", tool)
        info.add_text("Description", _described(provenance))
        info.add_text("Comment", json.dumps(dict(provenance)))
        info.add_itxt("XML:com.adobe.xmp", XMP.format(source_type=escape(SOURCE_TYPE), tool=escape(tool)))
    image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


def latent(moment: Moment) -> bytes:
    """The latent of a moment as ``.npz``, which ``numpy.load`` reads without pickle.

    It holds ``ws`` and ``w0`` (1, num_ws, w_dim), the latents now and at the beginning, ``handles`` and ``targets``
    (N, 2) in picture pixels (x, y), ``truncation``, and ``seed`` and ``label``, which are -1 where there is none.
    """
    file, drag = io.BytesIO(), moment.drag
    np.savez_compressed(
        file,
        ws=drag.ws.cpu().numpy(),
        w0=drag.w0.detach().cpu().numpy(),
        handles=drag.handles,
        targets=drag.targets,
        seed=np.int64(-1 if moment.seed is None else moment.seed),
        truncation=np.float64(moment.truncation),
        label=np.int64(-1 if moment.label is None else moment.label),
    )
    return file.getvalue()


def drag(moment: Moment, model: Model) -> bytes:
    """What ``save_drag`` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edit.drag"
        save_drag(path, moment, model.generator, model.source)
        return path.read_bytes()


def _described(provenance: Mapping[str, Any]) -> str:
    made = "edited by dragging points" if provenance.get("steps") else "made from a random seed"
    generator = provenance.get("generator")
    return f"AI-generated picture{'' if generator is None else f' of the generator {generator}'}, {made}"
