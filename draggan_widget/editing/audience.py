"""Who hears of an edit: the listener to its snapshots, and those who wait until no run is on."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Future

from draggan_widget.editing.document import Snapshot
from draggan_widget.editing.sentences import failed
from draggan_widget.engines import DragResult

log = logging.getLogger(__name__)
NOT_SHOWN = "The picture could not be shown"


class Audience:
    """How the edit is, in a word and in a sentence, and who is told. It belongs to the worker's thread.

    :param on_change: called with every snapshot. :param snapshot: makes one. :param result: makes that of a run.
    :param cut: drops the run that is on.
    """

    def __init__(
        self,
        on_change: Callable[[Snapshot], None],
        snapshot: Callable[[], Snapshot],
        result: Callable[[str], DragResult],
        cut: Callable[[], None],
    ) -> None:
        self.status, self.message = "idle", ""
        """See ``Snapshot``."""
        self.trouble = ""
        """Likewise."""
        self._failure: BaseException | None = None
        self._waiting: list[Future[DragResult]] = []
        self._on_change, self._snapshot, self._result, self._cut = on_change, snapshot, result, cut

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for the end of the run."""
        return any(not done.cancelled() for done in self._waiting)

    def wait(self, done: Future[DragResult]) -> None:
        """Resolve a future when ``settle`` is called next."""
        self._waiting.append(done)

    def set_status(self, status: str, message: str, failure: BaseException | None = None) -> None:
        """Say how it is from now on, and tell everybody. :param failure: what ended the run, if something did."""
        self.status, self.message, self._failure, self.trouble = status, message, failure, ""
        self.publish()
        if status not in ("running", "paused"):
            self.settle()

    def publish(self) -> None:
        """Tell everybody. Never raises: a listener that fails ends the run, which is told in turn."""
        try:
            self._on_change(self._snapshot())
        except BaseException as error:  # a sys.exit() of somebody's observer, too, must not end the worker
            log.exception("the picture could not be shown")
            self._cut()
            self._failure = error
            self.status, self.message = "error", failed(NOT_SHOWN, error)
            snapshot = self._snapshot()
            with contextlib.suppress(BaseException):
                self._on_change(snapshot)
            self.settle()

    def close(self, failure: BaseException) -> None:
        """Tell those who wait that nothing more will come."""
        self._failure = failure
        self.settle()

    def settle(self) -> None:
        """Tell those who wait how the last run ended."""
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            if not done.set_running_or_notify_cancel():
                continue
            if self._failure is not None:
                done.set_exception(self._failure)
            else:
                done.set_result(self._result(self.status))
