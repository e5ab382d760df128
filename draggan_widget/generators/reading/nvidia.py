"""Files of NVIDIA's PyTorch programs (StyleGAN2-ADA, StyleGAN3) and their forks → StyleGAN2 and StyleGAN3.

Their pickles are dicts of networks ("G_ema" and others). Each network, and each layer in it, is an object that asks to
be rebuilt from source text in the file; here it is a ``Record`` whose source nobody reads, and only the attributes that
were saved with it count: parameters, buffers, submodules and settings. What the network is follows from these, never
from names of files or classes. Plain state dicts of the same networks are taken too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from draggan_widget.generators.reading import nvidia_stylegan2, nvidia_stylegan3
from draggan_widget.generators.reading.nvidia_module import Module, items
from draggan_widget.generators.reading.translation import Translation
from draggan_widget.generators.reading.values import Record, Unreadable
from draggan_widget.texts import printable, quoted

NETWORKS = ("G_ema", "g_ema", "G", "g", "generator_ema", "generator")
"""Keys of a generator, the averaged one first: its pictures are better."""
WRAPPERS = ("state_dict", "model", "model_state_dict", "params_ema", "params", "ema", "weights")
"""Keys under which state dicts of generators are kept besides those."""
SIGNS = re.compile(
    r"(?:^|.*\.)(?=synthesis\.(?:b4\.const|b8\.conv0\.weight|input\.weight|input\.freqs|L0_[\w-]+\.weight)$)"
)
"""The part before a name that only such a generator has."""
LICENCES = ("license", "licence", "license_note")
LONGEST_NOTE = 200


def recognise(value: Any) -> Translation | None:
    """The generator of such a file, or None if it is of another kind.

    :param value: what ``read_pickle`` or ``read_file`` gives.
    :raises Unreadable: if it is of this kind but cannot be taken: no generator in it, another architecture, unknown
        settings, missing, additional, misshapen or non-finite weights.
    """
    for key, network in _networks(value):
        module = Module.of(network)
        if module is not None and (module.is_persistent or _family(module.tensors())):
            return _translate(module, _notes(value, key))
    if isinstance(value, dict) and any(_is_persistent(network) for network in value.values()):
        names = ", ".join(quoted(name, 40) for name in list(value)[:6])
        raise Unreadable(f"holds networks but no generator (its keys are {names}); give a file with 'G_ema' or 'G'")
    for key, state in _states(value):
        found = _generator_part(state)
        if found is not None:
            prefix, tensors = found
            notes = _notes(value, key)
            if prefix:
                notes["weights"] = f"{notes['weights']}, names after '{printable(prefix)}'"
            return _translate(Module.of_state_dict(tensors), notes)
    return None


def _translate(module: Module, notes: dict[str, str]) -> Translation:
    tensors = module.tensors()
    family = _family(tensors)
    if family == "stylegan2":
        return nvidia_stylegan2.translate(module, tensors, notes)
    if family == "stylegan3":
        return nvidia_stylegan3.translate(module, tensors, notes)
    parts = ", ".join(quoted(name, 40) for name in list(module.children)[:6]) or "none"
    raise Unreadable(
        f"holds a network of another architecture (its parts are {parts}); give a StyleGAN2 or StyleGAN3 generator"
    )


def _family(names: Mapping[str, Any]) -> str | None:
    if "synthesis.input.weight" in names or any(name.startswith("synthesis.L0_") for name in names):
        return "stylegan3"
    if "synthesis.b4.const" in names or "synthesis.b8.conv0.weight" in names:
        return "stylegan2"
    return None


def _is_persistent(value: Any) -> bool:
    module = Module.of(value)
    return module is not None and module.is_persistent


def _networks(value: Any) -> Iterator[tuple[str | None, Any]]:
    if isinstance(value, dict):
        yield from ((key, value[key]) for key in NETWORKS if isinstance(value.get(key), Record))
    elif isinstance(value, Record):
        yield None, value


def _states(value: Any) -> list[tuple[str | None, dict[Any, Any]]]:
    """Dicts that may be state dicts, with their keys: the best first, those within others too."""
    states: list[tuple[str | None, dict[Any, Any]]] = []
    seen: set[int] = set()

    def visit(part: Any, path: str | None, depth: int) -> None:
        if not isinstance(part, dict) or depth > 3 or id(part) in seen:
            return
        seen.add(id(part))
        for key in (*NETWORKS, *WRAPPERS):
            visit(part.get(key), key if path is None else f"{path}.{key}", depth + 1)
        states.append((path, part))

    visit(value, None, 0)
    return states


def _generator_part(state: Mapping[Any, Any]) -> tuple[str, dict[str, Any]] | None:
    """The prefix of a generator's names in a state dict and its entries without it; None if there is none.

    Several networks may share a dict, each with its prefix: the averaged one is taken.
    """
    prefixes = {match[0] for name in state if isinstance(name, str) and (match := SIGNS.match(name))}
    if not prefixes:
        return None
    prefix = min(prefixes, key=lambda prefix: ("ema" not in prefix.lower(), len(prefix), prefix))
    return prefix, {
        name[len(prefix) :]: part for name, part in state.items() if isinstance(name, str) and name.startswith(prefix)
    }


def _notes(value: Any, key: str | None) -> dict[str, str]:
    """What the file says about itself, in words."""
    notes = {"layout": "NVIDIA", "weights": "the file itself" if key is None else f"'{key}'"}
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
