"""The site of the docs: it builds without a warning, its links lead somewhere, and it loads nothing from elsewhere."""

from __future__ import annotations

import base64
import html
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SITE = ROOT / "docs" / "site"


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("build_of_the_site", SITE / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_site_builds_without_a_warning_and_holds_docs_notebooks_docstrings_and_the_demo(tmp_path):
    # All in one test, so that it is built once.
    done = subprocess.run(
        [sys.executable, SITE / "build.py", tmp_path / "site"], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    pages = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*.html")}
    sources = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *SITE.glob("*.md"), *ROOT.glob("examples/*.ipynb")]
    assert {path.relative_to(ROOT).with_suffix(".html").as_posix() for path in sources} <= pages
    assert "index.html" in pages
    text = lambda name: (tmp_path / "site" / name).read_text(encoding="utf-8")  # noqa: E731
    shown = re.sub(r"</?span[^>]*>", "", text("examples/quickstart.html"))  # without the colours
    assert 'Editor("faces", seed=9)' in html.unescape(shown)
    assert "Pull the content at" in text("docs/site/reference.html")  # of the docstring of `drag`
    for name in ("index.js", "recorded.js", "recording.json"):
        assert (tmp_path / "site" / "_static" / name).exists()


def test_what_leads_nowhere_or_elsewhere_is_found(build, tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="there">A</h1><a href="b.html">gone</a> <a href="#there">fine</a> <a href="#gone">gone</a>'
        '<a href="sub/c.html#part">fine</a><a href="sub/c.html#no">gone</a><img src="https://example.org/a.png">'
        '<a href="https://example.org">fine</a><img src="sub/p%20q.png">'
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.html").write_text('<h2 id="part">C</h2><a href="../a.html#there">fine</a>')
    (tmp_path / "sub" / "p q.png").write_bytes(b"")
    assert build.broken(tmp_path) == [
        "a.html: b.html: leads nowhere",
        "a.html: #gone: the page has no such part",
        "a.html: sub/c.html#no: the page has no such part",
        "a.html: https://example.org/a.png: is loaded from elsewhere",
    ]


def test_the_recording_of_the_demo_is_small_and_whole():
    path = SITE / "demo" / "recording.json"
    assert path.stat().st_size < 1_000_000
    recording = json.loads(path.read_text())
    assert len(recording["steps"]) == recording["state"]["length"] == len(recording["course"]["steps"])
    assert recording["course"]["steps"] == list(range(recording["state"]["length"]))
    distances = [max(point["distance"] for point in step["points"]) for step in recording["steps"]]
    assert distances[-1] < distances[0] / 2
    assert all(base64.b64decode(step["picture"]).startswith(b"\xff\xd8\xff") for step in recording["steps"])
