"""One edit over time: the session and its worker thread, history, undo and redo, `.drag` files."""

from draggan_widget.editing.dragfile import DragFileError, load_drag, save_drag
from draggan_widget.editing.feedback import NO_FEEDBACK, Feedback, Observer, Texture, warning_of
from draggan_widget.editing.history import History, Record
from draggan_widget.editing.model import Model, check_label
from draggan_widget.editing.moment import Moment, Snapshot
from draggan_widget.editing.points import check_points
from draggan_widget.editing.session import Session

__all__ = [
    "NO_FEEDBACK",
    "DragFileError",
    "Feedback",
    "History",
    "Model",
    "Moment",
    "Observer",
    "Record",
    "Session",
    "Snapshot",
    "Texture",
    "check_label",
    "check_points",
    "load_drag",
    "save_drag",
    "warning_of",
]
