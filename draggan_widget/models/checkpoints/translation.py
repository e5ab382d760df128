"""What a translator makes of a file: everything that one of our generators is built from."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.config import DragConfig
from draggan_widget.models.checkpoints.values import Unreadable
from draggan_widget.models.stylegan2.layers import FIR, MappingNetwork
from draggan_widget.texts import one_line, printable, quoted

SAMPLES = 10_000
"""Latents whose mean stands in for a mean that is not recorded."""
FEW = 1_000
"""Latents whose mean is compared with one that is recorded."""
BATCH = 1_000
MOST_AT_ONCE = 1 << 23
"""Numbers of one layer that a batch of latents may have."""
MOST_WORK = 10_000 << 23
"""Latents times weights: of a mapping network with more than eight million weights, fewer latents are drawn."""
MULTIPLIERS = (0.01, 0.1, 1.0)
"""Learning rate multipliers of mapping networks, the usual one first."""
MOST_TAPS = 64 * 64
"""Of a low-pass filter, which usually has 4 × 4."""
BRISK = re.compile(r"ffhq|face|celeb|portrait|(cat|car)s?(?![a-z])", re.IGNORECASE)
"""Names of data sets whose generators were dragged with the larger step in the paper: faces, cats and cars."""


@dataclasses.dataclass
class Translation:
    """A generator's family, its constructor's arguments and its weights.

    ``config`` is JSON-able; ``tensors`` has the names of the module's ``network.state_dict()``; ``notes`` says in words
    what else the file records or what had to be supplied.
    """

    family: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    notes: dict[str, str] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] | None = None
    """The fields of the ``DragConfig`` it drags best with, where the file records them."""

    def drag_config(self) -> DragConfig:
        """Return the settings to begin with: those that are recorded, else the defaults.

        Pan et al. 2023, section 3.2, take steps of 2e-3 for faces, cats and cars and 1e-3 for everything else; what the
        pictures are of is known where the file names its data set. Without a name the package's default stays.
        """
        if self.settings is not None:
            return DragConfig.from_dict({"on_stall": DragConfig().on_stall, **self.settings})
        name = self.notes.get("dataset")
        if name is None:
            return DragConfig()
        return DragConfig(learning_rate=2e-3 if BRISK.search(name) else 1e-3)


def fitted(
    found: Mapping[str, Any], expected: Mapping[str, Tensor], *, kind: str, shapes_only: bool = False
) -> dict[str, Tensor]:
    """Return the tensors of a file in the order and shapes of a network's ``expected`` state dict, in float32.

    :param kind: whose layout it should be, to go on after "is". :param shapes_only: leave the numbers unlooked at.
    :raises Unreadable: for missing and unknown names, wrong shapes, numbers that are no floats, NaN and infinity,
        naming the first few.
    """
    check_names(found, expected, kind=kind)
    odd = [name for name in expected if not isinstance(found[name], Tensor)]
    if odd:
        raise Unreadable(f"is {kind}, but {listed(odd)} no tensor; give a whole checkpoint, as its program saved it")
    if misfits := [name for name in expected if found[name].shape != expected[name].shape]:
        name = misfits[0]
        shapes = f"{printable(name)} has {tuple(found[name].shape)} instead of {tuple(expected[name].shape)}"
        raise Unreadable(f"is {kind}, but {listed(misfits)} of the wrong shape ({shapes}); give it unchanged")
    if odd := [name for name in expected if not found[name].is_floating_point()]:
        raise Unreadable(f"is {kind}, but {listed(odd)} not made of floats; give it as it was before it was quantised")
    tensors = {name: found[name].detach().float() for name in expected}
    bad = [] if shapes_only else [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise Unreadable(
            f"is {kind}, but {listed(bad)} not made of finite numbers; give an earlier checkpoint of that training"
        )
    return tensors


def check_names(found: Iterable[str], wanted: Iterable[str], *, kind: str, aside: Iterable[str] = ()) -> None:
    """Check that a file has all names that are wanted, and no others but those ``aside``.

    :param kind: whose layout it should be, to go on after "is".
    :raises Unreadable: naming the first few that are missing or too many.
    """
    there, known = dict.fromkeys(found), dict.fromkeys(wanted)
    if missing := [name for name in known if name not in there]:
        raise Unreadable(f"is {kind}, but {listed(missing)} missing; give a whole checkpoint, as its program saved it")
    known |= dict.fromkeys(aside)
    if extra := [name for name in there if name not in known]:
        raise Unreadable(
            f"is {kind}, but {listed(extra)} too many: another architecture, or a changed one; "
            "give a checkpoint of an unchanged generator"
        )


def shape_of(found: Mapping[str, Any], name: str, ndim: int, *, kind: str) -> tuple[int, ...]:
    """Return the shape of a tensor that should have ``ndim`` dimensions, none of them empty.

    :param kind: whose layout it should be, to go on after "is". :raises Unreadable: naming it if it is none such.
    """
    tensor = found.get(name)
    if not isinstance(tensor, Tensor):
        raise Unreadable(f"is {kind}, but {quoted(name)} is missing; give a whole checkpoint, as its program saved it")
    if tensor.ndim != ndim or 0 in tensor.shape:
        raise Unreadable(f"is {kind}, but {quoted(name)} has the shape {tuple(tensor.shape)}; give it unchanged")
    return tuple(tensor.shape)


@contextlib.contextmanager
def shapes_only(kind: str, family: str) -> Iterator[None]:
    """Give networks that are made within it shapes and no memory, however large a file claims them to be.

    :param kind: whose layout it should be, to go on after "is". :param family: what to give instead.
    :raises Unreadable: for settings that make no network.
    """
    try:
        with torch.device("meta"):
            yield
    except Unreadable:
        raise
    except (ValueError, TypeError, KeyError, RuntimeError, OverflowError) as error:
        raise Unreadable(
            f"is {kind}, but makes no network ({one_line(error, 300)}); give an unchanged {family}"
        ) from error


def likely_multiplier(config: Mapping[str, Any], tensors: Mapping[str, Tensor], *, has_mean: bool) -> tuple[float, str]:
    """Return the mapping network's learning rate multiplier where it is not recorded, and what told it.

    A recorded mean latent tells it surely, for only with the right factor does the network make latents of that mean.
    Else the weights do: stored ones begin with a deviation of 1 / multiplier, mostly 100, and training moves them by
    little, so their order of magnitude tells a fork that does without.
    """
    if has_mean:
        recorded = tensors["mapping.w_avg"].float()
        recorded = recorded.mean(dim=0) if recorded.ndim == 2 else recorded
        misses = {
            multiplier: float(
                (mean_latent({**config, "mapping_lr_multiplier": multiplier}, tensors, FEW) - recorded).norm()
            )
            for multiplier in MULTIPLIERS
        }
        best = min(misses, key=lambda multiplier: misses[multiplier])
        if misses[best] < float(recorded.norm()) / 4:
            return best, "with which latents have the recorded mean"
    weights = [tensors[f"mapping.fc{index}.weight"] for index in range(config["mapping_layers"])]
    deviation = float(torch.cat([weight.detach().float().flatten() for weight in weights]).std())
    by_size = 0.01 if not deviation <= 10**1.5 else 0.1 if deviation > 10**0.5 else 1.0
    return by_size, "from the size of the mapping network's weights"


def supply_mean_latent(config: Mapping[str, Any], tensors: dict[str, Tensor], notes: dict[str, str]) -> None:
    """Puts the mean latent of a file that records none among its ``tensors``, and says so in the ``notes``."""
    tensors["mapping.w_avg"] = mean_latent(config, tensors)
    samples = _affordable(SAMPLES, tensors)
    notes["w_avg"] = f"not recorded; the mean of {samples:,} latents of seed 0 instead"


@torch.no_grad()
def mean_latent(config: Mapping[str, Any], tensors: Mapping[str, Tensor], samples: int = SAMPLES) -> Tensor:
    """Return the mean of so many latents of seed 0 (w_dim,), over all classes, whatever mean the file records.

    Of a very large mapping network fewer latents are drawn, lest the file choose how long this takes.
    """
    z_dim, c_dim, w_dim = config["z_dim"], config["c_dim"], config["w_dim"]
    layers, multiplier = config["mapping_layers"], config["mapping_lr_multiplier"]
    wide, embedding = config.get("layer_features"), config.get("embed_features")
    joint = config.get("joint_normalisation", False)
    mapping = MappingNetwork(z_dim, c_dim, w_dim, layers, multiplier, hidden=wide, embedding=embedding, joint=joint)
    own = {name[8:]: tensor for name, tensor in tensors.items() if name.startswith("mapping.")}
    mapping.load_state_dict(own | {"w_avg": torch.zeros(w_dim)})  # of which nothing here depends
    random = torch.Generator().manual_seed(0)
    total = torch.zeros(w_dim)
    samples = _affordable(samples, tensors)
    batch = max(1, min(BATCH, samples, MOST_AT_ONCE // max(z_dim, c_dim, w_dim)))
    for begin in range(0, samples, batch):
        z = torch.randn(min(batch, samples - begin), z_dim, generator=random)
        labels = F.one_hot(torch.randint(c_dim, (len(z),), generator=random), c_dim).float() if c_dim else None
        total += mapping(z, labels).sum(dim=0)
    return total / samples


def _affordable(samples: int, tensors: Mapping[str, Tensor]) -> int:
    weights = sum(tensor.numel() for name, tensor in tensors.items() if name.startswith("mapping."))
    return max(1, min(samples, MOST_WORK // max(1, weights)))


def picture_size(nominal: int, rows: int, columns: int) -> int | list[int]:
    """Return the ``resolution`` of a StyleGAN2 by its last block's nominal size and the shape of its constant input.

    Blocks are called after the sizes of a square picture, 4, 8, …, whatever the input that they double is.
    """
    height, width = nominal * rows // 4, nominal * columns // 4
    return height if height == width == nominal else [height, width]


def low_pass_taps(kernels: list[Tensor], *, kind: str) -> list[Any]:
    """Return the taps of the file's low-pass filters, which it stores per layer and times 4, the gain of up-sampling.

    :param kind: whose layout it should be, to go on after "is". :raises Unreadable: for filters of different kinds.
    """
    usual = torch.outer(torch.tensor(FIR), torch.tensor(FIR)) / 16
    first = kernels[0].float() if kernels else usual
    alike = all(kernel.shape == first.shape and torch.allclose(kernel.float(), first, atol=1e-3) for kernel in kernels)
    if first.ndim != 2 or first.numel() > MOST_TAPS or not alike or abs(float(first.sum()) - 4) > 0.01:
        raise Unreadable(f"is {kind}, but with low-pass filters of different kinds; give an unchanged StyleGAN2")
    if first.shape == usual.shape and torch.allclose(first, usual, atol=1e-3):
        return list(FIR)
    taps: list[Any] = (first / 4).tolist()
    return taps


def numbers(names: Iterable[str], pattern: str) -> list[int]:
    """Return what the pattern's group matches among the names, ascending and each once."""
    matches = (re.fullmatch(pattern, name) for name in names)
    return sorted({int(match[1]) for match in matches if match})


def listed(names: list[str], most: int = 3) -> str:
    """ "'a', 'b' and 5 more are", to go on with an adjective."""
    parts = [quoted(name) for name in names[:most]]
    if len(names) > most:
        parts.append(f"{len(names) - most} more")
    joined = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{joined} {'is' if len(names) == 1 else 'are'}"
