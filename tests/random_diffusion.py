"""Diffusion models of random weights and tiny widths, built with diffusers' and transformers' own classes."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from draggan_widget.models.diffusion import ClipText, Diffusion, Sampling, Vocabulary

WORDS = ("photo", "of", "red", "face", "smile")
SD_SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}
"""Stable Diffusion's own."""
QUICK = Sampling(prompt="photo of face", steps=6, strength=0.7)
KNOWN = ("old", "young", "smiling", "beard")


def tokenizer(folder: Path):
    """A CLIP tokenizer whose vocabulary knows a few words whole, and letters; its files lie in ``folder``."""
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(number) for number in range(ord("a"), ord("z") + 1)]
    merges, pieces = [], []
    for word in WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            pair = f"{parts[0]} {parts[1]}"
            if pair not in merges:
                merges.append(pair)
                pieces.append(parts[0] + parts[1])
            parts = [parts[0] + parts[1], *parts[2:]]
    known = [*letters, *(f"{letter}</w>" for letter in letters), *dict.fromkeys(pieces)]
    known += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({text: number for number, text in enumerate(known)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)


def stable_diffusion_parts(folder: Path, seed: int = 0):
    """The parts of a Stable Diffusion of 32 px, latents of 4 × 16 × 16, by diffusers' names for them."""
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(seed)
    words = tokenizer(folder / "words")
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(8, 16, 16),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=12,
        attention_head_dim=4,
        norm_num_groups=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=32,
        scaling_factor=2.0,  # so that latents of a random encoder are about as large as noise
    )
    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=12,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=16,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )
    scheduler = DDIMScheduler(**SD_SCHEDULE)
    return {"unet": unet, "vae": vae, "text_encoder": encoder, "tokenizer": words, "scheduler": scheduler}


def small_stable_diffusion(folder: Path, seed: int = 0, sampling: Sampling = QUICK) -> Diffusion:
    """Those parts as a model."""
    parts = stable_diffusion_parts(folder, seed)
    text = ClipText(parts["tokenizer"], parts["text_encoder"])
    return Diffusion(parts["unet"], parts["scheduler"], vae=parts["vae"], text=text, sampling=sampling)


def small_pixels(seed: int = 0, *, words: bool = True, prediction: str = "v_prediction", sampling=None) -> Diffusion:
    """A model of pixels, of 16 px, with a vocabulary of captions or without any text."""
    from diffusers import DDIMScheduler, UNet2DConditionModel, UNet2DModel

    torch.manual_seed(seed)
    common = {
        "sample_size": 16,
        "in_channels": 3,
        "out_channels": 3,
        "layers_per_block": 1,
        "block_out_channels": (8, 16, 16),
        "norm_num_groups": 4,
        "attention_head_dim": 4,
    }
    if words:
        unet = UNet2DConditionModel(
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=12,
            **common,
        )
    else:
        unet = UNet2DModel(
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
            **common,
        )
    scheduler = DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type=prediction,
        clip_sample=False,
        timestep_spacing="trailing",
    )
    text = Vocabulary(KNOWN, 12) if words else None
    prompt = "young smiling" if words else ""
    return Diffusion(unet, scheduler, text=text, sampling=sampling or Sampling(prompt=prompt, steps=6))
