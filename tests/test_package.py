"""The package as people get it: wheel, notebooks, README."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from random_stylegan2 import small_stylegan2
from show import EDITS

from draggan_widget import drag, load_generator
from draggan_widget.inversion import Landmarks
from draggan_widget.models import save_generator

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "draggan_widget"
DIFFUSION = (
    *("model_index.json", "words.json", "words.safetensors", "scheduler/scheduler_config.json"),
    *("unet/config.json", "unet/diffusion_pytorch_model.safetensors"),
)
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_bundle_weights_cards_notebooks_and_type_marker(wheel):
    names = set(wheel.namelist())
    expected = {
        "draggan_widget/py.typed",
        "draggan_widget/widget/static/index.js",
        "draggan_widget/widget/static/more.js",
        "draggan_widget/models/builtin/faces.safetensors",
        "draggan_widget/models/builtin/faces.md",
        "draggan_widget/models/builtin/faces_attributes.json",
        "draggan_widget/models/builtin/faces-diffusion.md",
        "draggan_widget/models/builtin/figures.md",
        "draggan_widget/models/builtin/figures.safetensors",
        *(f"draggan_widget/models/builtin/faces-diffusion/{name}" for name in DIFFUSION),
        "draggan_widget/analysis/experiments/field.csv",
        *(f"draggan_widget/examples/{path.name}" for path in (ROOT / "examples").glob("*.ipynb")),
    }
    assert expected <= names
    for name in ("widget/static/index.js", "widget/static/more.js", "models/builtin/faces.safetensors"):
        assert wheel.read(f"draggan_widget/{name}") == (PACKAGE / name).read_bytes()
    assert not [name for name in names if not name.startswith("draggan_widget")]


def test_the_wheel_works_from_where_it_is_unpacked(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = (
        "import draggan_widget, sys; from draggan_widget import load_generator, cli\n"
        "assert draggan_widget.__file__.startswith(sys.argv[1])\n"
        "print(load_generator('faces').resolution[0] >= 256, [p.name for p in cli.example_notebooks()])"
    )
    printed = subprocess.check_output(
        [sys.executable, "-c", code, str(tmp_path)], text=True, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}
    )
    assert printed == f"True {sorted(path.name for path in (ROOT / 'examples').glob('*.ipynb'))}\n"


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda path: path.name)
def test_example_notebooks_run_headless_and_become_pages_that_show_the_picture(path, tmp_path):
    if path.name == "diffusion.ipynb":
        pytest.importorskip("diffusers")
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=200, store_widget_state=False, resources=resources).execute()
    shown = [
        output.data for cell in notebook.cells for output in cell.get("outputs", ()) if WIDGET in output.get("data", ())
    ]
    page, _ = HTMLExporter().from_notebook_node(notebook)
    editors = [data for data in shown if data["text/plain"].startswith("Editor of")]
    assert len(editors) == (path.name != "benchmark.ipynb")
    for data in editors:
        assert f"data:image/jpeg;base64,{data['image/jpeg']}" in page.replace("\n", "")


def test_the_notebook_of_your_own_model_takes_a_path_and_says_what_it_did(tmp_path):
    notebook = nbformat.read(ROOT / "examples" / "your_checkpoint.ipynb", as_version=4)
    (path,) = [cell for cell in notebook.cells if cell.source.startswith("PATH = ")]
    generator = small_stylegan2(64, c_dim=3)
    save_generator(tmp_path / "mine.safetensors", generator)
    path.source = "PATH = 'mine.safetensors'"
    NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = "".join(out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", ()))
    assert re.search(r"pictures +64 × 64 px, RGB", said)
    assert "3 classes; the picture is of class 2" in said
    assert "mine-half.safetensors: stylegan2" in said
    assert "download.pkl is a web page" in said
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine-half.safetensors", "mine.safetensors"]


@pytest.mark.parametrize(("name", "most"), [("index.js", 120_000), ("more.js", 40_000)])
def test_the_bundles_are_small_and_fetch_nothing(name, most):
    bundle = (PACKAGE / "widget" / "static" / name).read_text()
    assert len(bundle.encode()) < most
    # The first imports the second, which the kernel has sent, by an address that it makes of its text.
    own = re.findall(r"import\((\w+|`data:text/javascript,\$\{encodeURIComponent\([^`]*\)\}`)\)", bundle)
    assert len(own) == len(re.findall(r"import\s*\(", bundle)) == (2 if name == "index.js" else 0)
    assert [
        each for each in own if not each.startswith("`data:") and f"{each}=URL.createObjectURL(" not in bundle
    ] == []
    assert not re.search(
        r"""fetch\s*\(|XMLHttpRequest|@import|url\(\s*["']?https?:|["']https?://(?!www\.w3\.org)""", bundle
    )


def test_the_second_bundle_has_nothing_of_the_first_but_its_parameter():
    first, second = ((PACKAGE / "widget" / "static" / name).read_text() for name in ("index.js", "more.js"))
    assert "export default (dg)=>{" in second
    given = re.search(r"\{([^{}]*)\}=dg;", second)[1]
    names = [each.split(":")[0].strip() for each in given.split(",")]
    shared = (ROOT / "js" / "src" / "shared.ts").read_text()
    assert sorted(names) == sorted(
        name.strip() for line in re.findall(r"export \{(.*?)\}", shared, re.DOTALL) for name in line.split(",")
    )
    assert all(f"{name}:()=>" in first for name in names)


def test_both_readme_commands_are_one_line_and_use_the_one_constraints_file():
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"^python3 -m venv .*$", readme, re.MULTILINE)
    assert len(commands) == 2
    assert all("-c constraints.txt" in command for command in commands)
    assert commands[0].endswith("draggan-widget demo")
    assert commands[1].endswith("tests/run.py")
    assert (ROOT / "constraints.txt").read_text().splitlines()[0] == "torch==2.13.0"


def test_every_file_that_the_readme_links_to_is_there():
    readme = (ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"(?:\]\(|src=\")([^)\"]+)[)\"]", readme) if "://" not in link]
    assert len(links) >= 4
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_tells_those_who_cannot_see_the_edits_what_they_are():
    alt = re.search(r'docs/edits\.jpg"[^>]*alt="([^"]*)"', (ROOT / "README.md").read_text())[1]
    assert alt == f"{len(EDITS)} edits, before and after: {', '.join(what for what, *_ in EDITS)}".replace("4", "Four")


def test_the_pull_of_the_examples_takes_a_corner_of_the_mouth_and_arrives():
    notebook = nbformat.read(ROOT / "examples" / "quickstart.ipynb", as_version=4)
    texts = [(ROOT / "README.md").read_text(), "\n".join(cell.source for cell in notebook.cells)]
    pair = r"\[\((\d+), (\d+)\)\]"
    pattern = rf"seed=(\d+), truncation=0.7\)\nresult = drag\(generator, ws, handles={pair}, targets={pair}\)"
    found = {re.search(pattern, text).groups() for text in texts}
    assert len(found) == 1
    seed, x, y, to_x, to_y = (int(number) for number in found.pop())
    generator = load_generator("faces")
    result = drag(generator, generator.mapping(seed=seed, truncation=0.7), [(x, y)], [(to_x, to_y)])
    marks = Landmarks()(np.asarray(result.before))
    assert np.linalg.norm(marks[[48, 54]] - (x, y), axis=1).min() <= 4
    assert result.reason == "arrived"


def test_notebooks_name_a_kernel_that_everybody_has():
    for path in (ROOT / "examples").glob("*.ipynb"):
        assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "python3"
