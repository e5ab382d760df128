"""Processes that train one network together."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Sequence

import torch
from torch import Tensor


class Team:
    """Processes that train together on one machine: each takes a share of the batch, all take the mean gradient.

    One thread in each of two processes gets much further than two threads in one, all the more on a busy machine:
    they meet once a step instead of once an operation.
    """

    def __init__(self, size: int, numbers: int) -> None:
        """``size`` members, who exchange up to ``numbers`` numbers at once. Make it before the other processes."""
        context = multiprocessing.get_context("spawn")
        self.size = size
        self.rank = 0
        self.shared = torch.zeros(size, numbers).share_memory_()
        self.barrier = context.Barrier(size)

    def mean(self, numbers: Tensor) -> Tensor:
        """The mean over all members of what each gave; waits for them."""
        self.shared[self.rank, : len(numbers)].copy_(numbers)
        try:
            self.barrier.wait(timeout=900)
            mean = self.shared[:, : len(numbers)].mean(0)
            self.barrier.wait(timeout=900)  # nobody writes the next numbers before all have read these
        except threading.BrokenBarrierError:
            raise RuntimeError(
                "a process that trains died or hangs; its message is above. Run the same command again to go on"
            ) from None
        return mean

    def watch(self, others: Sequence[multiprocessing.process.BaseProcess]) -> None:
        """From now on, nobody waits any longer once one of the ``others`` has died."""

        def look() -> None:
            while all(other.exitcode in (None, 0) for other in others):
                time.sleep(0.5)
            self.barrier.abort()

        threading.Thread(target=look, daemon=True).start()
