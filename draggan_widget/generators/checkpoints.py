"""Generators from files and from names. Nothing in a file is ever executed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from draggan_widget.config import DragConfig
from draggan_widget.generators.stylegan2 import StyleGAN2

if TYPE_CHECKING:
    from draggan_widget.generators.base import Generator

BUILTIN = Path(__file__).parent / "builtin"
HEADER = "draggan_widget"
"""The key of a safetensors header under which our description of the generator stands, as JSON."""
FORMAT = 1
FAMILIES = {"stylegan2": StyleGAN2}


class CheckpointError(ValueError):
    """A file that cannot be taken as a generator; the message names the file, the reason and the remedy."""


def builtin_names() -> list[str]:
    """Names of the generators that come with the package."""
    return sorted(path.stem for path in BUILTIN.glob("*.safetensors"))


def load_generator(source: str | os.PathLike[str], device: str | torch.device | None = None) -> Generator:
    """The generator of a built-in name or of a checkpoint file, in float32, frozen.

    :param source: a name such as ``"faces"`` or the path of a ``.safetensors`` file written by ``save_generator``.
    :param device: where it computes; None picks the best there is (CUDA, then Apple's MPS, then the CPU).
    :raises FileNotFoundError: if there is no such file and no such name.
    :raises CheckpointError: if the file cannot be taken.
    """
    generator = _read(find_checkpoint(source))
    return generator.to(best_device() if device is None else torch.device(device))


def find_checkpoint(source: str | os.PathLike[str]) -> Path:
    """The file of a built-in name or a path. :raises FileNotFoundError: naming the built-in ones."""
    builtin = BUILTIN / f"{os.fspath(source)}.safetensors"
    if os.fspath(source) in builtin_names():
        return builtin
    path = Path(source).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"no generator {os.fspath(source)!r}: it is neither a file nor a built-in name "
            f"(those are: {', '.join(builtin_names())})"
        )
    return path


def save_generator(path: str | os.PathLike[str], generator: StyleGAN2, *, half: bool = False, **notes: str) -> None:
    """Write a generator as safetensors, whole or not at all.

    :param half: store floats as float16, at half the size. :param notes: further text for the header, such as
        ``name`` or ``licence``.
    """
    tensors = {
        name: (tensor.half() if half else tensor).detach().cpu().contiguous()
        for name, tensor in generator.network.state_dict().items()
    }
    header = {
        "format": FORMAT,
        "family": "stylegan2",
        "config": generator.config,
        "drag_config": generator.drag_config.to_dict(),
        **notes,
    }
    write_tensors(path, tensors, {HEADER: json.dumps(header)})


def write_tensors(path: str | os.PathLike[str], tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all. :raises FileNotFoundError: if there is no such folder."""
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"no folder {Path(path).parent} to save {Path(path).name} in")
    partial = Path(f"{os.fspath(path)}.partial")
    try:
        safetensors.torch.save_file(tensors, partial, metadata=header)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def best_device() -> torch.device:
    """CUDA where there is some, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _read(path: Path) -> Generator:
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(HEADER)
            tensors = {} if header is None else {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a generator ({error}); give a .safetensors file written by "
            "draggan_widget, whole and unchanged"
        ) from error
    if header is None:
        raise CheckpointError(
            f"{path} holds tensors but no description of the generator; give a .safetensors file written by "
            "draggan_widget.generators.save_generator"
        )
    return _build(path, header, tensors)


def _build(path: Path, header: str, tensors: dict[str, Tensor]) -> Generator:
    try:
        description: dict[str, Any] = json.loads(header)
        if description["format"] != FORMAT:
            raise CheckpointError(
                f"{path} has format {description['format']!r}, this version reads {FORMAT}; update draggan_widget"
            )
        family = FAMILIES[description["family"]]
        config = DragConfig.from_dict(description.get("drag_config", {}))
        generator = family.from_config(description["config"], config)
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"describes no generator this version knows ({error!r})"
        raise CheckpointError(f"{path} {reason}; convert it again") from error
    try:
        generator.network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{path} does not fit its own description ({reason}); convert it again") from error
    return generator
