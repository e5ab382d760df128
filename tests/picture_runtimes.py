"""What other runtimes would bring: a picture of the built-in faces by torch, onnxruntime and openvino, in turns.

pip install onnx onnxruntime openvino
python tests/picture_runtimes.py runtimes.csv
python tests/picture_runtimes.py --table docs/data/picture_runtimes.csv

All contestants draw the same latents in one process, one after the other and again, so that what else the machine does
hits all alike. A row is one picture: processor time, of all threads together, and time by the clock.
"""

from __future__ import annotations

import argparse
import copy
import csv
import io
import itertools
import os
import time
import warnings
from pathlib import Path
from unittest import mock

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # a thread that waits takes no processor time
import numpy as np
import torch

from draggan_widget import load_generator
from draggan_widget.models.stylegan2 import layers

SEEDS, WARM = 8, 3


def never(*_):
    """Weights are not modulated."""
    return False


class Picture(torch.nn.Module):
    """The synthesis network from a latent to a picture."""

    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def forward(self, ws):
        """Map (1, num_ws, w_dim) → (1, 3, H, W)."""
        return self.generator.synthesize(ws)


def exported(generator, ws):
    """The network as ONNX. Its weights are constants, which runtimes lay out once: what goes in is modulated."""
    file = io.BytesIO()
    with mock.patch.object(layers, "folds", new=never), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Picture(generator), (ws,), file, dynamo=False, opset_version=17, input_names=["ws"])
    return file.getvalue()


def by_torch(generator):
    """As the product makes pictures."""

    def draw(ws):
        with torch.inference_mode():
            return generator.synthesize(ws).numpy()

    return draw


def by_onnxruntime(model, threads):
    """By onnxruntime in float32, the only type its processor kernels convolve in."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda ws: session.run(None, {"ws": ws.numpy()})[0]


def by_openvino(model, threads, precision):
    """By openvino; ``precision`` is what it is asked to multiply in, "f32" or "bf16"."""
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": 1}
    compiled = core.compile_model(core.read_model(model), "CPU", settings)
    request = compiled.create_infer_request()
    return lambda ws: next(iter(request.infer({0: ws.numpy()}).values()))


def contestants(generator, model, threads):
    """What draws, by name."""
    halves = copy.deepcopy(generator)
    halves.operands = torch.bfloat16
    yield "torch float32", by_torch(generator)
    yield "torch float32, inputs modulated", unfolded(by_torch(generator))
    yield "torch, factors in bfloat16", by_torch(halves)
    yield "onnxruntime float32", by_onnxruntime(model, threads)
    yield "openvino float32", by_openvino(model, threads, "f32")
    yield "openvino bfloat16", by_openvino(model, threads, "bf16")


def unfolded(draw):
    """The same with what goes in and out of convolutions modulated, not their weights."""

    def other(ws):
        with mock.patch.object(layers, "folds", new=never):
            return draw(ws)

    return other


def measure(path, threads, rounds):
    """Write a row of each picture."""
    generator = load_generator("faces", "cpu")
    latents = [generator.mapping(seed=seed, truncation=0.7) for seed in range(SEEDS)]
    model = exported(generator, latents[0])
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("runtime", "threads", "round", "processor_ms", "clock_ms", "largest_of_255", "mean_of_255"))
        for count in threads:
            torch.set_num_threads(count)
            drawers = dict(contestants(generator, model, count))
            for turn, ws in enumerate(itertools.islice(itertools.cycle(latents), WARM + rounds)):
                exact = None
                for name, draw in drawers.items():
                    began, clock = time.process_time(), time.perf_counter()
                    picture = draw(ws)
                    taken = time.process_time() - began, time.perf_counter() - clock
                    exact = picture if exact is None else exact
                    off = 127.5 * np.abs(picture.clip(-1, 1) - exact.clip(-1, 1))
                    if turn >= WARM:
                        times, errors = (1e3 * each for each in taken), (off.max(), off.mean())
                        rounded = *(round(each, 1) for each in times), *(round(float(each), 4) for each in errors)
                        writer.writerow((name, count, turn - WARM, *rounded))
                        file.flush()


def table(path):
    """Say what a file of rows comes to."""
    with Path(path).open() as file:
        rows = list(csv.DictReader(file))
    for count in dict.fromkeys(row["threads"] for row in rows):
        base = None
        for name in dict.fromkeys(row["runtime"] for row in rows):
            mine = [row for row in rows if (row["runtime"], row["threads"]) == (name, count)]
            processor, clock = (np.array([float(row[key]) for row in mine]) for key in ("processor_ms", "clock_ms"))
            base = processor if base is None else base
            print(f"{count} threads  {name:32} processor {np.median(processor):6.1f} ms   "
                  f"clock {np.median(clock):6.1f} ms, least {clock.min():6.1f}   "
                  f"times as fast {np.median(base / processor):4.2f}   "
                  f"of 255: at most {max(float(row['largest_of_255']) for row in mine):6.3f}, "
                  f"mean {np.mean([float(row['mean_of_255']) for row in mine]):6.4f}")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", default="runtimes.csv")
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--table", metavar="CSV", help="say what is in a file instead of measuring")
    options = parser.parse_args()
    if not options.table:
        measure(options.path, options.threads, options.rounds)
    table(options.table or options.path)
