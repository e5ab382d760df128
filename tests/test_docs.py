"""README and docs: short enough, true to the code, and leading somewhere."""

from __future__ import annotations

import argparse
import ast
import csv
import importlib
import re
import shlex
from pathlib import Path

import field
import pytest
import tomllib
import tracking_table

import draggan_widget
from draggan_widget import DragConfig, cli, drag
from draggan_widget.analysis.experiments.evaluation import Evaluation
from draggan_widget.engines import (
    DragDiffusion,
    FastDrag,
    FreeDrag,
    GoodDrag,
    Natural,
    Predicted,
    StableDrag,
    unregister,
)
from draggan_widget.settings import settings_in

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
LONGEST = 120
NAMED = re.compile(r"(?:draggan_widget|js|tests|examples|docs)/[\w./-]*\w\.\w+")
PYTHONS = [f"3.{minor}" for minor in range(10, 14)]


def text_of(path):
    return path.read_text(encoding="utf-8")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def headings(text):
    """The names that links to parts of a page use."""
    found = re.findall(r"^#+ +(.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def parsers():
    """The command's parser for each of its commands, by name."""
    (subparsers,) = (action for action in cli.make_parser()._actions if isinstance(action, argparse._SubParsersAction))
    return subparsers.choices


def commands_shown(text):
    """What the page shows of ``draggan-widget``: command and arguments of each line, without its comment."""
    shown = re.sub(r"\\\n\s*", " ", text)
    for line in re.findall(r"(?:\bbin/|^|`)draggan-widget ([a-z][^\n`]*)", shown, re.MULTILINE):
        command, *arguments = shlex.split(line, comments=True)
        yield command, arguments


def test_the_readme_is_for_a_newcomer():
    assert len(README.read_bytes()) <= 9000
    text = text_of(README)
    assert text.count("\n|---") == 1  # one table
    assert 'Editor("faces", seed=9)' in text


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_are_of_a_length_that_a_person_can_read(page):
    code = False
    for number, line in enumerate(text_of(page).splitlines(), start=1):
        code ^= line.startswith("```")
        if not code and not line.startswith(("|", "<img")):
            assert len(line) <= LONGEST, f"{name_of(page)}:{number}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    text = text_of(page)
    links = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text)
    for link in (one or other for one, other in links):
        if "://" in link:
            continue
        path, _, part = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)} links to {link}"
        assert target.is_relative_to(ROOT), f"{name_of(page)} links out of the repository: {link}"
        if part:
            assert part in headings(text_of(target)), f"{name_of(page)} links to {link}"


def test_every_page_is_reached_from_the_readme():
    linked = set(re.findall(r"\]\((docs/\w+\.md)", text_of(README)))
    assert linked == {name_of(page) for page in PAGES[1:]}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_is_named_is_there(page):
    missing = [name for name in NAMED.findall(text_of(page)) if not (ROOT / name).exists()]
    assert missing == []


def test_every_command_and_option_that_is_shown_exists():
    known, seen = parsers(), set()
    for page in [*PAGES, *sorted((ROOT / "examples").glob("*.ipynb"))]:
        for command, arguments in commands_shown(text_of(page)):
            assert command in known, f"{name_of(page)} shows draggan-widget {command}"
            options = [each.partition("=")[0] for each in arguments if each.startswith("--") and each != "--"]
            unknown = set(options) - set(known[command]._option_string_actions)
            assert not unknown, f"{name_of(page)} shows draggan-widget {command} {' '.join(unknown)}"
            seen.add(command)
    assert seen == set(known)  # and none is left out


def test_options_in_running_text_are_some_commands():
    options = {option for parser in parsers().values() for option in parser._option_string_actions}
    for page in PAGES:
        prose = re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)
        for words in re.findall(r"`([^`\n]*)`", prose):
            for option in re.findall(r"(?<!\S)--[a-z][\w-]*", words):
                if not words.startswith(("python ", ".venv", "npm", "tests/", "pytest")):
                    assert option in options, f"{name_of(page)} names {option}"


def blocks_of(page):
    return re.findall(r"^```python\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_that_is_shown_is_python_and_imports_what_there_is(page):
    for block in blocks_of(page):
        tree = compile(block, name_of(page), "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("draggan_widget"):
                module = importlib.import_module(node.module)
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_the_engine_that_is_shown_drags(generator):
    (block,) = (block for block in blocks_of(ROOT / "docs" / "engines.md") if "register(" in block)
    space = {}
    try:
        exec(block, space)
        result = drag(generator, generator.mapping(seed=1), [(20, 20)], [(30, 20)], config=space["Nudge"](pace=0.5))
        assert (result.reason, result.steps) == ("arrived", 4)
    finally:
        unregister("nudge")


def settings_table(config):
    """The settings of an engine as a table, made from the one place where they are declared."""
    own = config()
    rows = ["| name | in the page | by default | what it does |", "|---|---|---|---|"]
    for name, setting in settings_in(config).items():
        value = getattr(own, name)
        default = setting.none if value is None else f"`{value}`"
        said = f"{setting.help} {setting.wanted[0].upper()}{setting.wanted[1:]}."
        rows.append(f"| `{name}` | {setting.label} | {default} | {said} |")
    return "\n".join(rows)


@pytest.mark.parametrize(
    "config", [Natural, DragConfig, FreeDrag, StableDrag, GoodDrag, Predicted, DragDiffusion, FastDrag]
)
def test_the_table_of_settings_is_that_of_the_code(config):
    table, page = settings_table(config), "predictors" if config is Predicted else "engines"
    assert table in text_of(ROOT / "docs" / f"{page}.md"), f"docs/{page}.md needs this table:\n{table}"


def test_the_page_of_engines_side_by_side_is_that_of_the_rows():
    page = text_of(ROOT / "docs" / "field.md")
    rows = list(csv.reader(text_of(field.FOLLOWED).splitlines()))[1:]
    made = field.tables(Evaluation.from_csv(text_of(field.ROWS)), rows)
    assert len([line for line in made.splitlines() if line.startswith("|")]) > 18
    assert field.renewed(page, made) == page, "write it anew: .venv/bin/python tests/field.py --page"
    with pytest.raises(ValueError, match="the page has no"):
        field.renewed("no marks", made)


def test_the_table_of_trackers_is_that_of_the_rows():
    rows = list(csv.reader(text_of(ROOT / "docs" / "data" / "trackers.csv").splitlines()))[1:]
    page = text_of(ROOT / "docs" / "engines.md")
    names = list(dict.fromkeys(row[0] for row in rows))
    assert len(names) > 4
    assert [
        name for name in names if tracking_table.line(name, [row for row in rows if row[0] == name]) not in page
    ] == []


def test_the_table_of_crossings_is_that_of_the_raw_rows():
    raw = text_of(ROOT / "docs" / "data" / "crossings.txt")
    rows = re.findall(r"^(a \w+): (\d+) modules, (\d+) calls between them, (\d+) back$", raw, re.MULTILINE)
    before, now = rows[:3], rows[3:]
    assert len(now) == 3
    page = text_of(ROOT / "docs" / "architecture.md")
    for one, other in zip(before, now, strict=True):
        cells = [one[0], *(cell for pair in zip(one[1:], other[1:], strict=True) for cell in pair)]
        assert f"| {' | '.join(cells)} |" in page


def test_package_citation_changelog_and_pages_name_the_same_version():
    version = draggan_widget.__version__
    assert f"\nversion: {version}\n" in text_of(ROOT / "CITATION.cff")
    (newest, *_) = re.findall(r"^## (\S+)", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert newest == version
    named = [each for page in (README, *PAGES) for each in re.findall(r"draggan_widget-([\w.]+)-py3", text_of(page))]
    assert len(named) > 1
    assert {*named} == {version}


def test_metadata_docs_and_tools_name_the_same_pythons():
    metadata = tomllib.loads(text_of(ROOT / "pyproject.toml"))
    first, last = PYTHONS[0], PYTHONS[-1]
    assert metadata["project"]["requires-python"] == f">={first}"
    prefix = "Programming Language :: Python :: 3."
    assert [
        each.rpartition(" ")[2] for each in metadata["project"]["classifiers"] if each.startswith(prefix)
    ] == PYTHONS
    assert metadata["tool"]["ruff"]["target-version"] == f"py{first.replace('.', '')}"
    assert metadata["tool"]["mypy"]["python_version"] == first
    for page in PAGES:
        for one, other in re.findall(r"Pythons? (3\.\d+) to (3\.\d+)", text_of(page)):
            assert (one, other) == (first, last), name_of(page)
    assert f"Python {first} to {last}" in text_of(README)
    assert f"Python {first} to {last}" in text_of(ROOT / "docs" / "development.md")
    assert f"PYTHONS = {PYTHONS}".replace("'", '"') in text_of(ROOT / "tests" / "matrix.py")
