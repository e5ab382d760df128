"""What a file says of where it comes from: that it was made by a machine, to people and to programs.

People find a sentence, and how it was made as JSON, where the format has room for remarks: text chunks of a PNG, the
comment of a GIF, tags of an MP4. Programs find XMP with the IPTC's Digital Source Type, where the XMP Specification,
part 3, puts it in each of these formats.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from xml.sax.saxutils import escape

from draggan_widget.editing.document import Document
from draggan_widget.editing.model import Model
from draggan_widget.engines import engine_of

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
GIF_BLOCK = b"\x21\xff\x0bXMP DataXMP"
"""How the block of a GIF begins that holds XMP."""
GIF_TRAILER = bytes([1, *range(255, -1, -1), 0])
"""What follows the XMP in it: readers that take its text for blocks with their lengths come to the end here."""
MP4_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""The UUID of the box of an MP4 that holds XMP."""


def provenance_of(document: Document, model: Model) -> dict[str, Any]:
    """Return where the picture of a moment comes from: generator, seed, truncation, class, engine and steps."""
    known = {
        "generator": (model.untuned or model).name,  # the name of a photograph is nobody's business
        "seed": document.seed,
        "truncation": None if document.seed is None else document.truncation,
        "label": document.label,
        "engine": engine_of(document.config).name,
        "steps": document.drag.step,
    }
    return {name: value for name, value in known.items() if value is not None}


def tool() -> str:
    """This program and its version."""
    return f"draggan_widget {version('draggan_widget')}"


def sentence(provenance: Mapping[str, Any], what: str = "picture") -> str:
    """Return a sentence for people that says that ``what`` was made by a machine."""
    made = "edited by dragging points" if provenance.get("steps") else "made from a random seed"
    generator = provenance.get("generator")
    return f"AI-generated {what}{'' if generator is None else f' of the generator {generator}'}, {made}"


def remark(provenance: Mapping[str, Any]) -> str:
    """Return ``provenance`` as JSON."""
    return json.dumps(dict(provenance))


def xmp() -> str:
    """For programs."""
    return XMP.format(source_type=escape(SOURCE_TYPE), tool=escape(tool()))


def gif_with_xmp(data: bytes) -> bytes:
    """Return a GIF with ``xmp`` as its last block."""
    return data[:-1] + GIF_BLOCK + xmp().encode() + GIF_TRAILER + data[-1:]


def mp4_with_xmp(data: bytes) -> bytes:
    """Return an MP4 with ``xmp`` as its last box."""
    content = xmp().encode()
    return data + struct.pack(">I4s", 8 + len(MP4_BOX) + len(content), b"uuid") + MP4_BOX + content
