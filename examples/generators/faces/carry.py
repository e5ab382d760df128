"""Say of what was made for earlier weights that it is for the present ones too, where these are nearly the same.

    python examples/generators/faces/carry.py OLD.safetensors

OLD are the weights in whose place the present ones stand, of which ``dissect.py --silence`` changes a few units. The
encoder, the metric of trackers and the predictors read latents and features, or pictures made of these. Where features
differ little, only the fingerprint that these files name is changed; how little is told. What predictors then do is to
be measured again (``jumps.py``). The array of how the rest of a face moves is not carried over, for it is computed in
seconds, nor what depends on whole pictures: ``remake.py`` makes it again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import beside  # noqa: F401  for what is shared
import safetensors.torch
import torch
from remake import ENCODER, METHODS, METRIC, NAME, PREDICTORS, header_of, present
from whole import write_atomically

from draggan_widget.models import Generator, fingerprint, load_generator, mapping_fingerprint

SAMPLES = 24
MOST = 0.1
"""What features of samples may differ by, as a part of how much they vary over a picture (root mean squares)."""
BLOCKS = 4, 5
"""Whose features the metric and the predictors read."""
KEYS = {
    ENCODER: "draggan_widget encoder",
    METRIC: "fingerprint",
    **{PREDICTORS / f"{NAME}_{method}.safetensors": "draggan_widget predictor" for method in METHODS},
}
"""Under which key of its header each file names the weights that it was made for."""


@torch.no_grad()
def apart(old: Generator, new: Generator, blocks: tuple[int, ...]) -> float:
    """Return how far features of two generators are apart, as ``MOST`` has it: that of the block where it is most."""
    differ, vary = torch.zeros(len(blocks)), torch.zeros(len(blocks))
    for seed in range(SAMPLES):
        ws = new.mapping(seed=seed, truncation=0.7)
        for row, (was, now) in enumerate(zip(old.maps(ws, blocks), new.maps(ws, blocks), strict=True)):
            differ[row] += (now - was).square().sum()
            vary[row] += (was - was.mean((2, 3), keepdim=True)).square().sum()
    return float((differ / vary).sqrt().max())


def rewritten(file: Path, key: str, old: str, new: str) -> bool:
    """Change the fingerprint that a file names under a key of its header; return whether it was there to be changed."""
    header = header_of(file)
    if old not in header.get(key, ""):
        return False
    tensors = safetensors.torch.load(file.read_bytes())
    made = safetensors.torch.save(tensors, {**header, key: header[key].replace(old, new)})
    write_atomically(file, lambda stream: stream.write(made))
    return True


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, help="the weights that were there before")
    options = parser.parse_args()
    old, new = load_generator(options.old, device="cpu"), load_generator(NAME, device="cpu")
    was, now = fingerprint(old), present()
    if was == now:
        print("these are the present weights: there is nothing to carry over", file=sys.stderr)
        return 1
    if mapping_fingerprint(old) != mapping_fingerprint(new):
        print("latents mean something else: make all again by remake.py", file=sys.stderr)
        return 1
    differ = apart(old, new, BLOCKS)
    print(f"features differ by {differ:.1%} of how much they vary; {MOST:.0%} is allowed")
    if differ > MOST:
        print("that is too much: make all again by remake.py", file=sys.stderr)
        return 1
    for file, key in KEYS.items():
        print(f"{file.name}: {'carried over' if rewritten(file, key, was, now) else 'left: it is of other weights'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
