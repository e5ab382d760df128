"""Diffusion models from folders as diffusers writes them, or from one file of Stable Diffusion (``single_file``).

Nothing in them is executed, and nothing is downloaded.

Only the parts that are needed are read: the UNet, the VAE, the text encoder with its tokenizer, and the numbers of the
scheduler. A safety checker, which would put black pictures in the place of others, is not among them.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from draggan_widget.files import telling, write_whole
from draggan_widget.models.checkpoints.load import CheckpointError, best_device
from draggan_widget.models.diffusion import single_file
from draggan_widget.models.diffusion.checks import (
    SPARE,
    check_memory,
    check_packages,
    check_precision,
    numbers_of,
)
from draggan_widget.models.diffusion.network import Diffusion
from draggan_widget.models.diffusion.sampling import Sampling
from draggan_widget.models.diffusion.text import ClipText, Text, Vocabulary
from draggan_widget.models.guard import guarded
from draggan_widget.texts import one_line, quoted, read_json, shown_path

INDEX = "model_index.json"
WORDS, VECTORS = "words.json", "words.safetensors"
"""Of a model with a vocabulary of captions: its words, and their vectors."""
NEEDED = ("diffusers", "transformers")
PIPELINES = (
    *("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "DDIMPipeline", "DDPMPipeline"),
    "DraggableCaptionsPipeline",
)
"""What may be named as the pipeline of a folder."""
KNOWN_STRANGERS = {
    "StableDiffusionXL": "Stable Diffusion XL",
    "StableDiffusion3": "Stable Diffusion 3",
    "Flux": "Flux",
    "PixArt": "PixArt",
    "Kandinsky": "Kandinsky",
    "Inpaint": "a model for inpainting",
    "Upscale": "a model for upscaling",
}
READS = (
    "folders of Stable Diffusion 1 and 2, and of models of pixels (UNet2DModel), as diffusers saves them, and single "
    "files of Stable Diffusion 1 and 2"
)


def is_diffusion_folder(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a folder that seems to hold a diffusion model."""
    try:
        folder = Path(path).expanduser()
        return folder.is_dir() and ((folder / INDEX).is_file() or (folder / "unet").is_dir())
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or a home that nobody has
        return False


def is_diffusion_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a file that holds a diffusion model, perhaps of a kind that cannot be read."""
    try:
        file = Path(path).expanduser()
        return file.is_file() and single_file.kind_of_file(file) is not None
    except (OSError, ValueError, RuntimeError):  # likewise
        return False


@guarded
def load_diffusion(
    source: str | os.PathLike[str],
    device: str | torch.device | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    dtype: torch.dtype = torch.float32,
    sampling: Sampling | None = None,
) -> Diffusion:
    """Return the diffusion model of a folder or file, frozen.

    :param source: a folder, as ``save_pretrained`` of diffusers writes it, its weights as safetensors; or a file of
        Stable Diffusion 1 or 2, ``.safetensors`` or ``.ckpt``, as its makers write it. :param device: where it
        computes; None for the best there is. :param config: of a file, the folder that says what its networks look
        like, as diffusers saves it, with or without weights; None: it is looked for beside the file, see
        ``single_file``. :param dtype: what its networks compute in; latents are float32.
    :param sampling: its prompt, and how it samples.
    :raises ModuleNotFoundError: without diffusers or transformers. :raises FileNotFoundError: if there is no such
        folder. :raises CheckpointError: if it holds no model that can be taken, or there is too little memory for it.
    :raises ValueError: for half precision on a processor, or a sampling that the model cannot have.
    """
    folder = Path(source).expanduser()
    there = best_device() if device is None else torch.device(device)
    check_precision(dtype, there)
    if folder.is_file():
        single_file.check_contents(folder)
        check_packages(*NEEDED)
        with telling(folder, CheckpointError):
            described = None if config is None else Path(config).expanduser()
            made = _finite(single_file.read_file(folder, described, there, dtype, sampling))
        return made.to(there)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder '{shown_path(source)}'; give one that holds a diffusion model, or a file")
    told = _index(folder)
    _check_pipeline(folder, told)
    for part in ("unet", "scheduler"):
        if not (folder / part).is_dir():
            raise CheckpointError(f"{shown_path(folder)} has no folder {part}; what can be read are {READS}")
    _check_memory(folder, there, dtype)
    check_packages(*(NEEDED if (folder / "text_encoder").is_dir() else NEEDED[:1]))
    with telling(folder, CheckpointError):
        model = _finite(_read(folder, told, dtype, sampling))
    return model.to(there)


def _finite(model: Diffusion) -> Diffusion:
    for name, weight in model.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise ValueError(f"it has weights that are not finite ({quoted(name)}); get it again")
    return model


def save_diffusion(folder: str | os.PathLike[str], model: Diffusion) -> None:
    """Write a model into a folder, from which ``load_diffusion`` takes it. :raises OSError: if it cannot be written."""
    there = Path(folder).expanduser()
    unet: Any = model.unet
    unet.save_pretrained(there / "unet")
    model.scheduler.save_pretrained(there / "scheduler")
    index: dict[str, Any] = {"_class_name": "DDIMPipeline", "sampling": dataclasses.asdict(model.sampling)}
    if model.vae is not None:
        vae: Any = model.vae
        vae.save_pretrained(there / "vae")
    if isinstance(model.text, ClipText):
        encoder: Any = model.text.encoder
        encoder.save_pretrained(there / "text_encoder")
        model.text.tokenizer.save_pretrained(there / "tokenizer")
        index["_class_name"] = "StableDiffusionPipeline"
    elif isinstance(model.text, Vocabulary):
        vectors = model.text.vectors.weight.detach().cpu().contiguous()
        write_whole(there / VECTORS, safetensors.torch.save({"vectors": vectors}))
        write_whole(there / WORDS, json.dumps(list(model.text.known)).encode())
        index["_class_name"] = "DraggableCaptionsPipeline"
    write_whole(there / INDEX, json.dumps(index, indent=1).encode())


def _read(folder: Path, told: dict[str, Any], dtype: torch.dtype, sampling: Sampling | None) -> Diffusion:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel, UNet2DModel

    plain: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
    kinds = {"UNet2DConditionModel": UNet2DConditionModel, "UNet2DModel": UNet2DModel}
    kind = read_json((folder / "unet" / "config.json").read_bytes()).get("_class_name")
    if kind not in kinds:
        raise ValueError(f"its UNet is of the kind {quoted(kind)}; what can be worked with are {' and '.join(kinds)}")
    unet = kinds[kind].from_pretrained(folder / "unet", torch_dtype=dtype, **plain)
    vae = None
    if (folder / "vae").is_dir():
        vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=dtype, **plain)
    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
    text = _text(folder, dtype)
    if (text is None) != (kind == "UNet2DModel"):
        raise ValueError("it has a UNet that looks at prompts and no text encoder, or the other way round")
    stored = told.get("sampling")
    if sampling is None and isinstance(stored, dict):
        try:
            sampling = Sampling(**stored)
        except TypeError as error:
            raise ValueError(f"its {INDEX} does not say how it samples in terms that are known") from error
    return Diffusion(unet, scheduler, vae=vae, text=text, sampling=sampling)


def _text(folder: Path, dtype: torch.dtype) -> Text | None:
    if (folder / "text_encoder").is_dir():
        from transformers import CLIPTextModel, CLIPTokenizer

        encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", local_files_only=True, use_safetensors=True)
        return ClipText(CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True), encoder.to(dtype))
    if (folder / WORDS).is_file():
        known = read_json((folder / WORDS).read_bytes())
        vectors = safetensors.torch.load((folder / VECTORS).read_bytes())["vectors"]
        good = isinstance(known, list) and all(isinstance(word, str) for word in known)
        if not good or vectors.ndim != 2 or len(vectors) != len(known) + 1 or not bool(torch.isfinite(vectors).all()):
            raise ValueError("its words and their vectors do not fit together")
        text = Vocabulary(known, vectors.shape[1])
        text.load_state_dict({"vectors.weight": vectors.to(dtype)}, assign=True)
        return text
    return None


def _index(folder: Path) -> dict[str, Any]:
    if not (folder / INDEX).is_file():
        if is_diffusion_folder(folder):
            return {}
        raise CheckpointError(f"{shown_path(folder)} holds no model ({INDEX} is missing); what can be read are {READS}")
    try:
        told = read_json((folder / INDEX).read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{shown_path(folder)} has an {INDEX} that cannot be read; get it again") from error
    if not isinstance(told, dict):
        raise CheckpointError(f"{shown_path(folder)} has an {INDEX} that describes no model; get it again")
    return told


def _check_pipeline(folder: Path, told: dict[str, Any]) -> None:
    kind = told.get("_class_name")
    if kind is None or kind in PIPELINES:
        return
    known = next((text for name, text in KNOWN_STRANGERS.items() if isinstance(kind, str) and name in kind), None)
    said = known or f"a {kind}" if isinstance(kind, str) else "of no kind that is known"
    raise CheckpointError(f"{shown_path(folder)} is {one_line(said, 80)}; what can be read are {READS}")


def _check_memory(folder: Path, device: torch.device, dtype: torch.dtype) -> None:
    """Check that the weights have room. :raises CheckpointError: if not, saying how much there is to read."""
    numbers = sum(numbers_of(file) for part in ("unet", "vae", "text_encoder") for file in _weights(folder / part))
    check_memory(folder, numbers * dtype.itemsize * SPARE, device)


def _weights(part: Path) -> list[Path]:
    """Return the files of one part; of several precisions, that which is read."""
    if not part.is_dir():
        return []
    files = [file for file in sorted(part.glob("*.safetensors")) if ".fp16." not in file.name]
    if not files:
        others = ", ".join(sorted(file.name for file in part.iterdir() if file.suffix in (".bin", ".safetensors"))[:2])
        raise CheckpointError(
            f"{shown_path(part)} has no weights as .safetensors ({others or 'nothing that may be weights'}); save it "
            "again with safe_serialization=True, since .bin files can run code"
        )
    return files
