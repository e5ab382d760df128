"""Generators from files and from names. Nothing in a file is ever executed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from torch import Tensor

from draggan_widget.generators import precision
from draggan_widget.generators.guard import guarded
from draggan_widget.generators.reading import (
    Unreadable,
    describe,
    nvidia,
    read_file,
    rosinality,
    safetensors_metadata,
    tensorflow,
)
from draggan_widget.generators.reading.translation import Translation
from draggan_widget.generators.stylegan2 import StyleGAN2
from draggan_widget.generators.stylegan3 import StyleGAN3

if TYPE_CHECKING:
    from draggan_widget.generators.base import Generator

BUILTIN = Path(__file__).parent / "builtin"
HEADER = "draggan_widget"
"""The key of a safetensors header under which our description of the generator stands, as JSON."""
FORMAT = 1
FAMILIES: dict[str, type[StyleGAN2] | type[StyleGAN3]] = {"stylegan2": StyleGAN2, "stylegan3": StyleGAN3}
TRANSLATORS = (nvidia.recognise, rosinality.recognise, tensorflow.recognise)
READS = (
    "StyleGAN2-ADA and StyleGAN3 .pkl files, TensorFlow StyleGAN2 .pkl files, rosinality-style .pt files, "
    "state dicts of these, and .safetensors files written by draggan_widget"
)


class CheckpointError(ValueError):
    """A file that cannot be taken as a generator; the message names the file, the reason and the remedy."""


def builtin_names() -> list[str]:
    """Names of the generators that come with the package."""
    return sorted(path.stem for path in BUILTIN.glob("*.safetensors"))


@guarded
def load_generator(
    source: str | os.PathLike[str],
    device: str | torch.device | None = None,
    progress: Callable[[float], None] | None = None,
) -> Generator:
    """The generator of a built-in name or of a checkpoint file, in float32, frozen.

    On CUDA, convolutions multiply in float16 where a probe finds that exact enough and quicker (``precision.choose``);
    set ``generator.operands = None`` to have float32 throughout.

    :param source: a name such as ``"faces"``, or the path of a file: NVIDIA's StyleGAN2-ADA and StyleGAN3 pickles,
        TensorFlow StyleGAN2 pickles, rosinality-style ``.pt`` files, plain state dicts of these, and what
        ``save_generator`` wrote. Formats are told apart by content, and no code in a file is run.
    :param device: where it computes; None picks the best there is (CUDA, then Apple's MPS, then the CPU).
    :param progress: called now and then with how much of the file is read, 0..1.
    :raises FileNotFoundError: if there is no such file and no such name.
    :raises CheckpointError: if the file cannot be taken.
    """
    path = find_checkpoint(source)
    generator = build(path, read_checkpoint(path, progress))
    generator.to(best_device() if device is None else torch.device(device))
    precision.choose(generator)
    return generator


def find_checkpoint(source: str | os.PathLike[str]) -> Path:
    """The file of a built-in name or a path. :raises FileNotFoundError: naming the built-in ones."""
    builtin = BUILTIN / f"{os.fspath(source)}.safetensors"
    if os.fspath(source) in builtin_names():
        return builtin
    path = Path(source).expanduser()
    if path.is_dir():
        raise FileNotFoundError(f"{path} is a folder; give a checkpoint file in it")
    if not path.is_file():
        raise FileNotFoundError(
            f"no generator {os.fspath(source)!r}: it is neither a file nor a built-in name "
            f"(those are: {', '.join(builtin_names())})"
        )
    return path


@guarded
def read_checkpoint(path: str | os.PathLike[str], progress: Callable[[float], None] | None = None) -> Translation:
    """What a checkpoint file holds, in the terms of our generators; nothing is built yet.

    :param progress: called now and then with how much of the file is read, 0..1.
    :raises CheckpointError: if it is no checkpoint that can be taken. :raises FileNotFoundError: if it is not there.
    """
    try:
        metadata = safetensors_metadata(path)
        value = read_file(path, progress=progress)
        if metadata is not None and HEADER in metadata:
            return _described(metadata[HEADER], value)
        for recognise in TRANSLATORS:
            translation = recognise(value)
            if translation is not None:
                return translation
        raise Unreadable(f"holds {describe(value)}, and no generator; what can be read are {READS}")
    except Unreadable as error:
        raise CheckpointError(f"{path} {error}") from error
    except PermissionError as error:
        raise CheckpointError(f"{path} may not be read ({error.strerror}); change its permissions") from error


@guarded
def build(path: str | os.PathLike[str], translation: Translation) -> Generator:
    """The generator of what was read from ``path``, whose tensors it takes away, lest all be there twice.

    :raises CheckpointError: if weights and description disagree.
    """
    try:
        with torch.device("meta"):  # a description may claim any widths, which cost nothing there
            generator = FAMILIES[translation.family].from_config(translation.config, translation.drag_config())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path} describes no generator this version knows ({error!r}); convert it again, or update draggan_widget"
        ) from error
    try:
        # Copies, since what was read may lie in the file itself, which may change or go.
        read, tensors = translation.tensors, {}
        for name in list(read):
            tensors[name] = read.pop(name).to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        generator.network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{path} does not fit its own description ({reason}); convert it again") from error
    generator.freeze()
    return generator


def save_generator(path: str | os.PathLike[str], generator: Generator, *, half: bool = False, **notes: str) -> None:
    """Write a generator as safetensors, whole or not at all.

    :param half: store floats as float16, at half the size. :param notes: further text for the header, such as
        ``name`` or ``licence``.
    :raises TypeError: for a generator of another kind. :raises FileNotFoundError: if there is no such folder.
    """
    if not isinstance(generator, (StyleGAN2, StyleGAN3)):
        raise TypeError(f"a {type(generator).__name__} cannot be saved; only StyleGAN2 and StyleGAN3 can")
    family = next(name for name, kind in FAMILIES.items() if isinstance(generator, kind))
    tensors = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in generator.network.state_dict().items()
    }
    header = {
        "format": FORMAT,
        "family": family,
        "config": generator.config,
        "drag_config": generator.drag_config.to_dict(),
        **notes,
    }
    write_tensors(path, tensors, {HEADER: json.dumps(header)})


def write_tensors(path: str | os.PathLike[str], tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all. :raises FileNotFoundError: if there is no such folder."""
    with written_whole(path) as partial:
        partial.touch()
        mode = partial.stat().st_mode  # as the user wants new files; safetensors hides them from everybody else
        safetensors.torch.save_file(tensors, partial, metadata=header)
        partial.chmod(mode)


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Where to write a file that takes its name only once it is there, whole.

    :raises FileNotFoundError: if there is no such folder.
    """
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"no folder {Path(path).parent} to save {Path(path).name} in")
    partial = Path(f"{os.fspath(path)}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def best_device() -> torch.device:
    """CUDA where there is some, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _described(header: str, tensors: dict[str, Tensor]) -> Translation:
    """The content of a file that ``save_generator`` wrote."""
    try:
        description = json.loads(header)
        version, family, config = description["format"], description["family"], description["config"]
        if version != FORMAT:
            raise Unreadable(f"has format {version!r}, this version reads {FORMAT}; update draggan_widget")
        own = ("format", "family", "config", "drag_config")
        notes = {str(name): str(text) for name, text in description.items() if name not in own}
        return Translation(family, config, tensors, notes, description.get("drag_config"))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise Unreadable(f"describes no generator this version knows ({error!r}); convert it again") from error
