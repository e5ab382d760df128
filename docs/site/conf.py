"""How Sphinx makes the site: the pages stay where people read them in the repository, so the source is its root."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from draggan_widget import __version__  # noqa: E402

project = "draggan_widget"
author = "The draggan_widget contributors"
version = release = __version__
root_doc = "README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/site/*.md",
    "examples/*.ipynb",
    "examples/generators/faces_diffusion/README.md",
    "examples/generators/figures/README.md",
    "draggan_widget/models/builtin/faces.md",
    "draggan_widget/models/builtin/faces-diffusion.md",
    "draggan_widget/models/builtin/figures.md",
]
# Folders without pages are not searched: there may be thousands of files in them.
exclude_patterns = [".*", "build", "dist", "js", "tests"]

extensions = ["myst_nb", "sphinx.ext.autodoc"]
myst_enable_extensions = ["html_image"]
myst_heading_anchors = 4
# The tests run every notebook; here their code is shown. `-D nb_execution_mode=cache` runs them for the site as well.
nb_execution_mode = "off"
nb_execution_timeout = 600

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
default_role = "literal"

html_theme = "furo"
html_title = "draggan_widget"
html_static_path = ["../../draggan_widget/widget/static", "demo"]
html_css_files = ["demo.css"]
html_extra_path = ["extra"]
html_show_copyright = False
pygments_dark_style = "github-dark"  # that of the theme underlines the names of modules, as if they were links
html_copy_source = False

CONTENTS = """
```{toctree}
:hidden:

docs/site/demo
docs/widget
docs/figures
docs/photos
docs/directions
docs/diffusion
docs/checkpoints
docs/hosts
docs/analysis
```

```{toctree}
:hidden:
:caption: Methods

docs/engines
docs/field
docs/predictors
docs/benchmarks
```

```{toctree}
:hidden:
:caption: Notebooks

examples/quickstart
examples/figures
examples/words
examples/your_photo
examples/your_checkpoint
examples/diffusion
examples/analysis
examples/benchmark
examples/colab
```

```{toctree}
:hidden:
:caption: Reference

docs/site/reference
docs/architecture
docs/development
CONTRIBUTING
CHANGELOG
draggan_widget/models/builtin/faces
draggan_widget/models/builtin/faces-diffusion
draggan_widget/models/builtin/figures
examples/generators/faces_diffusion/README
examples/generators/figures/README
```
"""
"""The table of contents, which the README itself cannot have: it is read on other pages too."""


LINK = re.compile(r"\[([^\]]*)\]\(([^)#:\s]+)\)")


def prepare(app: Any, docname: str, source: list[str]) -> None:
    """Put the table of contents under the first page, and take links to folders away: a site has none to look into."""
    if docname == root_doc:
        source[0] += CONTENTS
    page = Path(app.env.doc2path(docname))
    if page.suffix == ".md":
        source[0] = LINK.sub(lambda link: link[1] if (page.parent / link[2]).is_dir() else link[0], source[0])


FIELD = re.compile(r"\s+(?=:(?:param \w+|returns?|raises [\w.]+):)")


def a_line_each(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Give every ``:param x:`` of a docstring a line, as Sphinx wants it: ours go on in one where there is room."""
    told: list[str] = []
    inside = False
    for line in lines:
        first, *fields = FIELD.split(line.strip())
        begins = first.startswith(":")
        inside = bool(first) and (inside or begins)
        # What goes on with a field is farther in.
        told.append(f"    {first}" if inside and not begins else line[: len(line) - len(line.lstrip())] + first)
        if fields and not inside:
            told.append("")  # a paragraph ends before the fields begin
        inside = inside or bool(fields)
        told += fields
    lines[:] = told


def setup(app: Any) -> dict[str, bool]:
    """Connect both."""
    app.connect("source-read", prepare)
    app.connect("autodoc-process-docstring", a_line_each)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
