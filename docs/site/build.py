"""Builds the site and follows its links: ``python docs/site/build.py [FOLDER] [-- SPHINX_ARGUMENTS]``.

Every warning of Sphinx is an error, and so is a link or a picture that leads nowhere, and anything that a page would
load from elsewhere: the site works without a network. What other people's pages answer is no check of ours;
``-- -b linkcheck`` asks them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("sphinx", "myst_nb", "furo")
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("video", "src")}
"""Tags and attributes by which a page loads something at once."""


class Page(HTMLParser):
    """What a page links to, and where links into it may lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[tuple[str, bool]] = []
        """Address, and whether it is loaded at once."""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note its names and links."""
        told = {name: value for name, value in attrs if value is not None}
        self.names.update(told[name] for name in ("id", "name") if name in told)
        self.links += [(told[name], (tag, name) in LOADED) for name in ("href", "src") if name in told]

    handle_startendtag = handle_starttag


def broken(folder: Path) -> list[str]:
    """Return a line for every link of the pages under ``folder`` that leads nowhere, or loads from elsewhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    return [
        f"{path.relative_to(folder).as_posix()}: {link}: {why}"
        for path, page in pages.items()
        for link, loaded in page.links
        for why in wrong(path, link, loaded, pages)
    ]


def wrong(path: Path, link: str, loaded: bool, pages: dict[Path, Page]) -> Iterator[str]:
    """Yield what is wrong with a link of the page at ``path``."""
    address = urlsplit(link)
    if address.scheme in ("data", "mailto"):
        return
    if address.scheme or address.netloc:
        if loaded:
            yield "is loaded from elsewhere"
        return
    target = (path.parent / unquote(address.path)).resolve() if address.path else path.resolve()
    if not target.exists():
        yield "leads nowhere"
    elif address.fragment and target in pages and unquote(address.fragment) not in pages[target].names:
        yield "the page has no such part"


def main(arguments: list[str]) -> int:
    """Build and check; returns the exit status."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        print(f'the site needs {", ".join(missing)}: {sys.executable} -m pip install -e ".[docs]"', file=sys.stderr)
        return 1
    at = arguments.index("--") if "--" in arguments else len(arguments)
    folder = Path(arguments[0] if at else ROOT / "build" / "site").resolve()
    trees = folder.with_name(f"{folder.name}-doctrees")
    strict = ["-W", "--keep-going", "-q", "-c", str(ROOT / "docs" / "site"), "-d", str(trees)]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *strict, *arguments[at + 1 :], str(ROOT), str(folder)], check=False
    )
    lines = broken(folder)
    print("\n".join(lines) if lines else f"{folder}: {len(list(folder.rglob('*.html')))} pages")
    return int(bool(built.returncode or lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
