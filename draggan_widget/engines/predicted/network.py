"""The two networks: what is pulled where → how the latent changes.

Both are transformers. Each point is a token, made of the features at the point, its place and its motion. An encoder
has the points see each other, and a decoder reads from them how the latent changes. Latents are told as coordinates
along the principal axes of the model's own latents, in which these have variance 1.

``UserControllableLT`` (Endo, *User-Controllable Latent Transformer for StyleGAN Image Layout Editing*, Pacific Graphics
2022) has one query a group of rows of the latent and answers in one go. ``AutoDragGAN`` (Cai et al., *Auto DragGAN:
Editing the Generative Image Manifold in an Autoregressive Manner*, ACM MM 2024) emits the latents along a way, one
after another, each from those before it; a *regulariser* says what of a change is natural. Of both only what the papers
say is known here; widths, losses and data are ours.
"""

from __future__ import annotations

import abc
import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOST_PIECES = 4
"""Pieces of a way that are emitted in one go."""
SHORTEST = 0.1
"""Units of length below which errors do not count more."""
MOTION = 4
"""Numbers of a motion: right, down, growth (log of a factor), and whether the growth is asked for (0 or 1)."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a network is like. It decides which weights there are."""

    channels: int
    """Features at a point."""
    coordinates: int
    """Principal axes by which a row of the latent is told."""
    groups: int
    """Groups of rows of the latent; the rows of a group change alike."""
    width: int = 128
    heads: int = 4
    layers: int = 3
    """Of the encoder, and as many of the decoder."""
    hidden: int = 256


@dataclasses.dataclass(frozen=True, eq=False)
class Points:
    """What is asked: T points of each of N pictures, in the units of a network."""

    features: Tensor
    """(N, T, channels), of mean 0 and variance 1."""
    places: Tensor
    """(N, T, 2) in [-1, 1]: right and down, 0 is the middle of the picture."""
    motions: Tensor
    """(N, T, MOTION), of which right, down and growth are those of one piece, divided by its length."""
    length: Tensor
    """(N,), how far the point that goes farthest goes in a piece, in units, or grows, if that is more."""


class Network(nn.Module, abc.ABC):
    """What both have in common: the tokens, the encoder, and the decoder without what goes in and comes out."""

    pieces: int
    """Latents along a way that it emits in one go, at most."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape, width = shape, shape.width
        half = width // 2
        self.feature = nn.Linear(shape.channels, half)
        self.motion = nn.Linear(MOTION + 2, half)
        self.joined = nn.Linear(2 * half, width)
        settings = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
        encode = nn.TransformerEncoderLayer(width, shape.heads, shape.hidden, **settings)  # type: ignore[arg-type]
        decode = nn.TransformerDecoderLayer(width, shape.heads, shape.hidden, **settings)  # type: ignore[arg-type]
        self.encoder = nn.TransformerEncoder(encode, shape.layers, enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(decode, shape.layers, norm=nn.LayerNorm(width))

    def tokens(self, points: Points) -> Tensor:
        """Return what the decoder reads of the points: (N, T, width)."""
        told = torch.cat([points.motions, points.places], dim=2)
        joined = torch.cat([self.feature(points.features), self.motion(told)], dim=2)
        encoded: Tensor = self.encoder(self.joined(F.gelu(joined)))
        return encoded

    @abc.abstractmethod
    def ways(self, start: Tensor, points: Points, pieces: int) -> Tensor:
        """Return the changes from the start to the latents along the way.

        :param start: coordinates (N, groups, k). :param pieces: 1 to ``self.pieces``.
        :returns: coordinates (N, pieces, groups, k).
        """

    @abc.abstractmethod
    def losses(self, start: Tensor, points: Points, wanted: Tensor) -> dict[str, Tensor]:
        """Return the terms of the loss, by name; ``"change"`` is the one by which it is judged.

        :param wanted: changes from the start to the latents along the way, (N, pieces, groups, k).
        """


def missed(told: Tensor, wanted: Tensor, points: Points) -> Tensor:
    """Return the mean square error of coordinates (N, n, groups, k), in proportion to the length of a piece.

    Else the longest pulls, which no network can tell well, would be all that counts.
    """
    return ((told - wanted) / points.length.clamp(min=SHORTEST)[:, None, None, None]).square().mean()


class UserControllableLT(Network):
    """One query a group of rows; the change is in proportion to the length of the way."""

    pieces = 1

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.query = nn.Linear(shape.coordinates, shape.width)
        self.row = nn.Parameter(0.02 * torch.randn(shape.groups, shape.width))
        self.answer = _answer(shape.width, shape.coordinates)

    def ways(self, start: Tensor, points: Points, pieces: int) -> Tensor:  # noqa: ARG002 - it knows but one
        """See ``Network.ways``."""
        answered = self.answer(self.decoder(self.query(start) + self.row, self.tokens(points)))
        way: Tensor = (points.length[:, None, None] * answered)[:, None]
        return way

    def losses(self, start: Tensor, points: Points, wanted: Tensor) -> dict[str, Tensor]:
        """See ``Network.losses``."""
        return {"change": missed(self.ways(start, points, 1), wanted[:, -1:], points)}


class AutoDragGAN(Network):
    """The latents along the way, one after another, each made natural before the next one."""

    pieces = MOST_PIECES

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        numbers, width = shape.groups * shape.coordinates, shape.width
        self.begun = nn.Linear(numbers, width)
        self.gone = nn.Linear(numbers, width)
        self.turn = nn.Parameter(0.02 * torch.randn(MOST_PIECES, width))
        self.answer = _answer(width, numbers)
        self.regulariser = Regulariser(shape.coordinates)

    def ways(self, start: Tensor, points: Points, pieces: int) -> Tensor:
        """See ``Network.ways``."""
        tokens = self.tokens(points)
        natural = self.regulariser(start)
        gone = start.new_zeros(len(start), 1, *start.shape[1:])
        for _ in range(pieces):
            step = self._steps(start, gone, tokens, points.length)[:, -1]
            after = self._regular(start, natural, gone[:, -1] + step)
            gone = torch.cat([gone, after[:, None]], dim=1)
        return gone[:, 1:]

    def losses(self, start: Tensor, points: Points, wanted: Tensor) -> dict[str, Tensor]:
        """See ``Network.losses``. Each piece is learned from the true ones before it."""
        gone = torch.cat([torch.zeros_like(wanted[:, :1]), wanted[:, :-1]], dim=1)
        steps = self._steps(start, gone, self.tokens(points), points.length)
        natural = self.regulariser(start)
        told = self._regular(start[:, None], natural[:, None], gone + steps)
        noise = torch.randn_like(start) * torch.rand(len(start), 1, 1, device=start.device)
        cleaned = (self.regulariser(start + noise) - start).square().mean()
        return {"change": missed(told, wanted, points), "natural": 0.02 * cleaned}

    def _steps(self, start: Tensor, gone: Tensor, tokens: Tensor, length: Tensor) -> Tensor:
        """Return the steps on from each of the latents so far, (N, n, groups, k), of changes ``gone`` of that shape."""
        count = gone.shape[1]
        queries = self.begun(start.flatten(1))[:, None] + self.gone(gone.flatten(2)) + self.turn[:count]
        later = torch.ones(count, count, dtype=torch.bool, device=start.device).triu(1)
        answered = self.answer(self.decoder(queries, tokens, tgt_mask=later))
        steps: Tensor = length[:, None, None, None] * answered.view(gone.shape)
        return steps

    def _regular(self, start: Tensor, natural: Tensor, change: Tensor) -> Tensor:
        """Return what of a change from the start is natural.

        What the regulariser would take from the start itself is not counted, so that what is not pulled stays.
        """
        regular: Tensor = self.regulariser(start + change) - natural
        return regular


class Regulariser(nn.Module):
    """Coordinates of a row → those of the natural row that they are likely to come from.

    It learns to take noise away. So it shortens changes in directions in which rows do not differ in that way.
    """

    def __init__(self, coordinates: int) -> None:
        super().__init__()
        self.within = nn.Sequential(
            nn.Linear(coordinates, 2 * coordinates), nn.GELU(), _answer(2 * coordinates, coordinates)
        )

    def forward(self, told: Tensor) -> Tensor:
        """Map coordinates (…, k) → (…, k)."""
        regular: Tensor = told - self.within(told)
        return regular


def _answer(before: int, after: int) -> nn.Linear:
    """Return a layer that says nothing before it has learned."""
    layer = nn.Linear(before, after)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
