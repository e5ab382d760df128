"""The one entry to torch: what we compute must not depend on what a notebook has set for itself.

Somebody may have set a default device or number type, be in an autocast, an inference mode or under ``no_grad``. Their
settings are theirs: here they are put aside for as long as we compute, in this thread alone. The default number type is
one for all threads, so it is not touched; whoever makes a tensor says of which type.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


@contextlib.contextmanager
def plain_torch() -> Iterator[None]:
    """Torch as it comes: gradients taken where asked for, no inference mode, no autocast, the processor as default."""
    with contextlib.ExitStack() as put_aside:
        put_aside.enter_context(torch.inference_mode(mode=False))
        put_aside.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                put_aside.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":  # else the mode would cost each operation a little
            put_aside.enter_context(torch.device("cpu"))
        yield


def guarded(function: Callable[P, T]) -> Callable[P, T]:
    """Return ``function`` under ``plain_torch``."""

    @functools.wraps(function)
    def plain(*args: P.args, **options: P.kwargs) -> T:
        with plain_torch():
            return function(*args, **options)

    return plain
