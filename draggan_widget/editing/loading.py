"""Another model in an edit: read beside it, and put in its place between two steps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

import torch

from draggan_widget.editing.jobs import LOADING, Jobs, Work, in_thread
from draggan_widget.editing.live_edit import LiveEdit
from draggan_widget.editing.model import Model, OnProgress
from draggan_widget.editing.sentences import failed

log = logging.getLogger(__name__)


def load(
    jobs: Jobs, live: LiveEdit, name: str, read: Callable[[OnProgress], Model], device: torch.device | None
) -> Future[None]:
    """Have a model read, and the edit go on with it. See ``Session.load``."""

    def reading() -> Work[Model]:
        model = yield from in_thread(read, f"reading {name}")
        # Here, in the worker's thread: a GPU that takes steps is not to be shared with another thread.
        return model if device is None else model.on(device)

    def not_loaded(error: BaseException) -> None:
        if not isinstance(error, CancelledError):
            log.info("%s was not loaded", name, exc_info=error)
            live.audience.trouble = failed(f"{name} was not loaded", error)
        live.audience.publish()

    return jobs.add(
        reading(),
        lane=LOADING,
        what=LOADING,
        name=name,
        progress=lambda _: live.audience.publish(),
        then=live.take_model,
        otherwise=not_loaded,
    )
