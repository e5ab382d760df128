"""Stable Diffusion 1 and 2 in one file, as its makers write it: ``.safetensors`` or ``.ckpt``.

Such a file holds weights alone. What the networks look like, and the words of the tokenizer, stand in a folder as
diffusers saves it, of which no weights are needed; it is looked for beside the file. Reading is diffusers' own
``from_single_file``, which is given that folder, so that it asks no network.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from draggan_widget.models.checkpoints.load import CheckpointError
from draggan_widget.models.diffusion.checks import SPARE, check_memory, header_of, numbers_of
from draggan_widget.models.diffusion.network import Diffusion
from draggan_widget.models.diffusion.sampling import Sampling
from draggan_widget.models.diffusion.text import ClipText
from draggan_widget.texts import quoted, shown_path

ENDINGS = (".safetensors", ".ckpt")
UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model."
PARTS = (UNET, VAE, TEXT)
"""Beginnings of the names of the weights that are read: of UNet, VAE and text encoder. Others, such as a second set of
averaged ones, are not."""
MARKS = {
    r"conditioner\.embedders\.": "Stable Diffusion XL",
    r"(?:model\.diffusion_model\.)?joint_blocks\.\d": "Stable Diffusion 3",
    r"(?:model\.diffusion_model\.)?double_blocks\.\d": "Flux",
    r"lora_(?:unet|te)\w*": "a LoRA, which is small changes of another model",
    r"control_model\.": "a ControlNet",
    r"model\.diffusion_model\.input_blocks\.0\.": "",
}
"""How files of diffusion models are known: by the first of these that the name of a weight begins with."""
CONFIGS = ("unet/config.json", "vae/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json")
TOKENIZER = "tokenizer"
INDEX = "model_index.json"
MOST_PICKLED = 64 << 20
"""Bytes of the table of contents of a ``.ckpt`` file that are looked at: those of Stable Diffusion take less than one
million."""
PICKLED_NAME = re.compile(rb"[A-Za-z_][\w.]{7,}")
MOST_CHANNELS = 4


def kind_of_file(path: Path) -> str | None:
    """Return what diffusion model a file holds; "" for Stable Diffusion 1 or 2, None for no diffusion model.

    Only its header or table of contents is read.
    """
    return _kind_of(_names(path)) if path.suffix.lower() in ENDINGS else None


def _kind_of(names: list[str]) -> str | None:
    for mark, kind in MARKS.items():
        if any(re.match(mark, name) for name in names):
            return kind
    return None


def configuration_of(file: Path, config: Path | None) -> Path:
    """Return the folder that says what the networks of a file look like.

    :param config: where somebody says that it is; else it is looked for: beside the file, by its name without ending,
        and then the folder that the file lies in. :raises CheckpointError: if it is nowhere, or incomplete.
    """
    places = [config] if config is not None else [file.with_suffix(""), file.parent]
    for place in places:
        if (place / CONFIGS[0]).is_file():
            missing = [name for name in (INDEX, *CONFIGS) if not (place / name).is_file()]
            if not (place / TOKENIZER).is_dir():
                missing.append(TOKENIZER)
            if missing:
                raise CheckpointError(
                    f"{shown_path(place)} says what the networks of {file.name} look like, but lacks "
                    f"{', '.join(missing)}; copy it from the model as diffusers saves it"
                )
            return place
    looked = " and ".join(shown_path(place) for place in places)
    raise CheckpointError(
        f"{shown_path(file)} holds weights alone, and no folder says what its networks look like (looked in {looked}); "
        f"give config=…, or put beside it the folder {file.stem} with {INDEX}, {', '.join(CONFIGS)} and the folder "
        f"{TOKENIZER} of the same kind of model as diffusers saves it, of which no weights are needed"
    )


def read_file(
    file: Path, config: Path | None, device: torch.device, dtype: torch.dtype, sampling: Sampling | None
) -> Diffusion:
    """Return the Stable Diffusion of one file that ``check_contents`` has passed. See ``load_diffusion``."""
    folder = configuration_of(file, config)
    check_memory(file, needed_by(file, dtype), device)
    from diffusers import DDIMScheduler, StableDiffusionPipeline
    from transformers import CLIPTokenizer

    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
    tokenizer = CLIPTokenizer.from_pretrained(folder / TOKENIZER, local_files_only=True)
    pipeline: Any = StableDiffusionPipeline.from_single_file(
        str(file),
        config=str(folder),
        local_files_only=True,
        torch_dtype=dtype,
        scheduler=scheduler,
        tokenizer=tokenizer,
        # A safety checker would put black pictures in the place of others.
        safety_checker=None,
        feature_extractor=None,
        image_encoder=None,
        requires_safety_checker=False,
    )
    parts = {"unet": pipeline.unet, "vae": pipeline.vae, "text encoder": pipeline.text_encoder.to(dtype)}
    for part, network in parts.items():
        absent = [name for name, weight in network.named_parameters() if weight.is_meta]
        if absent:
            raise CheckpointError(
                f"{shown_path(file)} has no {quoted(absent[0])} of the {part} that {shown_path(folder)} describes; "
                "give the folder of its own kind of model as config=…"
            )
    text = ClipText(tokenizer, parts["text encoder"])
    return Diffusion(parts["unet"], scheduler, vae=parts["vae"], text=text, sampling=sampling)


def check_contents(file: Path) -> None:
    """Check that a file holds a Stable Diffusion 1 or 2 whole. :raises CheckpointError: if not, saying what it is."""
    names = _names(file)
    kind = _kind_of(names)
    reads = "what can be read in one file are Stable Diffusion 1 and 2"
    if kind is None:
        raise CheckpointError(f"{shown_path(file)} holds no diffusion model that is known; {reads}")
    if kind:
        raise CheckpointError(f"{shown_path(file)} is {kind}; {reads}")
    for part, called in ((VAE, "VAE"), (TEXT, "text encoder")):
        if not any(name.startswith(part) for name in names):
            raise CheckpointError(
                f"{shown_path(file)} has no {called} (no weight is called {part}…), so it makes no pictures by itself; "
                "give the whole model"
            )
    if file.suffix.lower() == ".safetensors":
        channels = header_of(file).get(f"{UNET}input_blocks.0.0.weight", {}).get("shape", [0, MOST_CHANNELS])[1]
        if channels != MOST_CHANNELS:
            raise CheckpointError(
                f"{shown_path(file)} takes {channels} channels, as models for inpainting or upscaling do; {reads}"
            )


def needed_by(file: Path, dtype: torch.dtype) -> float:
    """Return about how many bytes reading a file takes."""
    if file.suffix.lower() == ".safetensors":
        return numbers_of(file, PARTS) * dtype.itemsize * SPARE
    # How wide its numbers are is not known before it is read; most are of 4 bytes. The file itself is in memory too.
    return file.stat().st_size * (1 + dtype.itemsize / 4)


def _names(path: Path) -> list[str]:
    """Return the names of the weights of a file; of a ``.ckpt`` all texts in its table of contents. None if damaged."""
    try:
        if path.suffix.lower() == ".safetensors":
            return [*header_of(path)]
        with zipfile.ZipFile(path) as archive:
            table = next(each for each in archive.infolist() if each.filename.rpartition("/")[2] == "data.pkl")
            with archive.open(table) as stream:
                return [found.decode() for found in PICKLED_NAME.findall(stream.read(MOST_PICKLED))]
    except (OSError, ValueError, StopIteration, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return []
