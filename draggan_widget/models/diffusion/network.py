"""A diffusion model as a ``Generator``: its latent is a noisy picture on its way to a clean one.

A latent is (1, 2·C, h, w), two noisy pictures at the level that ``Sampling`` says. The first C channels are the one
that is pulled. The others are its *source*, as it was before anything was pulled: while the first is denoised, its
self-attention looks at the source (MasaCtrl), so that what is not pulled stays as it was. So a latent is all that its
picture is made of, wherever it is taken: to undo, to files, to another edit.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from draggan_widget.models.base import Generator
from draggan_widget.models.diffusion.looking import sharing, stages, tapped, watched
from draggan_widget.models.diffusion.sampling import Sampling
from draggan_widget.models.diffusion.schedule import Schedule
from draggan_widget.models.diffusion.space import NoisySpace
from draggan_widget.models.diffusion.text import Text
from draggan_widget.models.guard import guarded


class Diffusion(Generator):
    """A UNet of diffusers with what belongs to it. See the module's docstring for its latents.

    :param unet: ``UNet2DConditionModel`` with ``text``, ``UNet2DModel`` without. :param scheduler: a
        ``DDIMScheduler``, for its numbers. :param vae: ``AutoencoderKL``; None for one that works on pixels.
    :param text: what reads prompts; None for a model without. :param sampling: how pictures are sampled.
    :raises ValueError: for a UNet, scheduler or prompt that cannot be worked with.
    """

    has_previews = True
    made_for = "dragdiffusion"
    """The engine that pulls on it where nobody chose."""
    z_dim: int
    """Numbers of the noise that a picture begins with."""

    def __init__(
        self,
        unet: nn.Module,
        scheduler: Any,
        *,
        vae: nn.Module | None = None,
        text: Text | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__()
        config: Any = unet.config
        shrink = 1 if vae is None else 2 ** (len(vae.config.block_out_channels) - 1)  # type: ignore[union-attr, arg-type]
        scale = 1.0 if vae is None else float(vae.config.scaling_factor)  # type: ignore[union-attr, arg-type]
        # First of all weights, in float32 whatever the UNet computes in: latents are of its type.
        self.scale = nn.Parameter(torch.tensor(scale))
        self.unet, self.vae, self.text = unet, vae, text
        self.scheduler = scheduler
        self.side = _pair(config.sample_size)
        """(h, w) of a latent."""
        self.depth = int(config.in_channels)
        """C, the channels of one noisy picture."""
        if config.out_channels != self.depth:
            raise ValueError(
                f"its UNet takes {self.depth} channels and gives {config.out_channels}, as models for inpainting or "
                "upscaling do; give one that makes pictures of noise"
            )
        self.resolution = (self.side[0] * shrink, self.side[1] * shrink)
        self.channels = self.depth if vae is None else int(vae.config.out_channels)  # type: ignore[union-attr, arg-type]
        self.z_dim, self.label_dim = self.depth * self.side[0] * self.side[1], 0
        self.blocks = tuple(range(1, len(stages(unet)) + 1))
        self._take(sampling or Sampling())
        self.freeze()

    # --- how it samples ----------------------------------------------------------------------------------------------

    @property
    def space(self) -> NoisySpace:  # type: ignore[override]
        """Its latents: how they are drawn, checked, stored."""
        return NoisySpace(self)

    @property
    def sampling(self) -> Sampling:
        """The prompt, and the way from noise to picture."""
        return self._sampling

    @property
    def level(self) -> int:
        """At which level of its way a latent lies."""
        return self._sampling.level

    @property
    def schedule(self) -> Schedule:
        """The levels of the way."""
        return self._schedule

    def sampled(self, **changes: Any) -> Diffusion:
        """Return another model of the same weights that samples otherwise, with another prompt say.

        :param changes: of fields of ``Sampling``. :raises ValueError: for what cannot be, such as an unknown word.
        """
        return self.sharing_weights()._take(dataclasses.replace(self._sampling, **changes))

    @property
    def weights_key(self) -> tuple[int, ...]:
        """See ``Generator``: one of another prompt counts as the same, one that has learnt another picture does not."""
        learnt = next((each.data_ptr() for name, each in self.unet.named_parameters() if "lora_" in name), 0)
        return self.scale.data_ptr(), learnt

    def is_of(self, other: Diffusion) -> bool:
        """Return whether both are of the same weights, but perhaps for what they have learnt of a picture."""
        return self.scale.data_ptr() == other.scale.data_ptr()

    def sharing_weights(self) -> Diffusion:
        """Return a copy in modules of its own, whose weights lie in the same memory."""
        tokenizer = getattr(self.text, "tokenizer", None)
        known: dict[int, Any] = {id(each): each for each in (self.scheduler, tokenizer)}
        # Never the very object: casting or moving the one model must not change the other.
        known |= {id(each): nn.Parameter(each.detach(), requires_grad=False) for each in self.parameters()}
        known |= {id(each): each.detach() for each in self.buffers()}
        return copy.deepcopy(self, known)

    @guarded
    def _take(self, sampling: Sampling) -> Diffusion:
        if self.text is None and sampling.prompt:
            raise ValueError("this model reads no prompts; leave the prompt empty")
        self._schedule = Schedule.of(self.scheduler, sampling.steps)
        with torch.no_grad():
            self._prompt = None if self.text is None else self.text(sampling.prompt).detach()
            guided = self.text is not None and sampling.guidance != 1
            self._nothing = self.text("").detach() if guided and self.text is not None else None
        self._sampling = sampling
        return self

    # --- latents -----------------------------------------------------------------------------------------------------

    def moving(self, latent: Tensor) -> Tensor:
        """Return the noisy pictures (N, C, h, w) that are pulled, of latents (N, 2·C, h, w)."""
        return latent[:, : self.depth]

    def source(self, latent: Tensor) -> Tensor:
        """Return the noisy pictures (N, C, h, w) that those look at, of latents (N, 2·C, h, w)."""
        return latent[:, self.depth :]

    def paired(self, moving: Tensor, source: Tensor | None = None) -> Tensor:
        """Return latents (N, 2·C, h, w). :param source: None: the same, of which nothing has been pulled."""
        return torch.cat([moving, moving if source is None else source], dim=1)

    def map_latent(self, z: Tensor, labels: Tensor | None, truncation: float) -> Tensor:  # noqa: ARG002
        """Return noise brought down to the level of a latent, (N, 2·C, h, w). See ``Generator``.

        ``truncation`` is not used: noise of less variance makes pictures without detail, not more usual ones.
        """
        latent = z.view(-1, self.depth, *self.side)
        for level in range(self.schedule.steps, self.level, -1):
            latent = self.down(latent, level)
        return self.paired(latent)

    def _check(self, ws: Tensor, blocks: tuple[int, ...]) -> None:
        if unknown := [block for block in blocks if block not in self.blocks]:
            known = f"{self.blocks[0]} to {self.blocks[-1]}"
            raise ValueError(f"no block {unknown[0]} of this UNet; it has {known}, the first of which is its middle")
        if ws.ndim != 4 or tuple(ws.shape[1:]) != self.space.shape[1:]:
            raise ValueError(f"a latent has shape {tuple(ws.shape)}; this model takes {(None, *self.space.shape[1:])}")

    # --- one step ----------------------------------------------------------------------------------------------------

    def said(self, noisy: Tensor, level: int) -> Tensor:
        """Return what the network says of noisy pictures (N, C, h, w) at a level 1 … n, led by the prompt.

        Differentiable. Of what it says, ``schedule`` makes the picture, the noise, or the next step.
        """
        return self._guided(noisy, level, self._pass(noisy, level, self._prompt))

    def _guided(self, noisy: Tensor, level: int, said: Tensor) -> Tensor:
        """Return what is said with the prompt, away from what is said without it where guidance is on."""
        if self._nothing is None:
            return said
        without = self._pass(noisy, level, self._nothing)
        return without + self.sampling.guidance * (said - without)

    def down(self, noisy: Tensor, level: int) -> Tensor:
        """Return noisy pictures (N, C, h, w) one level nearer to the picture."""
        return self.schedule.move(noisy, self.said(noisy, level), level, level - 1)

    @property
    def prompt_vectors(self) -> Tensor | None:
        """The vectors (1, T, D) of the prompt; None of a model that reads none."""
        return self._prompt

    def _pass(self, noisy: Tensor, level: int, prompt: Tensor | None) -> Tensor:
        return self.asked(noisy, self.schedule.times[level - 1], prompt)

    def asked(self, noisy: Tensor, time: int | Tensor, prompt: Tensor | None) -> Tensor:
        """Return what the network says of noisy pictures (N, C, h, w) at a time step of its training.

        :param time: of all of them, or one for each (N,). :param prompt: vectors (1, T, D); None of a model that reads
            none.
        """
        unet: Any = self.unet
        asked = noisy.to(unet.dtype)
        if prompt is None:
            output: Tensor = unet(asked, time, return_dict=False)[0]
        else:
            words = prompt.to(asked).expand(len(asked), -1, -1)
            output = unet(asked, time, encoder_hidden_states=words, return_dict=False)[0]
        return output.to(noisy)

    # --- features ----------------------------------------------------------------------------------------------------

    def feature_maps(self, ws: Tensor, blocks: Sequence[int]) -> list[Tensor]:
        """See ``Generator``: of the noisy picture that is pulled, from the middle of the UNet upwards."""
        noisy = self.moving(ws)
        with tapped(self.unet, blocks, whole=False) as seen:
            self._pass(noisy, self.level, self._prompt)
        return [seen[block].to(noisy) for block in blocks]

    def features_and_step(self, noisy: Tensor, blocks: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """Return maps (N, C, h, w) of noisy pictures at the level of a latent, and these one level on, of one pass."""
        maps, said = self.features_and_said(noisy, blocks, self.level)
        return maps, self.schedule.move(noisy, said, self.level, self.level - 1)

    def features_and_said(self, noisy: Tensor, blocks: Sequence[int], level: int) -> tuple[list[Tensor], Tensor]:
        """Return maps (N, C, h, w) of noisy pictures at a level, and what the network says of them: see ``said``.

        Maps are those of the pass that is led by the prompt, whatever guidance there is.
        """
        with tapped(self.unet, blocks, whole=True) as seen:
            said = self._pass(noisy, level, self._prompt)
        return [seen[block].to(noisy) for block in blocks], self._guided(noisy, level, said)

    def map_size(self, block: int) -> tuple[int, int]:
        """(h, w) of the feature map after a block."""
        if block not in self._sizes:
            with torch.no_grad():
                (feature_map,) = self.feature_maps(self.scale.new_zeros(self.space.shape), [block])
            self._sizes[block] = (feature_map.shape[2], feature_map.shape[3])
        return self._sizes[block]

    def default_block(self) -> int:
        """The block before the last; of a model of pixels the finest after its middle whose map has at most a quarter
        of the picture's side, or the coarsest of these.

        Of Stable Diffusion that is the third on its way up, as in DragDiffusion. Finer ones of a model of pixels know
        edges and not what they are of: pulled by these, ``faces-diffusion`` smears.
        """
        if self.vae is not None:
            return self.blocks[-2]
        after = self.blocks[1:] or self.blocks
        small = [block for block in after if 4 * self.map_size(block)[0] <= self.resolution[0]]
        return small[-1] if small else after[0]

    @guarded
    @torch.no_grad()
    def word_maps(self, latent: Tensor, word: str) -> Tensor:
        """Return how much each place of a picture has to do with a word of the prompt: (1, 1, H, W) in 0 … 1.

        It is the attention that places give the word, as a part of what they give to all words, over all layers; see
        Hertz et al., *Prompt-to-Prompt*, ICLR 2023. :raises ValueError: for a word that the prompt does not have.
        """
        if self.text is None:
            raise ValueError("this model reads no prompts, so it has no words to point at; paint the mask by hand")
        places = self.text.places(self.sampling.prompt, word)
        with watched(self.unet) as seen:
            self._pass(self.moving(latent), self.level, self._prompt)
        total = torch.zeros(1, 1, *self.resolution, dtype=latent.dtype, device=latent.device)
        for attention in seen:
            share = (self.side[0] * self.side[1] / attention.shape[1]) ** 0.5
            size = [round(side / share) for side in self.side]
            found = attention[:, :, places].sum(dim=2).view(1, 1, *size).to(latent)
            total += F.interpolate(found, self.resolution, mode="bilinear", align_corners=False)
        least, most = total.aminmax()
        return (total - least) / (most - least).clamp(min=torch.finfo(total.dtype).tiny)

    # --- picture -----------------------------------------------------------------------------------------------------

    def denoising(self, latent: Tensor) -> Iterator[Tensor]:
        """Yield the noisy pictures (N, C, h, w) level by level, the last of which is level 0."""
        noisy, source = self.moving(latent), self.source(latent)
        alone = torch.equal(noisy, source)  # then it would look at itself
        for level in range(self.level, 0, -1):
            if alone:
                noisy = self.down(noisy, level)
            else:
                with sharing(self.unet):
                    source, noisy = self.down(torch.cat([source, noisy]), level).chunk(2)
            yield noisy

    @guarded
    def synthesize(self, ws: Tensor) -> Tensor:
        """``ws`` (N, 2·C, h, w) → pictures (N, channels, H, W), nominally in [-1, 1], not clamped.

        That takes a pass for each level, with pulled latents of twice the pictures.
        """
        self._check(ws, ())
        (clean,) = collections.deque(self.denoising(ws), maxlen=1)
        return self.decode(clean)

    def preview(self, ws: Tensor, block: int) -> Tensor:  # noqa: ARG002 - of any block it is the same
        """Return what the network makes of a latent at one glance: pictures (N, channels, H, W), of no fine detail."""
        noisy = self.moving(ws)
        guessed, _ = self.schedule.split(noisy, self.said(noisy, self.level), self.level)
        return self.decode(guessed)

    def decode(self, clean: Tensor) -> Tensor:
        """Return the pictures (N, channels, H, W) of level 0 (N, C, h, w)."""
        vae: Any = self.vae
        if vae is None:
            return clean
        made: Tensor = vae.decode((clean / self.scale).to(vae.dtype), return_dict=False)[0]
        return made.to(clean)

    def encode(self, pictures: Tensor) -> Tensor:
        """Return level 0 (N, C, h, w) of pictures (N, channels, H, W) in [-1, 1]."""
        vae: Any = self.vae
        pictures = pictures.to(self.scale)
        if vae is None:
            return pictures
        found: Tensor = vae.encode(pictures.to(vae.dtype), return_dict=False)[0].mode()
        return found.to(self.scale) * self.scale


def _pair(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if isinstance(size, (list, tuple)) and len(size) == 2 and all(isinstance(each, int) for each in size):
        return int(size[0]), int(size[1])
    raise ValueError(f"its UNet says nothing of the size of its pictures (sample_size is {size!r}); write it there")
