"""RAFT, a network that finds optical flow, written from its paper, with torchvision's names for its weights.

Teed and Deng, *RAFT: Recurrent All-Pairs Field Transforms for Optical Flow*, ECCV 2020. Features of both pictures at an
eighth of their size are compared, all with all; a recurrent unit looks into that near where each place is thought to
have gone, and corrects the thought, twelve times. The names of the parts are those of torchvision's ``raft_small`` and
``raft_large``, so that files of their weights fit. torchvision itself is not needed: its builds are made for one build
of torch each, and do not load beside another.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EIGHTH = 8
"""Pixels to a cell of the features, each way."""
LEVELS = 4
"""Sizes at which the second picture's features are compared."""
UPDATES = 12
"""Times that the flow is corrected."""
LEAST = EIGHTH * 2**LEVELS
"""Pixels that a picture needs each way: the smallest level then has two cells."""
GENTLE = 0.25
"""What the weights of the upsampling are multiplied by, so that their gradients are no larger than others'."""
Norm = Literal["instance", "batch", "none"]


def conv(inside: int, outside: int, size: int | tuple[int, int], stride: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the size of a map, but for its stride."""
    high, wide = (size, size) if isinstance(size, int) else size
    return nn.Conv2d(inside, outside, (high, wide), stride, (high // 2, wide // 2))


def block(inside: int, outside: int, size: int, stride: int = 1, norm: Norm = "none", relu: bool = True) -> nn.Module:
    """Return convolution, norm and ReLU in a row."""
    parts: list[nn.Module] = [conv(inside, outside, size, stride)]
    if norm != "none":
        parts.append(nn.InstanceNorm2d(outside) if norm == "instance" else nn.BatchNorm2d(outside))
    return nn.Sequential(*parts, *([nn.ReLU()] if relu else []))


class Residual(nn.Module):
    """What a block adds to what it is given: two convolutions, or three of which the middle one is narrow."""

    def __init__(self, inside: int, outside: int, norm: Norm, stride: int, narrow: bool) -> None:
        super().__init__()
        if narrow:
            self.convnormrelu1 = block(inside, outside // 4, 1, 1, norm)
            self.convnormrelu2 = block(outside // 4, outside // 4, 3, stride, norm)
            self.convnormrelu3: nn.Module = block(outside // 4, outside, 1, 1, norm)
        else:
            self.convnormrelu1 = block(inside, outside, 3, stride, norm)
            self.convnormrelu2 = block(outside, outside, 3, 1, norm)
            self.convnormrelu3 = nn.Identity()
        self.downsample = nn.Identity() if stride == 1 else block(inside, outside, 1, stride, norm, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outside, h, w) of (N, inside, h · stride, w · stride)."""
        y: Tensor = self.convnormrelu3(self.convnormrelu2(self.convnormrelu1(x)))
        return F.relu(self.downsample(x) + y)


class Encoder(nn.Module):
    """Features of a picture at an eighth of its size."""

    def __init__(self, widths: tuple[int, int, int], outside: int, norm: Norm, narrow: bool) -> None:
        super().__init__()
        self.convnormrelu = block(3, widths[0], 7, 2, norm)
        inside, layers = widths[0], []
        for width, stride in zip(widths, (1, 2, 2), strict=True):
            first, second = (
                Residual(inside, width, norm, stride, narrow),
                Residual(width, width, norm, 1, narrow),
            )
            layers.append(nn.Sequential(first, second))
            inside = width
        self.layer1, self.layer2, self.layer3 = layers
        self.conv = conv(inside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outside, h, w) of pictures (N, 3, 8h, 8w)."""
        found: Tensor = self.conv(self.layer3(self.layer2(self.layer1(self.convnormrelu(x)))))
        return found


class Gate(nn.Module):
    """A convolutional gated recurrent unit."""

    def __init__(self, hidden: int, inside: int, size: int | tuple[int, int]) -> None:
        super().__init__()
        self.convz, self.convr, self.convq = (conv(hidden + inside, hidden, size) for _ in range(3))

    def forward(self, hidden: Tensor, x: Tensor) -> Tensor:
        """Return the hidden state anew."""
        both = torch.cat([hidden, x], dim=1)
        z, r = torch.sigmoid(self.convz(both)), torch.sigmoid(self.convr(both))
        q = torch.tanh(self.convq(torch.cat([r * hidden, x], dim=1)))
        return (1 - z) * hidden + z * q


class Recurrent(nn.Module):
    """One gated unit of 3×3, or one across and one down."""

    def __init__(self, hidden: int, inside: int, small: bool) -> None:
        super().__init__()
        self.convgru1 = Gate(hidden, inside, 3 if small else (1, 5))
        self.convgru2 = nn.Identity() if small else Gate(hidden, inside, (5, 1))
        self._small = small

    def forward(self, hidden: Tensor, x: Tensor) -> Tensor:
        """Return the hidden state anew."""
        hidden = self.convgru1(hidden, x)
        return hidden if self._small else self.convgru2(hidden, x)


class MotionEncoder(nn.Module):
    """What is to be known of the present flow and of how well it fits."""

    def __init__(self, fits: int, widths: tuple[int, ...], flow: tuple[int, int], outside: int) -> None:
        super().__init__()
        self.convcorr1 = block(fits, widths[0], 1)
        self.convcorr2 = block(widths[0], widths[1], 3) if len(widths) > 1 else nn.Identity()
        self.convflow1 = block(2, flow[0], 7)
        self.convflow2 = block(flow[0], flow[1], 3)
        self.conv = block(widths[-1] + flow[1], outside - 2, 3)

    def forward(self, flow: Tensor, fits: Tensor) -> Tensor:
        """Return (N, outside, h, w), the last two channels the flow (N, 2, h, w) itself."""
        seen = self.convcorr2(self.convcorr1(fits))
        both = torch.cat([seen, self.convflow2(self.convflow1(flow))], dim=1)
        return torch.cat([self.conv(both), flow], dim=1)


class FlowHead(nn.Module):
    """What the flow is to be corrected by."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(hidden, width, 3), conv(width, 2, 3)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (N, 2, h, w) of the hidden state."""
        found: Tensor = self.conv2(F.relu(self.conv1(hidden)))
        return found


class Update(nn.Module):
    """One correction of the flow."""

    def __init__(self, motion: MotionEncoder, recurrent: Recurrent, head: FlowHead) -> None:
        super().__init__()
        self.motion_encoder, self.recurrent_block, self.flow_head = motion, recurrent, head

    def forward(self, hidden: Tensor, context: Tensor, fits: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Return the hidden state and the flow anew."""
        hidden = self.recurrent_block(hidden, torch.cat([context, self.motion_encoder(flow, fits)], dim=1))
        return hidden, flow + self.flow_head(hidden)


class Upsampling(nn.Module):
    """Weights by which each pixel's flow is mixed of the nine cells around it."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.convrelu = block(hidden, 256, 3)
        self.conv = conv(256, 9 * EIGHTH**2, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (N, 576, h, w)."""
        found: Tensor = GENTLE * self.conv(self.convrelu(hidden))
        return found


class RaftNetwork(nn.Module):
    """RAFT, the paper's network or the small one.

    Its ``state_dict`` has the names and shapes of torchvision's ``raft_large`` and ``raft_small``.
    """

    def __init__(self, small: bool) -> None:
        super().__init__()
        self.hidden = 96 if small else 128
        self.radius = 3 if small else 4
        widths = (32, 64, 96) if small else (64, 96, 128)
        context = 64 if small else 128
        self.feature_encoder = Encoder(widths, 128 if small else 256, "instance", small)
        self.context_encoder = Encoder(widths, self.hidden + context, "none" if small else "batch", small)
        fits = LEVELS * (2 * self.radius + 1) ** 2
        motion = MotionEncoder(fits, (96,), (64, 32), 82) if small else MotionEncoder(fits, (256, 192), (128, 64), 128)
        recurrent = Recurrent(self.hidden, context + (82 if small else 128), small)
        self.update_block = Update(motion, recurrent, FlowHead(self.hidden, 128 if small else 256))
        self.mask_predictor = None if small else Upsampling(self.hidden)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return where each pixel of the first picture is in the second, as (N, 2, H, W) pixels (x, y) that it went.

        :param first: (N, 3, H, W) in [-1, 1], H and W multiples of 8 and at least 128. :param second: the same.
        """
        features = self.feature_encoder(torch.cat([first, second]))
        pyramid = all_pairs(*features.chunk(2))
        known = self.context_encoder(first)
        hidden, context = torch.tanh(known[:, : self.hidden]), F.relu(known[:, self.hidden :])
        height, width = features.shape[2:]
        y, x = torch.meshgrid(
            torch.arange(height, device=first.device), torch.arange(width, device=first.device), indexing="ij"
        )
        cells = torch.stack([x, y]).to(first)[None]
        flow = first.new_zeros(len(first), 2, height, width)
        for _ in range(UPDATES):
            fits = looked_up(pyramid, cells + flow, self.radius)
            hidden, flow = self.update_block(hidden, context, fits, flow)
        return enlarged(flow, None if self.mask_predictor is None else self.mask_predictor(hidden))


def all_pairs(first: Tensor, second: Tensor) -> list[Tensor]:
    """Return how alike all places of two maps (N, C, h, w) are, ``<a, b> / √C``, at every level (equations 1 and 2).

    :returns: (N · h · w, 1, h / 2ᵏ, w / 2ᵏ) for k = 0 … 3: the second map's places pooled two by two, again and again.
    """
    batch, channels, height, width = first.shape
    alike = torch.einsum("ncp,ncq->npq", first.flatten(2), second.flatten(2)) / channels**0.5
    levels = [alike.reshape(batch * height * width, 1, height, width)]
    for _ in range(LEVELS - 1):
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def looked_up(pyramid: list[Tensor], places: Tensor, radius: int) -> Tensor:
    """Return what stands around places (N, 2, h, w) at every level, (N, 4 · (2r + 1)², h, w).

    Around a place are the whole offsets up to ``radius``, column by column; outside the map there is 0.
    """
    batch, _, height, width = places.shape
    side = torch.arange(-radius, radius + 1, device=places.device, dtype=places.dtype)
    offsets = torch.stack(torch.meshgrid(side, side, indexing="ij"), dim=-1)  # [a, b] is (x, y) = (side a, side b)
    middles = places.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
    found = []
    for level, alike in enumerate(pyramid):
        around = middles / 2**level + offsets
        size = torch.tensor([alike.shape[3] - 1, alike.shape[2] - 1], device=places.device, dtype=places.dtype)
        read = F.grid_sample(alike, 2 * around / size - 1, align_corners=True)
        found.append(read.reshape(batch, height, width, -1))
    return torch.cat(found, dim=3).permute(0, 3, 1, 2)


def enlarged(flow: Tensor, weights: Tensor | None) -> Tensor:
    """Return flow (N, 2, h, w) in cells as (N, 2, 8h, 8w) in pixels.

    :param weights: (N, 576, h, w), by which each pixel's flow is a mixture of that of the nine cells around, or None
        for bilinear enlargement.
    """
    batch, _, height, width = flow.shape
    if weights is None:
        size = (EIGHTH * height, EIGHTH * width)
        return EIGHTH * F.interpolate(flow, size=size, mode="bilinear", align_corners=True)
    shares = weights.view(batch, 1, 9, EIGHTH, EIGHTH, height, width).softmax(dim=2)
    nine = F.unfold(EIGHTH * flow, 3, padding=1).view(batch, 2, 9, 1, 1, height, width)
    mixed = (shares * nine).sum(dim=2)  # (N, 2, 8, 8, h, w)
    return mixed.permute(0, 1, 4, 2, 5, 3).reshape(batch, 2, EIGHTH * height, EIGHTH * width)
