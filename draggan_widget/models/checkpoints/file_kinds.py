"""Files that are no models at all, by how they begin: what a failed download leaves, or a wrong pick."""

from __future__ import annotations

from draggan_widget.texts import quoted

PAGE = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<!--", b"<error")
STARTS = {
    b"\x89PNG\r\n\x1a\n": "is a picture (PNG), not a model",
    b"\xff\xd8\xff": "is a picture (JPEG), not a model",
    b"GIF8": "is a picture (GIF), not a model",
    b"BM": "is a picture (BMP), not a model",
    b"II*\x00": "is a picture (TIFF), not a model",
    b"MM\x00*": "is a picture (TIFF), not a model",
    b"%PDF": "is a PDF document, not a model",
    b"\x1f\x8b": "is compressed with gzip; unpack it first",
    b"BZh": "is compressed with bzip2; unpack it first",
    b"\xfd7zXZ": "is compressed with xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it first",
    b"7z\xbc\xaf\x27\x1c": "is a 7-Zip archive; unpack it first",
    b"Rar!": "is a RAR archive; unpack it first",
    b"\x93NUMPY": "is a single numpy array (.npy), not a model",
    b"\x89HDF": "is an HDF5 file, as Keras writes; models of torch, NVIDIA's pickles and safetensors can be read",
    b"GGUF": "is a GGUF file of a language model; models of torch, NVIDIA's pickles and safetensors can be read",
    b"\x7fELF": "is a program, not a model",
    b"MZ": "is a program, not a model",
}


def name_stranger(head: bytes, size: int) -> str | None:
    """Return what a file of ``size`` bytes is that begins with ``head``, if that is known and no model; else None."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(PAGE):
        return (
            f"is a web page of {size:,} bytes, not a model: the download failed, or asked for something first. Open "
            "the address in a browser and save the file from there"
        )
    if text.startswith(b"version https://git-lfs"):
        return (
            f"is a Git LFS pointer of {size:,} bytes, not the model itself; run `git lfs pull` where it came from, or "
            "download the file by itself"
        )
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "is a picture (WebP), not a model"
    if head[4:8] == b"ftyp":
        return "is a video, not a model"
    if head[257:262] == b"ustar":
        return "is a tar archive; unpack it first"
    if text.startswith((b'{"', b"{\n", b"{ ", b"[{")) and _is_text(head):
        return f"is JSON text of {size:,} bytes, not a model: the download may have failed with this as its answer"
    for start, said in STARTS.items():
        if head.startswith(start):
            return said
    if len(head) >= 16 and _is_text(head) and b" " in head.split(b"\n")[0]:
        return (
            f"is a text of {size:,} bytes, not a model; it begins with {quoted(head[:40].decode('utf-8', 'replace'))}"
        )
    return None


def _is_text(head: bytes) -> bool:
    return not any(byte < 9 or 13 < byte < 32 for byte in head)
