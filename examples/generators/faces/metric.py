"""Train the metric that trackers see the built-in faces by, on the pairs that ``correspond.py`` wrote.

    python examples/generators/faces/metric.py --pairs pairs.npz --out FILE

The one in the package is ``draggan_widget/engines/trackers/faces_metric.safetensors``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from draggan_widget.engines.trackers.metric import save, train
from draggan_widget.models import load_generator


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="faces")
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--blocks", default="4+5")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    model = load_generator(options.model)
    blocks = tuple(int(block) for block in options.blocks.split("+"))
    with np.load(options.pairs) as pairs:
        steps = train(model, blocks, pairs["latents"], pairs["points"], pairs["seen"])
    for number, (loss, trained) in enumerate(steps, start=1):
        layer = trained
        if number % 100 == 0:
            print(f"step {number}: loss {loss:.3f}", flush=True)
    save(options.out, layer, model, blocks)
    print(f"{options.out}: {options.out.stat().st_size / 1000:.1f} kB")


if __name__ == "__main__":
    main()
