"""The old name of ``draggan_widget.models``, kept for one release."""

from draggan_widget.models import *  # noqa: F403
from draggan_widget.models import __all__  # noqa: F401
