"""One edit over time: the session and its worker thread, history, undo and redo, `.drag` files."""

from draggan_widget.editing.asking import Asked, Asking, amounts_in, held_in
from draggan_widget.editing.code import code_of, is_code
from draggan_widget.editing.comparison import Pulled, pull_of, pulled_by
from draggan_widget.editing.document import Document, Snapshot
from draggan_widget.editing.dragfile import (
    DragFile,
    DragFileError,
    check_drag_path,
    drag_job,
    load_drag,
    save_drag,
)
from draggan_widget.editing.drawing import draw_points
from draggan_widget.editing.export import FILES, KINDS, Kind, can_write_mp4, png
from draggan_widget.editing.export import latent as latent_bytes
from draggan_widget.editing.feedback import NO_FEEDBACK, Feedback, Observer, Texture
from draggan_widget.editing.films import film, gif
from draggan_widget.editing.finishing import finished, pasted
from draggan_widget.editing.first_jump import FIRST, jump_setting, jump_told
from draggan_widget.editing.fitting import Fitting, Placing
from draggan_widget.editing.history import History, Record, at_step, later, thinned
from draggan_widget.editing.jobs import (
    COMPARING,
    LOADING,
    PHOTO,
    GivenUpError,
    Progress,
    Running,
    Work,
    finish,
    in_thread,
)
from draggan_widget.editing.maskfile import read_mask, save_mask
from draggan_widget.editing.model import Model, OnProgress, check_label, check_truncation
from draggan_widget.editing.own_picture import LEARNT, knowing
from draggan_widget.editing.points import check_points
from draggan_widget.editing.prompting import known_words, prompt_of
from draggan_widget.editing.provenance import provenance_of
from draggan_widget.editing.session import Session
from draggan_widget.editing.settings import (
    SETTINGS,
    check_settings,
    default_settings,
    limits_of,
    settings_for,
    settings_in_use,
    settings_of,
    settings_there,
    usual_settings,
    with_settings,
)

__all__ = [
    "COMPARING",
    "FILES",
    "FIRST",
    "KINDS",
    "LEARNT",
    "LOADING",
    "NO_FEEDBACK",
    "PHOTO",
    "SETTINGS",
    "Asked",
    "Asking",
    "Document",
    "DragFile",
    "DragFileError",
    "Feedback",
    "Fitting",
    "GivenUpError",
    "History",
    "Kind",
    "Model",
    "Observer",
    "OnProgress",
    "Placing",
    "Progress",
    "Pulled",
    "Record",
    "Running",
    "Session",
    "Snapshot",
    "Texture",
    "Work",
    "amounts_in",
    "at_step",
    "can_write_mp4",
    "check_drag_path",
    "check_label",
    "check_points",
    "check_settings",
    "check_truncation",
    "code_of",
    "default_settings",
    "drag_job",
    "draw_points",
    "film",
    "finish",
    "finished",
    "gif",
    "held_in",
    "in_thread",
    "is_code",
    "jump_setting",
    "jump_told",
    "knowing",
    "known_words",
    "latent_bytes",
    "later",
    "limits_of",
    "load_drag",
    "pasted",
    "png",
    "prompt_of",
    "provenance_of",
    "pull_of",
    "pulled_by",
    "read_mask",
    "save_drag",
    "save_mask",
    "settings_for",
    "settings_in_use",
    "settings_of",
    "settings_there",
    "thinned",
    "usual_settings",
    "with_settings",
]
