"""Generators from files and from names. Nothing in a file is ever executed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from torch import Tensor

from draggan_widget.files import readable, shown, write_whole
from draggan_widget.models import precision
from draggan_widget.models.checkpoints import genforce, nvidia, rosinality, tensorflow
from draggan_widget.models.checkpoints.files import read_file, safetensors_metadata
from draggan_widget.models.checkpoints.holdings import name_networks
from draggan_widget.models.checkpoints.translation import Translation
from draggan_widget.models.checkpoints.values import Unreadable, describe
from draggan_widget.models.fingerprints import fingerprint
from draggan_widget.models.guard import guarded
from draggan_widget.models.stylegan2 import StyleGAN2
from draggan_widget.models.stylegan3 import StyleGAN3
from draggan_widget.settings import SettingError
from draggan_widget.texts import one_line, printable, quoted, read_json, shown_path

if TYPE_CHECKING:
    from draggan_widget.models.base import Generator

BUILTIN = Path(__file__).parents[1] / "builtin"
HEADER = "draggan_widget"
"""The key of a safetensors header under which our description of the generator stands, as JSON."""
TUNED = "draggan_tuned"
"""The key of the header of a file that holds no generator, but what was changed of one."""
FORMAT = 1
FAMILIES: dict[str, type[StyleGAN2] | type[StyleGAN3]] = {"stylegan2": StyleGAN2, "stylegan3": StyleGAN3}
OWN = ("format", "family", "config", "drag_config", "path", "generator", "half")
"""Names that a note cannot have, being arguments of ``save_generator`` or written by it."""
MOST_NOTES = 40
LONGEST_NOTE = 2000
MOST_CELLS = 1 << 28
"""Numbers of the largest feature map: 1 GiB, 64 channels at 2048 × 2048."""
CELLS_PER_WEIGHT = 64
FEW_CELLS = 1 << 24
"""Numbers that a feature map may have however few weights there are."""
TRANSLATORS = (nvidia.recognise, rosinality.recognise, genforce.recognise, tensorflow.recognise)
READS = (
    "StyleGAN2-ADA, StyleGAN3 and StyleGAN-XL .pkl files, TensorFlow StyleGAN2 .pkl files, .pt files of StyleGAN2 as "
    "rosinality, BasicSR, MMagic and GenForce write them, state dicts and whole modules of these, and .safetensors "
    "files written by draggan_widget"
)


class CheckpointError(ValueError):
    """A file that cannot be taken as a generator; the message names the file, the reason and the remedy."""


def builtin_names(*, older: bool = True) -> list[str]:
    """Return the names of the generators that come with the package: of files, and of folders of diffusion models.

    :param older: whether editions that were replaced count, such as ``faces-1``.
    """
    names = [path.parent.name for path in BUILTIN.glob("*/model_index.json")]
    names += [path.stem for path in BUILTIN.glob("*.safetensors")]
    return [name for name in sorted(names) if older or builtin_base(name) == name]


def offered_names() -> list[str]:
    """Return the built-in names that people are offered: no older editions, and diffusion models where they can run."""
    able = importlib.util.find_spec("diffusers") is not None
    return [name for name in builtin_names(older=False) if able or not (BUILTIN / name).is_dir()]


def builtin_base(name: str) -> str:
    """Return a built-in name without the number of an edition: ``faces`` for ``faces-1``."""
    return re.sub(r"-\d+$", "", name)


def builtin_edition(source: str, wanted: object) -> str | None:
    """Return the built-in name of the edition of built-in ``source`` whose weights have the fingerprint ``wanted``.

    Older editions of ``faces`` are there as ``faces-1`` and so on. None where this version has no such edition.
    """
    names = [name for name in builtin_names() if builtin_base(name) == builtin_base(source)]
    return next((name for name in names if fingerprint(load_generator(name, "cpu")) == wanted), None)


@guarded
def load_generator(
    source: str | os.PathLike[str],
    device: str | torch.device | None = None,
    progress: Callable[[float], None] | None = None,
) -> Generator:
    """Return the generator of a built-in name or of a checkpoint file, in float32, frozen.

    On CUDA, convolutions multiply in float16 where a probe finds that exact enough and quicker (``precision.choose``);
    set ``generator.operands = None`` to have float32 throughout.

    :param source: a name such as ``"faces"``, or the path of a file: NVIDIA's StyleGAN2-ADA and StyleGAN3 pickles,
        StyleGAN-XL's, TensorFlow StyleGAN2 pickles, ``.pt`` files of StyleGAN2 as rosinality, BasicSR, MMagic and
        GenForce write them, plain state dicts and whole modules of these in whatever containers, and what
        ``save_generator`` wrote. Formats are told apart by content, and no code in a file is run. Or a folder or
        file that holds a diffusion model, see ``load_diffusion``.
    :param device: where it computes; None picks the best there is (CUDA, then Apple's MPS, then the CPU).
    :param progress: called now and then with how much of the file is read, 0..1.
    :raises FileNotFoundError: if there is no such file and no such name.
    :raises CheckpointError: if the file cannot be taken.
    """
    from draggan_widget.models.diffusion import (  # which need this
        is_diffusion_file,
        is_diffusion_folder,
        load_diffusion,
    )

    known = os.fspath(source) in builtin_names()
    if known and (BUILTIN / os.fspath(source)).is_dir():
        return load_diffusion(BUILTIN / os.fspath(source), device)
    if not known and (is_diffusion_folder(source) or is_diffusion_file(source)):
        return load_diffusion(source, device)
    path = find_checkpoint(source)
    return placed(build(path, read_checkpoint(path, progress)), device)


@guarded
def placed(generator: Generator, device: str | torch.device | None = None) -> Generator:
    """Return the generator, on ``device`` from now on, as ``load_generator`` would have put it there."""
    generator.to(best_device() if device is None else torch.device(device))
    precision.choose(generator)
    return generator


def find_checkpoint(source: str | os.PathLike[str]) -> Path:
    """Return the file of a built-in name or a path.

    :raises FileNotFoundError: naming the built-in ones. :raises CheckpointError: if it may not be looked at, or is the
        name of a diffusion model, which is a folder.
    """
    if os.fspath(source) in builtin_names():
        if (BUILTIN / os.fspath(source)).is_dir():
            raise CheckpointError(
                f"{os.fspath(source)} is a diffusion model, which is no file; take it by load_generator or Editor"
            )
        return BUILTIN / f"{os.fspath(source)}.safetensors"
    try:
        return readable(source, "a checkpoint file")
    except FileNotFoundError as error:
        cause = error.__cause__
        if isinstance(cause, PermissionError):
            raise CheckpointError(_not_permitted(source, cause)) from error
        if "is no regular file" in str(error):
            raise CheckpointError(str(error)) from error
        if not str(error).startswith("no file"):
            raise
        name = os.fspath(source)
        if isinstance(name, str) and re.fullmatch(r"[a-z0-9-]{1,40}", name) and (BUILTIN / f"{name}.md").is_file():
            raise FileNotFoundError(
                f"{name} is a built-in generator whose weights are missing here; install draggan_widget again from a "
                f"whole wheel or checkout, or take another one: {', '.join(offered_names())}"
            ) from error
        known = cause is None or isinstance(cause, FileNotFoundError)
        reason = "" if known else f" ({one_line(getattr(cause, 'strerror', None) or str(cause), 100)})"
        raise FileNotFoundError(
            f"no generator '{shown(source)}': it is neither a file nor a built-in name{reason}; "
            f"those are: {', '.join(builtin_names())}"
        ) from error


@guarded
def read_checkpoint(path: str | os.PathLike[str], progress: Callable[[float], None] | None = None) -> Translation:
    """Return what a checkpoint file holds, in the terms of our generators; nothing is built yet.

    :param progress: called now and then with how much of the file is read, 0..1.
    :raises CheckpointError: if it is no checkpoint that can be taken. :raises FileNotFoundError: if it is not there.
    """
    try:
        metadata = safetensors_metadata(path)
        if metadata is not None and TUNED in metadata:
            raise Unreadable(
                "holds what was changed of a generator, and not that generator: load the one it was made of, and then "
                "TunedCopy.load(path).apply(generator)"
            )
        value = read_file(path, progress=progress)
        if metadata is not None and HEADER in metadata:
            return _described(metadata[HEADER], value)
        for recognise in TRANSLATORS:
            translation = recognise(value)
            if translation is not None:
                return translation
        networks = name_networks(value)
        found = f"no generator of a layout that is read ({networks})" if networks else "no generator"
        raise Unreadable(f"holds {describe(value)}, and {found}; what can be read are {READS}")
    except Unreadable as error:
        raise CheckpointError(f"{shown_path(path)} {one_line(error)}") from error
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise CheckpointError(_not_permitted(path, error)) from error
    except OSError as error:
        raise CheckpointError(f"{shown_path(path)} cannot be read ({one_line(error, 200)}); get it again") from error
    except MemoryError as error:
        raise CheckpointError(
            f"{shown_path(path)} needs more memory than there is; free some, and try again"
        ) from error


@guarded
def build(path: str | os.PathLike[str], translation: Translation) -> Generator:
    """Return the generator of what was read from ``path``, whose tensors it takes away, lest all be there twice.

    :raises CheckpointError: if weights and description disagree, for weights that are no finite floats, and for maps
        far larger than the weights.
    """
    shown = shown_path(path)
    try:
        with torch.device("meta"):  # a description may claim any widths, which cost nothing there
            generator = FAMILIES[translation.family].from_config(translation.config, translation.drag_config())
    except SettingError as error:
        raise CheckpointError(f"{shown} has settings that cannot be dragged with: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        reason = one_line(f"{type(error).__name__}: {error}", 300)
        raise CheckpointError(
            f"{shown} describes no generator this version knows ({reason}); convert it again, or update draggan_widget"
        ) from error
    try:
        # Copies, one at a time, so that nothing else of the file stays in memory with them.
        read, tensors = translation.tensors, {}
        for name in list(read):
            weight = read.pop(name)
            if not weight.is_floating_point():
                kind = str(weight.dtype).removeprefix("torch.")
                raise CheckpointError(f"{shown} has weights of {kind}, not floats ({quoted(name)}); convert it again")
            tensors[name] = weight.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
            if not bool(torch.isfinite(tensors[name]).all()):
                raise CheckpointError(f"{shown} has weights that are not finite ({quoted(name)}); convert it again")
        generator.network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        reason = one_line(" ".join(str(error)[:1000].split()), 300)
        raise CheckpointError(f"{shown} does not fit its own description ({reason}); convert it again") from error
    cells, weights = generator.largest_map(), sum(tensor.numel() for tensor in tensors.values())
    if cells > min(MOST_CELLS, max(FEW_CELLS, CELLS_PER_WEIGHT * weights)):
        raise CheckpointError(
            f"{shown} would need feature maps of {cells:,} numbers for its {weights:,} weights, far more than any model"
        )
    generator.freeze()
    return generator


def save_generator(path: str | os.PathLike[str], generator: Generator, *, half: bool = False, **notes: str) -> None:
    """Write a generator as safetensors, whole or not at all.

    :param half: store floats as float16, at half the size; those beyond its range stay as they are.
    :param notes: further text for the header, such as ``name`` or ``licence``.
    :raises TypeError: for a generator of another kind. :raises FileNotFoundError: if there is no such folder.
    :raises OSError: if it cannot be written, as on a full disk; a file of that name stays as it was.
    """
    if not isinstance(generator, (StyleGAN2, StyleGAN3)):
        raise TypeError(f"a {type(generator).__name__} cannot be saved; only StyleGAN2 and StyleGAN3 can")
    family = next(name for name, kind in FAMILIES.items() if isinstance(generator, kind))
    tensors = {
        name: (_halved(tensor) if half else tensor).detach().cpu().contiguous()
        for name, tensor in generator.network.state_dict().items()
    }
    header = {
        "format": FORMAT,
        "family": family,
        "config": generator.config,
        "drag_config": generator.drag_config.to_dict(),
        **notes,
    }
    # As bytes: safetensors' own way to a file leaves partial files of its own, with other permissions.
    write_whole(path, safetensors.torch.save(tensors, {HEADER: json.dumps(header)}))


def best_device() -> torch.device:
    """CUDA where there is some, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _described(header: str, tensors: dict[str, Tensor]) -> Translation:
    """Return the content of a file that ``save_generator`` wrote."""
    try:
        description = read_json(header)
        version, family, config = description["format"], description["family"], description["config"]
        if version != FORMAT:
            raise Unreadable(f"has format {quoted(version)}, this version reads {FORMAT}; update draggan_widget")
        noted = [(name, text) for name, text in description.items() if name not in OWN][:MOST_NOTES]
        notes = {
            printable(name): printable(text, LONGEST_NOTE) if isinstance(text, str) else quoted(text)
            for name, text in noted
        }
        return Translation(family, config, tensors, notes, description.get("drag_config"))
    except Unreadable:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = one_line(f"{type(error).__name__}: {error}", 300)
        raise Unreadable(f"describes no generator this version knows ({reason}); convert it again") from error


def _halved(tensor: Tensor) -> Tensor:
    half = tensor.half() if tensor.is_floating_point() else tensor
    return half if bool(torch.isfinite(half).all()) else tensor


def _not_permitted(path: str | os.PathLike[str], error: PermissionError) -> str:
    return f"{shown_path(path)} may not be read ({error.strerror}); change its permissions"
