"""Directions by words beyond the list, as a CLIP network sees them (Radford et al. 2021).

What CLIP says of a text beside a plain one is a direction of its own space, as in StyleCLIP (Patashnik et al. 2021).
Samples of the model are ordered by how far their pictures lie along it, and regression on their latents gives the
direction. So no picture is optimised until CLIP likes it: what is found is a change among the model's own pictures.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.directions.direction import LONGEST, Direction, DirectionError, check_name
from draggan_widget.directions.teaching import learned, whitened
from draggan_widget.files import telling
from draggan_widget.models import guarded
from draggan_widget.settings import check_whole, shown
from draggan_widget.texts import quoted, read_json, shown_path

if TYPE_CHECKING:
    from draggan_widget.models import Generator

SAMPLES, SEED = 256, 12
"""Pictures that are looked at, and the seed of these."""
FEWEST = 16
AT_ONCE = 4
"""Pictures that are looked at in one go."""
TEMPLATES = ("{}", "a photo of {}", "a picture of {}", "an image of {}, close up")
"""What texts are put into; CLIP's view of a text is the mean of these."""
FACE, PICTURE = "a face", "a picture"
"""Plain texts that others are compared with: of models of faces, which is what is taken unless told otherwise, and of
any other."""
LEAST_SCORE = 0.1
"""R² below which CLIP sees nothing in the model's pictures that its latents could change."""
PENALTIES = np.geomspace(30, 0.003, 25)
GET = "give a folder that holds a CLIP model as transformers saves it, such as a copy of openai/clip-vit-base-patch32"
MEAN, SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of colours of the pictures that CLIP was trained on, where a folder does not tell its own."""


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """What sees texts and pictures in one space. :func:`load_clip` makes one; so can you, of any such network."""

    pictures: Callable[[Tensor], Tensor]
    """Pictures (n, 3, H, W) in [-1, 1] of any size → (n, D)."""
    texts: Callable[[Sequence[str]], Tensor]
    """Texts → (n, D)."""


@guarded
def load_clip(path: str | os.PathLike[str]) -> Clip:
    """Return the CLIP network of a folder, as ``CLIPModel.save_pretrained`` and its tokenizer's write it.

    Nothing in it is executed, and nothing is downloaded.

    :raises ModuleNotFoundError: without transformers. :raises FileNotFoundError: if there is no such folder.
    :raises DirectionError: if it holds no CLIP model, or a damaged one.
    """
    try:
        import transformers
    except ImportError as error:
        raise ModuleNotFoundError(
            "words by CLIP need transformers; pip install transformers", name="transformers"
        ) from error
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder '{shown_path(path)}'; {GET}")
    _check_kind(folder)
    with telling(folder, DirectionError, GET):
        loaded: Any = transformers.CLIPModel.from_pretrained(folder, local_files_only=True, output_loading_info=True)
        network, told = loaded
        if missing := sorted(told["missing_keys"]):
            raise ValueError(f"it lacks {len(missing)} weights, such as {quoted(missing[0])}")
        network.eval().requires_grad_(False)
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        for name, weight in network.named_parameters():
            if not bool(torch.isfinite(weight).all()):
                raise ValueError(f"it has weights that are not finite ({quoted(name)})")
        mean, spread = _colours(folder)
    side = int(network.config.vision_config.image_size)
    longest = int(network.config.text_config.max_position_embeddings)

    def pictures(given: Tensor) -> Tensor:
        high, wide = given.shape[2:]
        size = (round(side * high / min(high, wide)), round(side * wide / min(high, wide)))
        small = F.interpolate(given.float().cpu(), size, mode="bicubic", antialias=True, align_corners=False)
        top, left = (size[0] - side) // 2, (size[1] - side) // 2
        middle = small[:, :, top : top + side, left : left + side].clamp(-1, 1) / 2 + 0.5
        return _told(network.get_image_features(pixel_values=(middle - mean) / spread))

    def texts(given: Sequence[str]) -> Tensor:
        for text in given:
            if (count := len(tokenizer(text).input_ids)) > longest:
                raise DirectionError(
                    f"{quoted(text)} has {count - 2} words and parts of words, and this CLIP reads {longest - 2}; "
                    "shorten it"
                )
        numbers = tokenizer(list(given), padding="max_length", max_length=longest, return_tensors="pt")
        return _told(network.get_text_features(input_ids=numbers.input_ids, attention_mask=numbers.attention_mask))

    return Clip(pictures, texts)


class Sight:
    """What CLIP sees in samples of a model, looked at a few at a time: ``while sight.look(): …``.

    Looking takes the time, for 256 pictures half a minute on two cores of a processor; directions are then found at
    once, as many as wanted.

    :param clip: a folder, or a ``Clip``. :param samples: how many pictures, 16 or more.
    :raises ValueError: for too few samples, or a model of no pictures in colour or grey. Raises as ``load_clip`` too.
    """

    def __init__(self, model: Generator, clip: Clip | str | os.PathLike[str], samples: int = SAMPLES) -> None:
        self._count = check_whole("samples", samples, FEWEST)
        self.clip = clip if isinstance(clip, Clip) else load_clip(clip)
        if model.channels not in (1, 3):
            raise ValueError(f"the model's pictures have {model.channels} channels; CLIP sees pictures of 1 or 3")
        self.model = model
        self._latents = model.space.samples(self._count, SEED)[1]
        self._seen: list[Tensor] = []

    @property
    def share(self) -> float:
        """How much of the looking is done, 0 … 1."""
        return min(1.0, sum(map(len, self._seen)) / self._count)

    @guarded
    def look(self) -> bool:
        """Look at a few pictures more; return whether there are any left."""
        done = sum(map(len, self._seen))
        if done < self._count:
            some = self._latents[done : done + AT_ONCE]
            weight = next(self.model.parameters())
            with torch.no_grad():
                drawn = self.model.synthesize(some.to(weight)[:, None].expand(-1, self.model.num_ws, -1))
                self._seen.append(_unit(self.clip.pictures(drawn.expand(-1, 3, -1, -1).cpu())))
        return self.share < 1

    @guarded
    def towards(self, text: str, against: str = FACE) -> Tensor:
        """Return the unit vector (D,) of CLIP's space from one text to another, which needs no looking at pictures.

        :raises DirectionError: for a text that says nothing, one longer than CLIP reads, or two that it sees as the
            same.
        """
        for said in (text, against):
            if not isinstance(said, str) or not said.strip():
                raise DirectionError(f"the text {shown(said)} says nothing; give words, such as 'a face with freckles'")
        with torch.no_grad():
            along = _view(self.clip, text) - _view(self.clip, against)
        if float(along.norm()) < 1e-4:
            raise DirectionError(f"CLIP sees {quoted(text)} and {quoted(against)} as the same; say it otherwise")
        return _unit(along[None])[0]

    @guarded
    def direction(
        self,
        text: str,
        *,
        against: str = FACE,
        name: str | None = None,
        label: str | None = None,
        basis: Mapping[str, Direction] | None = None,
    ) -> Direction:
        """Return the direction in which pictures of the model come to look more like ``text``.

        :param text: such as "a face with a moustache". :param against: the same without what it is about: "a face".
        :param name: None for the text. :param label: for people; None for the name.
        :param basis: known directions, of which it is made; None for one of the latents as they are.
        :returns: a direction whose ``score`` is R² on pictures that were left out in turn.
        :raises DirectionError: if CLIP sees no such difference among the model's pictures; and, before these are looked
            at, as ``towards``.
        """
        along = self.towards(text, against)
        name = check_name(text[:LONGEST] if name is None else name)
        while self.look():
            pass
        seen = torch.cat(self._seen) @ along
        x, directions = self._explained(basis)
        weights, score = regressed(x, seen)
        if score < LEAST_SCORE:
            raise DirectionError(
                f"in pictures of this model CLIP hardly sees {quoted(text)} (R² {max(score, 0):.2f}, "
                f"{LEAST_SCORE} needed); say it otherwise, or teach it by examples: attributes.teach(…)"
            )
        readings, changes = directions
        metric = self.model.space.metric()
        reading, change = weights @ readings, weights @ changes
        spread = (reading @ metric.covariance @ reading).sqrt()
        reading = reading / spread
        change = change / (change @ reading)  # so that one σ of it is read as one
        return learned(self.model, "clip", name, label, change, reading, score)

    def _explained(self, basis: Mapping[str, Direction] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return what is known of the samples (n, K), and readings and changes (K, w_dim) of each of these."""
        if basis:
            for direction in basis.values():
                direction.check(self.model)
            readings = torch.stack([each.reading for each in basis.values()])
            zeros = torch.tensor([each.zero for each in basis.values()], dtype=torch.float64)
            changes = torch.stack([each.change[0].double() for each in basis.values()])
            return self._latents @ readings.T - zeros, (readings, changes)
        metric = self.model.space.metric()
        white, back = whitened(metric.covariance)
        return (self._latents - metric.mean) @ white, (white.T, back.T)


def by_words(
    model: Generator,
    clip: Clip | str | os.PathLike[str],
    text: str,
    *,
    against: str = FACE,
    basis: Mapping[str, Direction] | None = None,
    samples: int = SAMPLES,
) -> Direction:
    """Return the direction in which a model's pictures come to look more like a text; see :meth:`Sight.direction`.

    For several texts make one ``Sight``, which looks at the pictures once.
    """
    return Sight(model, clip, samples).direction(text, against=against, basis=basis)


def regressed(x: Tensor, y: Tensor) -> tuple[Tensor, float]:
    """Return weights (K,) of ridge regression, and R² on examples that are left out in turn (Allen 1974).

    The penalty is that of the best R². R² is 0 where ``y`` does not differ.

    :param x: (n, K). :param y: (n,).
    """
    centred, wanted = x.double() - x.double().mean(dim=0), y.double() - y.double().mean()
    whole = float(wanted.square().sum())
    if whole <= 1e-12 * len(y):
        return torch.zeros(x.shape[1], dtype=torch.float64), 0.0
    values, vectors = torch.linalg.eigh(centred @ centred.T)
    values, told = values.clamp_min(0), vectors.T @ wanted
    best, found = -np.inf, torch.zeros(0)
    for part in PENALTIES:
        shrunk = values / (values + part * values.mean())
        hat = (vectors.square() @ shrunk + 1 / len(y)).clamp_max(1 - 1e-9)
        left = (wanted - vectors @ (shrunk * told)) / (1 - hat)
        score = 1 - float(left.square().sum()) / whole
        if score > best + 1e-9:
            best, found = score, centred.T @ (vectors @ (told / (values + part * values.mean())))
    return found, float(best)


# --- in parts --------------------------------------------------------------------------------------------------------


def _view(clip: Clip, text: str) -> Tensor:
    """Return how CLIP sees a text (D,): the mean of what it says of it in several sentences."""
    return _unit(_unit(clip.texts([template.format(text) for template in TEMPLATES])).mean(dim=0, keepdim=True))[0]


def _unit(rows: Tensor) -> Tensor:
    return F.normalize(rows.detach().cpu().double(), dim=1)


def _told(found: Any) -> Tensor:
    """Return features (n, D), which newer versions of transformers wrap."""
    features: Tensor = getattr(found, "pooler_output", found)
    return features


def _check_kind(folder: Path) -> None:
    try:
        kind = read_json((folder / "config.json").read_bytes()).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise DirectionError(f"{shown_path(folder)} has no config.json that can be read; {GET}") from error
    if kind != "clip":
        raise DirectionError(f"{shown_path(folder)} holds a model of the kind {quoted(kind)}, not of 'clip'; {GET}")


def _colours(folder: Path) -> tuple[Tensor, Tensor]:
    """Return mean and spread (3, 1, 1) of the colours that a CLIP expects."""
    told: Any = {}
    if (file := folder / "preprocessor_config.json").is_file():
        told = read_json(file.read_bytes())
    mean, spread = (
        torch.tensor(told.get(name, fallback), dtype=torch.float32).reshape(3, 1, 1)
        for name, fallback in (("image_mean", MEAN), ("image_std", SPREAD))
    )
    if not bool((spread > 0).all()):
        raise ValueError("its preprocessor_config.json names colours that cannot be")
    return mean, spread
