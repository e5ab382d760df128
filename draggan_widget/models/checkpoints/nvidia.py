"""Files of NVIDIA's PyTorch programs (StyleGAN2-ADA, StyleGAN3) and their forks → StyleGAN2 and StyleGAN3.

Their pickles are dicts of networks ("G_ema" and others). Each network, and each layer in it, is an object that asks to
be rebuilt from source text in the file; here it is a ``Record`` whose source nobody reads, and only the attributes that
were saved with it count: parameters, buffers, submodules and settings. What the network is follows from these, never
from names of files or classes. Plain state dicts of the same networks are taken too.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from draggan_widget.models.checkpoints import nvidia_stylegan2, nvidia_stylegan3
from draggan_widget.models.checkpoints.holdings import Holding, best_prefix, check_pictures, holdings, is_generators
from draggan_widget.models.checkpoints.nvidia_module import Module, items
from draggan_widget.models.checkpoints.translation import Translation
from draggan_widget.models.checkpoints.values import Unreadable
from draggan_widget.texts import printable, quoted

SIGNS = re.compile(
    r"(?:^|.*\.)(?=synthesis\.(?:b4\.const|b8\.conv0\.weight|input\.weight|input\.freqs|L0_[\w-]+\.weight)$)"
)
"""The part before a name that only such a generator has."""
KINDS = {"stylegan2": nvidia_stylegan2.KIND, "stylegan3": nvidia_stylegan3.KIND}
LICENCES = ("license", "licence", "license_note")
LONGEST_NOTE = 200


def recognise(value: Any) -> Translation | None:
    """Return the generator of such a file, or None if it is of another kind.

    :param value: what ``read_pickle`` or ``read_file`` gives.
    :raises Unreadable: if it is of this kind but cannot be taken: no generator in it, another architecture, unknown
        settings, missing, additional, misshapen or non-finite weights.
    """
    found = holdings(value)
    for holding in found:
        prefixes = {match[0] for name in holding.tensors if (match := SIGNS.match(name))}
        if prefixes:
            prefix = best_prefix(prefixes)
            tensors = {name[len(prefix) :]: part for name, part in holding.tensors.items() if name.startswith(prefix)}
            translation = _translate(holding.module.part(prefix), tensors, _notes(value, holding, prefix))
            check_pictures(holding, prefix, translation.config["img_channels"], kind=KINDS[translation.family])
            return translation
    networks = [holding for holding in found if holding.module.is_persistent]
    for holding in networks:
        if is_generators(holding):
            parts = ", ".join(quoted(name, 40) for name in list(holding.module.children)[:6]) or "none"
            raise Unreadable(
                f"holds a network of another architecture (its parts are {parts}); "
                "give a StyleGAN2 or StyleGAN3 generator"
            )
    if networks:
        names = ", ".join(quoted(str(holding.key), 40) for holding in networks[:6])
        raise Unreadable(f"holds networks but no generator (its keys are {names}); give a file with 'G_ema' or 'G'")
    return None


def _translate(module: Module, tensors: dict[str, Any], notes: dict[str, str]) -> Translation:
    is_third = "synthesis.input.weight" in tensors or any(name.startswith("synthesis.L0_") for name in tensors)
    translate = nvidia_stylegan3.translate if is_third else nvidia_stylegan2.translate
    return translate(module, tensors, notes)


def _notes(value: Any, holding: Holding, prefix: str) -> dict[str, str]:
    """Return what the file says about itself, in words."""
    notes = {"layout": "NVIDIA", "weights": holding.said(prefix)}
    if not isinstance(value, dict):
        return notes
    data = items(value.get("training_set_kwargs"))
    for name in ("name", "path"):
        if isinstance(data.get(name), str) and data[name].strip():
            # Of a path only what names the data, not where somebody keeps it.
            notes["dataset"] = PurePosixPath(data[name].replace("\\", "/")).name
            notes["dataset"] = printable(notes["dataset"], LONGEST_NOTE)
            break
    for name in LICENCES:
        if isinstance(value.get(name), str):
            notes["licence"] = printable(value[name], LONGEST_NOTE)
    return notes
