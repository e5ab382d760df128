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


def saved_stable_diffusion(folder):
    """Write a small one as diffusers' own pipeline saves it; return its parts."""
    from diffusers import StableDiffusionPipeline

    parts = stable_diffusion_parts(folder.parent)
    StableDiffusionPipeline(
        **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    ).save_pretrained(folder)
    return parts


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


RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
OUTER = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def original_layout(parts) -> dict[str, torch.Tensor]:
    """The weights of ``stable_diffusion_parts`` by the names that the makers of Stable Diffusion gave them."""
    found = {}
    for name, weight in parts["unet"].state_dict().items():
        found[f"model.diffusion_model.{_unet_name(name)}"] = weight
    levels = len(parts["vae"].config.block_out_channels)
    for name, weight in parts["vae"].state_dict().items():
        theirs = _vae_name(name, levels)
        attends = ".attn_1." in theirs and weight.ndim == 2
        found[f"first_stage_model.{theirs}"] = weight[:, :, None, None] if attends else weight
    for name, weight in parts["text_encoder"].state_dict().items():
        inner = name.removeprefix("text_model.")
        found[f"cond_stage_model.transformer.text_model.{inner}"] = weight
    return {name: weight.contiguous() for name, weight in found.items()}


def _unet_name(name: str) -> str:
    outer, _, last = name.rpartition(".")
    if outer in OUTER:
        return f"{OUTER[outer]}.{last}"
    place, *rest = name.split(".")
    if place == "mid_block":
        kind, number, *inner = rest
        return f"middle_block.{2 * int(number) if kind == 'resnets' else 1}.{_inner(kind, inner)}"
    block, kind, number, *inner = rest
    down = place == "down_blocks"
    if kind == "downsamplers":
        return f"input_blocks.{2 + 2 * int(block)}.0.op.{inner[-1]}"
    if kind == "upsamplers":  # behind the attention, where there is some: the first block of the way up has none
        return f"output_blocks.{1 + 2 * int(block)}.{1 if block == '0' else 2}.conv.{inner[-1]}"
    at = (1 if down else 0) + 2 * int(block) + int(number)
    return f"{'in' if down else 'out'}put_blocks.{at}.{0 if kind == 'resnets' else 1}.{_inner(kind, inner)}"


def _inner(kind: str, inner: list[str]) -> str:
    if kind != "resnets":
        return ".".join(inner)
    return ".".join([RESNET[inner[0]], *inner[1:]])


def _vae_name(name: str, levels: int) -> str:
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    side, _, rest = name.partition(".")
    if rest.startswith("mid_block.attentions.0."):
        inner = rest.removeprefix("mid_block.attentions.0.")
        layer, _, last = inner.rpartition(".")
        return f"{side}.mid.attn_1.{VAE_ATTENTION[layer]}.{last}"
    if rest.startswith("mid_block.resnets."):
        number, _, inner = rest.removeprefix("mid_block.resnets.").partition(".")
        return f"{side}.mid.block_{int(number) + 1}.{inner}"
    if rest.startswith(("down_blocks.", "up_blocks.")):
        way, block, kind, number, *inner = rest.split(".")
        way, at = way.removesuffix("_blocks"), int(block) if way.startswith("down") else levels - 1 - int(block)
        last = f"block.{number}" if kind == "resnets" else f"{way}sample"
        return ".".join([side, way, str(at), last, *inner])
    return name
