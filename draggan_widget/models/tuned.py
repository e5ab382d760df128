"""A tuned copy: a model some of whose weights were changed, kept as what differs from the model it was made of."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from draggan_widget.files import readable, write_whole
from draggan_widget.models.base import Generator
from draggan_widget.models.checkpoints import TUNED, CheckpointError, Unreadable, read_file, safetensors_metadata
from draggan_widget.models.fingerprints import fingerprint
from draggan_widget.models.guard import guarded
from draggan_widget.models.stylegan2.layers import SynthesisLayer, lay_out
from draggan_widget.texts import one_line, quoted, read_json, shown_path

FORMAT = 1
FEW = 3
"""Names of weights that a message lists."""


@dataclasses.dataclass(frozen=True, eq=False)
class TunedCopy:
    """What makes a tuned copy of its base: the weights that differ.

    ``difference`` finds them, ``apply`` gives a generator again, ``save`` and ``load`` keep them in a file.
    """

    base: str
    """``fingerprint`` of the model that was tuned."""
    changes: Mapping[str, Tensor]
    """The changed weights, whole, by their names in ``state_dict()``; on the processor."""

    @guarded
    def apply(self, base: Generator) -> Generator:
        """Return ``base`` with the changed weights, as another generator; ``base`` stays as it is.

        The weights that did not change are shared with ``base``, and take no memory a second time.

        :raises ValueError: in one sentence, if ``base`` is another model, or for a weight that it does not have, or
            not in that shape or type, or that is not finite.
        """
        if fingerprint(base) != self.base:
            raise ValueError(
                "this tuned copy was made of another model, as its weights tell; apply it to the one it was made of"
            )
        self._check(base)
        # What its first use would rearrange is rearranged before it is shared.
        for layer in base.modules():
            if isinstance(layer, SynthesisLayer):
                lay_out(layer.weight)
        return self._copied(base)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the changed weights as safetensors, whole or not at all.

        :raises OSError: if it cannot be written; a file of that name stays as it was.
        """
        header = {TUNED: json.dumps({"format": FORMAT, "base": self.base})}
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in self.changes.items()}
        write_whole(path, safetensors.torch.save(tensors, header))

    @classmethod
    @guarded
    def load(cls, path: str | os.PathLike[str]) -> TunedCopy:
        """Return what ``save`` wrote. Nothing in the file is executed.

        :raises FileNotFoundError: if there is none. :raises CheckpointError: if it is damaged, or something else.
        """
        found = readable(path, "a file of a tuned copy")
        try:
            metadata = safetensors_metadata(found)
            if metadata is None or TUNED not in metadata:
                raise Unreadable("holds no tuned copy; give a file that TunedCopy.save wrote")
            described, tensors = _described(metadata[TUNED]), read_file(found)
        except Unreadable as error:
            raise CheckpointError(f"{shown_path(path)} {one_line(error)}") from error
        except OSError as error:
            raise CheckpointError(
                f"{shown_path(path)} cannot be read ({one_line(error, 200)}); get it again"
            ) from error
        return cls(described["base"], tensors)

    def _check(self, base: Generator) -> None:
        there = base.state_dict()
        if unknown := [name for name in self.changes if name not in there]:
            raise ValueError(
                f"this tuned copy has weights that its model has not ({_listed(unknown)}); it is damaged, tune again"
            )
        for name, tensor in self.changes.items():
            like = there[name]
            if tensor.shape != like.shape or tensor.dtype != like.dtype:
                raise ValueError(
                    f"this tuned copy has {quoted(name)} as {_kind(tensor)}, its model as {_kind(like)}; "
                    "it is damaged, tune again"
                )
            _check_finite(name, tensor)

    def _copied(self, base: Generator) -> Generator:
        # A deep copy that finds every weight copied already: the changed ones, and the others as views.
        copied: dict[int, Any] = {}
        weights = [*base.named_parameters(remove_duplicate=False), *base.named_buffers(remove_duplicate=False)]
        for name, weight in weights:
            change = self.changes.get(name)
            new = weight.detach() if change is None else change.to(weight.device, copy=True)
            # Never the very object: casting or moving the one generator must not change the other.
            copied[id(weight)] = nn.Parameter(new, requires_grad=False) if isinstance(weight, nn.Parameter) else new
        for layer in base.modules():
            if isinstance(layer, SynthesisLayer):
                copied.update({id(tensor): tensor for tensor in layer.derived()})
        made = copy.deepcopy(base, copied)
        made.mapped = base.mapped.copy(base)  # where the mapping has not changed, what is known of its latents holds on
        return made


@guarded
def difference(base: Generator, tuned: Generator) -> TunedCopy:
    """Return what makes ``tuned`` of ``base``: those weights that are not the same to the bit.

    :raises ValueError: in one sentence, for generators of other weights than another's, or a weight of ``tuned`` that
        is not finite.
    """
    before, after = base.state_dict(), tuned.state_dict()
    kinds = [{name: _kind(tensor) for name, tensor in each.items()} for each in (before, after)]
    if type(base) is not type(tuned) or kinds[0] != kinds[1]:
        raise ValueError(
            f"the tuned {type(tuned).__name__} has other weights than its base, a {type(base).__name__}; give two "
            "generators of the same layout"
        )
    changes = {}
    for name, tensor in after.items():
        now = tensor.detach().cpu()
        if not torch.equal(now, before[name].detach().cpu()):
            _check_finite(name, now)
            changes[name] = now.contiguous().clone()
    return TunedCopy(fingerprint(base), changes)


def _described(header: str) -> dict[str, Any]:
    """What a file says of itself. :raises Unreadable: if that is not what ``save`` writes."""
    try:
        described = read_json(header)
        version, base = described["format"], described["base"]
    except (LookupError, TypeError, ValueError) as error:
        raise Unreadable("is a damaged tuned copy: it does not say what it was made of; tune again") from error
    if version != FORMAT:
        raise Unreadable(
            f"is a tuned copy of format {quoted(version)}, this version reads {FORMAT}; update draggan_widget"
        )
    if not isinstance(base, str):
        raise Unreadable("is a damaged tuned copy: it does not say what it was made of; tune again")
    return {"base": base}


def _check_finite(name: str, tensor: Tensor) -> None:
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"the tuned copy has weights that are not finite ({quoted(name)}); tune again, in fewer steps")


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of {tuple(tensor.shape)}"


def _listed(names: list[str]) -> str:
    return ", ".join(quoted(name) for name in names[:FEW]) + (", …" if len(names) > FEW else "")
