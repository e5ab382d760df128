"""Work of a GPU that is the same every time, kept as a graph: it begins at once, and the processor has none with it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3
"""Times that CUDA wants to have seen the work before it captures it."""


def captured(compute: Callable[[], tuple[Tensor, ...]]) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
    """Capture a computation on CUDA; return a function that does it again on the same tensors, and its results.

    Doing it again is no work for the processor.

    ``compute`` may look at no value and take nothing from the processor.
    """
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            compute()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    # What other threads do on the device meanwhile, such as making pictures, is no fault of this one.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        results = compute()
    return graph.replay, results
