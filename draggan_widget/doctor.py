"""``draggan-widget doctor``: what may be wrong with an installation, and what would help."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from draggan_widget import probe

DESCRIPTION = """Look at what the widget needs: packages on the kernel's and on the server's side, the widget manager,
torch and its device, folders to write in, and a step of a real edit. Ends with status 1 if something is wrong."""
SLOW = 1.0
"""Seconds of a step above which something is said: on one ordinary core the built-in faces take a tenth of it."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and what would help where it is not good."""

    level: Literal["ok", "note", "wrong"]
    what: str
    said: str
    remedy: str = ""


Findings = Iterator[Finding]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``doctor``."""
    parser.add_argument("--json", action="store_true", help="all findings as JSON")


def run_doctor(options: argparse.Namespace) -> int:
    """Print all findings. Return 1 if something is wrong."""
    here = probe.probe()
    findings = []
    for check in (check_kernel, check_servers, check_torch, check_diffusion, check_writing, check_step):
        for finding in _safely(check, here):
            findings.append(finding)
            if not options.json:
                _print(finding)
    wrong = sum(finding.level == "wrong" for finding in findings)
    if options.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1))
    else:
        print(f"\n{wrong} thing{'s' * (wrong != 1)} to put right." if wrong else "\nAll is well.")
    return int(wrong > 0)


def _safely(check: Callable[[dict[str, Any]], Findings], here: dict[str, Any]) -> Findings:
    """Yield the findings of a check; if it fails itself, that is one."""
    try:
        yield from check(here)
    except Exception as error:
        what = check.__name__.removeprefix("check_")
        yield Finding("wrong", what, f"{type(error).__name__}: {error}", "report this with the text above")


def _print(finding: Finding) -> None:
    sign = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}[finding.level]
    print(f"{sign}  {finding.what}: {finding.said}", flush=True)
    if finding.remedy:
        print(f"       → {finding.remedy}", flush=True)


def check_kernel(here: dict[str, Any]) -> Findings:
    """Check the packages that a kernel needs."""
    versions, python = here["versions"], here["python"]
    yield Finding("ok", "Python", f"{here['release']}, draggan_widget {versions['draggan_widget']}, {python}")
    for name, least in least_versions().items():
        if name in versions:
            yield _package(name, versions[name], least, python)
    yield _package("ipykernel", versions["ipykernel"], "6.29", python)


def _package(name: str, found: str | None, least: str, python: str) -> Finding:
    install = f'{python} -m pip install -U "{name}>={least}"'
    if found is None:
        return Finding("wrong", name, "not installed", install)
    if _numbers(found) < _numbers(least):
        return Finding("wrong", name, f"{found} is older than {least}", install)
    if name == "ipykernel" and _numbers(found)[:3] == (7, 0, 0):
        return Finding(
            "wrong", name, "7.0.0 cannot send from threads, so no picture follows", install + " 'ipykernel!=7.0.0'"
        )
    return Finding("ok", name, found)


def check_servers(here: dict[str, Any]) -> Findings:
    """Check the Jupyter programs: each needs the widget manager, anywidget's page, and a kernel."""
    servers = servers_of(here)
    if not servers:
        said = "no JupyterLab or Notebook found; VS Code, Colab and marimo bring their own page"
        yield Finding("note", "server", said, f"{here['python']} -m pip install jupyterlab")
    for side in servers:
        versions, python = side["versions"], side["python"]
        what = "server here" if side is here else f"server of {python}"
        names = [f"{name} {versions[name]}" for name in ("jupyterlab", "notebook") if versions[name]]
        yield Finding("ok", what, ", ".join(names) or "Jupyter")
        install = f"{python} -m pip install -U ipywidgets anywidget"
        for extension, package in ((probe.MANAGER, "the widget manager"), ("anywidget", "anywidget's page")):
            found = side["extensions"].get(extension)
            if found is None:
                yield Finding(
                    "wrong", what, f"{package} is missing, so no widget shows", f"{install}, and start it anew"
                )
            elif found == "disabled":
                name = extension.replace(os.sep, "/")
                yield Finding("wrong", what, f"{package} is disabled", f"jupyter labextension enable {name}")
            else:
                yield Finding("ok", what, f"{package} {found}")
        ours, manager = here["versions"]["ipywidgets"], side["extensions"].get(probe.MANAGER)
        if ours and manager not in (None, "disabled") and (_numbers(ours)[0] >= 8) != (_numbers(manager)[0] >= 5):
            said = f"the widget manager {manager} does not show widgets of the kernel's ipywidgets {ours}"
            yield Finding("wrong", what, said, f'{python} -m pip install "ipywidgets=={ours}", and start it anew')
        ours, theirs = here["versions"]["anywidget"], side["extensions"].get("anywidget")
        if ours and theirs not in (None, "disabled") and _numbers(ours)[:2] != _numbers(theirs)[:2]:
            said = f"anywidget is {theirs} here and {ours} in the kernel"
            yield Finding("wrong", what, said, f"{python} -m pip install anywidget=={ours}")
        yield from _kernels(what, side, here)


def _kernels(what: str, side: dict[str, Any], here: dict[str, Any]) -> Findings:
    if not side["kernels"]:
        yield Finding("wrong", what, "has no Python kernel", f"{here['python']} -m ipykernel install --user")
    for name, (command, *_) in side["kernels"].items():
        # Jupyter runs a kernel whose command is `python` with the server's own.
        python = side["python"] if re.fullmatch(r"python[\d.]*", command) else command
        if _same(python, here["python"]):
            yield Finding("ok", what, f"its kernel {name!r} is this Python")
            continue
        other = ask(python)
        install = f"choose another kernel, or {python} -m pip install {origin()}"
        if other is None:
            yield Finding(
                "note", what, f"its kernel {name!r} does not start: {python}", f"jupyter kernelspec remove {name}"
            )
        elif other["versions"]["draggan_widget"] is None:
            yield Finding("note", what, f"its kernel {name!r} is another Python without draggan_widget", install)
        else:
            version = other["versions"]["draggan_widget"]
            yield Finding("ok", what, f"its kernel {name!r} is another Python, with draggan_widget {version}")


def check_torch(here: dict[str, Any]) -> Findings:
    """Check which torch there is, and where it computes."""
    if here["versions"]["torch"] is None:
        return  # said already
    import torch

    from draggan_widget.models.checkpoints import best_device

    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    device = best_device()
    name = f" ({torch.cuda.get_device_name()})" if device.type == "cuda" else ""
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    said = f"{torch.__version__}, built for {build}; computes on {device.type}{name}{threads}"
    if device.type == "cpu" and shutil.which("nvidia-smi"):
        remedy = (
            "install a torch with CUDA, see pytorch.org"
            if not torch.version.cuda
            else "see what nvidia-smi says of the driver"
        )
        yield Finding("note", "torch", f"{said}, though there is an NVIDIA card", remedy)
    else:
        yield Finding("ok", "torch", said)


def check_diffusion(here: dict[str, Any]) -> Findings:
    """Check the packages that diffusion models need, where somebody has begun to install them, and the built-in one."""
    needed = least_versions("diffusion")
    found = {name: version_of(name) for name in needed}
    install = f"{here['python']} -m pip install -U 'draggan_widget[diffusion]'"
    if not any(found.values()):
        yield Finding("ok", "diffusion models", f"not wanted here; they need the extra diffusion ({', '.join(needed)})")
        return
    for name, least in needed.items():
        version = found[name]
        if version is None:
            yield Finding("note", "diffusion models", f"{name} is missing, so not all of them works", install)
        elif _numbers(version) < _numbers(least):
            yield Finding("note", "diffusion models", f"{name} {version} is older than {least}", install)
        else:
            yield Finding("ok", "diffusion models", f"{name} {version}")
    if here["versions"]["torch"] is None or not found["diffusers"]:
        return
    from draggan_widget import load_generator

    try:
        model = load_generator("faces-diffusion")
        latent = model.mapping(seed=3)
        began = time.perf_counter()
        model.synthesize(latent)
    except (ImportError, ValueError) as error:  # versions that do not fit each other fail at import
        yield Finding("wrong", "diffusion models", f"faces-diffusion does not work: {error}", install)
    else:
        took = time.perf_counter() - began
        yield Finding("ok", "diffusion models", f"a picture of faces-diffusion takes {took:.1f} s")


def check_writing(here: dict[str, Any]) -> Findings:
    """Check the folders for notebooks, edits and the connections of kernels."""
    places = {"working folder": Path.cwd(), "temporary folder": Path(tempfile.gettempdir())}
    if here["extensions"]:
        from jupyter_core.paths import jupyter_runtime_dir

        places["Jupyter's runtime folder"] = Path(jupyter_runtime_dir())
    remedies = {
        "working folder": "start Jupyter in a folder of yours",
        "temporary folder": "set TMPDIR to a folder of yours",
    }
    for what, folder in places.items():
        there = next(each for each in (folder, *folder.parents) if each.exists())
        try:
            with tempfile.TemporaryFile(dir=there) as file:
                file.write(b"0" * 4096)
        except OSError as error:
            yield Finding(
                "wrong", what, f"{folder}: {error}", remedies.get(what, "set JUPYTER_RUNTIME_DIR to a folder of yours")
            )
        else:
            yield Finding("ok", what, str(folder))


def check_step(here: dict[str, Any]) -> Findings:
    """Time some steps of an edit of the built-in faces."""
    if here["versions"]["torch"] is None:
        return
    from draggan_widget import drag_steps, load_generator

    began = time.perf_counter()
    generator = load_generator("faces")
    ws = generator.mapping(seed=9, truncation=0.7)
    loaded = time.perf_counter() - began
    steps = drag_steps(generator, ws, handles=[(98, 174)], targets=[(82, 163)])
    first = next(steps)
    times = []
    state = first
    for _ in range(3):
        began = time.perf_counter()
        state = next(steps)
        times.append(time.perf_counter() - began)
    took = min(times)
    said = f"{took * 1000:.0f} ms, after {loaded:.1f} s of loading"
    if not state.distances[0] < first.distances[0]:
        yield Finding("wrong", "a step", "the point does not come nearer", "report this with the text above")
    elif took > SLOW:
        yield Finding("note", "a step", said, "it is slow: end what else computes here, or use a machine with a GPU")
    else:
        yield Finding("ok", "a step", said)


def servers_of(here: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the Pythons of Jupyter's programs have: of those beside this Python, and of the first on the path."""
    found: dict[str, dict[str, Any] | None] = {}
    for folder in (str(Path(here["python"]).parent), os.environ.get("PATH", "")):
        for name in ("jupyter-lab", "jupyter-notebook"):
            program = shutil.which(name, path=folder)
            python = None if program is None else interpreter_of(Path(program))
            if python is not None and not any(_same(python, each) for each in found):
                found[python] = here if _same(python, here["python"]) else ask(python)
    return [side for side in found.values() if side is not None]


def interpreter_of(program: Path) -> str | None:
    """Return the Python in the first line of a script, or the one beside the program (as on Windows)."""
    with program.open("rb") as file:
        line = file.readline(400)
    if line.startswith(b"#!"):
        command = line[2:].decode(errors="replace").strip().split(" ")
        return shutil.which(command[-1]) if command[0].endswith("/env") else command[0]
    beside = next(
        (program.parent / name for name in ("python.exe", "python3", "python") if (program.parent / name).exists()),
        None,
    )
    return None if beside is None else str(beside)


def ask(python: str) -> dict[str, Any] | None:
    """Return what another Python has, or None if it does not answer."""
    try:
        said = subprocess.run([python, probe.__file__], capture_output=True, text=True, timeout=60, check=True).stdout
        found: dict[str, Any] = json.loads(said)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return found


def version_of(name: str) -> str | None:
    """Return the version of a package that is installed here; None for one that is not."""
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def least_versions(extra: str | None = None) -> dict[str, str]:
    """Return the oldest version of each package that this one says it needs, or that an extra of it does."""
    end = "" if extra is None else rf"""\s*;\s*extra\s*==\s*['"]{extra}['"]"""
    found = (re.match(rf"([\w.-]+)\s*>=\s*([\d.]+){end}\s*$", each) for each in requires("draggan_widget") or ())
    return {match[1].replace("-", "_"): match[2] for match in found if match}


def origin() -> str:
    """Return what pip installed this package from, for another Python: a folder, an address, or a name and version."""
    here = distribution("draggan_widget")
    said = json.loads(here.read_text("direct_url.json") or "{}")
    if "url" not in said:
        return f"draggan_widget=={here.version}"
    if "vcs_info" in said:
        return f"{said['vcs_info']['vcs']}+{said['url']}@{said['vcs_info']['commit_id']}"
    url = str(said["url"])
    return shlex.quote(url2pathname(urlsplit(url).path)) if url.startswith("file:") else url


def _same(one: str, other: str) -> bool:
    # By folder and unresolved: `python` and `python3` of a virtual environment are links to another one's.
    folders = (os.path.normcase(Path(each).absolute().parent) for each in (one, other))
    return len({*folders}) == 1


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])
