"""``python -m draggan_widget`` is the ``draggan-widget`` command."""

import sys

from draggan_widget.cli import main

sys.exit(main())
