"""The house: which room may import which, through which door, without circles, and what is loaded when.

Rooms are the packages and single modules right under ``draggan_widget``. All is read from the source with ``ast``; an
import inside a function or under ``TYPE_CHECKING`` counts for rooms, but not for circles.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import draggan_widget

ROOT = Path(__file__).parent.parent
HOUSE = "draggan_widget"
FLOORS = [
    ["texts"],
    ["files", "settings", "probe"],
    ["config"],
    ["models"],
    ["engines"],
    ["inversion", "directions"],
    ["editing"],
    ["analysis"],
    ["widget"],
    ["doctor"],
    ["cli"],
    ["__main__"],
]
"""From below. A room imports rooms of floors below its own only."""
ALIASES = {"generators": "models", "dragging": "engines"}
"""Old names of rooms, kept for people; the house itself uses none of them."""
COMMANDS = {
    *(f"{HOUSE}.analysis.{name}.command" for name in ("benchmarks", "experiments", "training")),
    f"{HOUSE}.analysis.bulk_command",
    f"{HOUSE}.inversion.command",
}
"""Modules that declare what a command takes: the command line imports them without what they work with."""
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def modules():
    """All modules of the package: names, and whether they are packages, with their trees."""
    found = {}
    for path in sorted((ROOT / HOUSE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        package = parts[-1] == "__init__"
        found[".".join(parts[:-1] if package else parts)] = (package, ast.parse(path.read_text(encoding="utf-8")))
    return found


MODULES = modules()


def room_of(module):
    return module.split(".")[1] if "." in module else ""


def imports(tree):
    """What a tree imports of the house, as (module, line, whether at once): names of modules as far as they are some.

    A name taken from the package itself, ``from draggan_widget import drag``, is that of the room it lives in.
    """

    def visit(node, at_once):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            at_once = False
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from visit(child, False)
            for child in node.orelse:
                yield from visit(child, at_once)
            return
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, at_once
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno} imports relatively"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if node.module == HOUSE and alias.name in draggan_widget._ROOMS:
                    name = f"{HOUSE}.{draggan_widget._ROOMS[alias.name]}"
                yield (name if name in MODULES else node.module), node.lineno, at_once
        else:
            for child in ast.iter_child_nodes(node):
                yield from visit(child, at_once)

    for name, line, at_once in visit(tree, True):
        if name.split(".")[0] == HOUSE:
            yield name, line, at_once


def between_rooms():
    """All imports from one room to another: importing module, line, imported module."""
    for module, (_, tree) in MODULES.items():
        for target, line, _ in imports(tree):
            if target != HOUSE and room_of(target) != room_of(module) and module != HOUSE:
                yield module, line, target


def test_every_room_has_its_floor():
    rooms = {room_of(module) for module in MODULES} - {""}
    assert rooms - set(FLOOR_OF) - set(ALIASES) == set()


def test_no_room_imports_one_above_it_or_beside_it():
    up = [
        f"{module}:{line} imports {target}"
        for module, line, target in between_rooms()
        if room_of(module) not in ALIASES
        and room_of(target) not in ALIASES
        and FLOOR_OF[room_of(target)] >= FLOOR_OF[room_of(module)]
    ]
    assert up == []


def test_rooms_import_each_other_through_their_doors_only():
    inner = [
        f"{module}:{line} imports {target}"
        for module, line, target in between_rooms()
        if "." in target.removeprefix(f"{HOUSE}.")
        and not MODULES[target][0]
        and not (room_of(module) == "cli" and target in COMMANDS)
    ]
    assert inner == []


@pytest.mark.parametrize("alias", ALIASES)
def test_an_old_name_of_a_room_only_hands_on_what_that_room_has_and_nobody_here_uses_it(alias):
    for module, (_, tree) in MODULES.items():
        if room_of(module) == alias:
            assert {room_of(target) for target, _, _ in imports(tree)} == {ALIASES[alias]}
            kinds = {type(node) for node in tree.body}
            assert kinds <= {ast.ImportFrom, ast.Import, ast.Assign, ast.Expr}, f"{module} does something itself"
    users = [f"{module}:{line}" for module, line, target in between_rooms() if room_of(target) == alias]
    assert users == []


def test_there_are_no_circles_among_modules():
    edges = {
        module: {target for target, _, at_once in imports(tree) if at_once and target != module}
        for module, (_, tree) in MODULES.items()
    }
    done, way = set(), []

    def go(module):
        if module in way:
            pytest.fail("a circle: " + " → ".join([*way[way.index(module) :], module]))
        if module in done:
            return
        way.append(module)
        for target in sorted(edges.get(module, ())):
            go(target)
        done.add(way.pop())

    for module in MODULES:
        go(module)


@pytest.mark.parametrize("room", ["models", "engines", "inversion", "directions", "editing"])
def test_what_computes_knows_nothing_of_widgets(room):
    for module, (_, tree) in MODULES.items():
        if room_of(module) == room:
            for node in ast.walk(tree):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not {name.split(".")[0] for name in names} & {"ipywidgets", "anywidget", "traitlets"}, module


def test_importing_the_package_its_settings_and_its_command_line_imports_no_torch():
    code = (
        "import sys, draggan_widget, draggan_widget.config, draggan_widget.cli\n"
        "print(sorted({'torch', 'ipywidgets', 'anywidget', 'numpy'} & set(sys.modules)))"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT)
    assert said == "[]\n"


def test_the_side_of_gans_imports_nothing_that_diffusion_models_need():
    code = (
        "import sys; from draggan_widget import Editor, drag, load_generator\n"
        "faces = load_generator('faces', 'cpu'); drag(faces, faces.mapping(seed=1), [(98, 174)], [(96, 172)])\n"
        "editor = Editor(faces, seed=1, models='.'); editor.image; editor.close()\n"
        "print(sorted({'diffusers', 'transformers', 'peft'} & set(sys.modules)))"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT)
    assert said == "[]\n"


def test_every_public_name_loads_from_its_room():
    from draggan_widget import analysis

    for package in (draggan_widget, analysis):
        for name in package.__all__:
            assert getattr(package, name).__name__ == ("Editor" if name == "DragGAN" else name)
    assert set(draggan_widget._ROOMS) == set(draggan_widget.__all__)


def test_the_reader_of_imports_sees_what_it_is_meant_to_see():
    source = """
from typing import TYPE_CHECKING
import torch
from draggan_widget import drag, probe
from draggan_widget.models import StyleGAN2
if TYPE_CHECKING:
    from draggan_widget.widget.editor import Editor
else:
    import draggan_widget.files
def later():
    from draggan_widget.models.stylegan2 import layers
"""
    assert list(imports(ast.parse(source))) == [
        ("draggan_widget.engines", 4, True),
        ("draggan_widget.probe", 4, True),
        ("draggan_widget.models", 5, True),
        ("draggan_widget.widget.editor", 7, False),
        ("draggan_widget.files", 9, True),
        ("draggan_widget.models.stylegan2.layers", 11, False),
    ]
