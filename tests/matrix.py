"""The widget's kernel side with old and new packages and Pythons: ``python tests/matrix.py``.

Every combination of the versions below gets an environment of its own, in which the tests of ``TESTS`` run: among them
the widget in a real kernel, its page played over the wire. ``--oldest`` takes the oldest of each only, and the oldest
for diffusion models; the newest are those of ``constraints.txt``, with which all tests run anyway. ``--pythons`` takes,
instead, each Python of ``PYTHONS``: types are checked as of that version, and where such a Python is found it compiles
all files, and runs the tests in an environment with its own torch (some gigabytes each), unless ``--static`` forgoes
that.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from environments import make_environment

ROOT = Path(__file__).parent.parent
PINS = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
VERSIONS = {
    "ipykernel": ["6.31.0", "7.3.0", PINS["ipykernel"]],
    "ipywidgets": ["7.7.1", PINS["ipywidgets"]],
    "anywidget": ["0.9.13", PINS["anywidget"]],
}
"""From the oldest to the newest."""
DIFFUSION = [
    "diffusers==0.34.0",
    "transformers==4.50.3",
    "peft==0.17.0",
    "huggingface_hub==0.30.2",
    "tokenizers==0.21.4",
]
"""The oldest that diffusion models are read and tuned with, and what of theirs is of that age."""
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
DIFFUSION_TESTS = [f"tests/models/diffusion/test_{name}.py" for name in ("network", "identity", "loading")]
TESTS = [f"tests/widget/test_{name}.py" for name in ("kernels", "reruns", "static_preview")]


def main() -> int:
    """Run what the arguments ask for, all of it even after something has failed; returns the exit status."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = arguments.add_mutually_exclusive_group()
    which.add_argument("--oldest", action="store_true", help="only the oldest of each package")
    which.add_argument("--pythons", nargs="*", metavar="X.Y", help="other Pythons, those named or all")
    arguments.add_argument("--static", action="store_true", help="with --pythons: run nothing there")
    given = arguments.parse_args()
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        if given.pythons is not None:
            rows = [try_python(each, Path(folder), given.static) for each in given.pythons or PYTHONS]
        else:
            every = (
                [tuple(each[0] for each in VERSIONS.values())]
                if given.oldest
                else itertools.product(*VERSIONS.values())
            )
            rows = [try_versions(versions, Path(folder)) for versions in every]
            rows.append(try_diffusion(Path(folder)))
    width = max(len(name) for name, _ in rows)
    print("\n" + "\n".join(f"{name:{width}}  {result}" for name, result in rows), flush=True)
    return any("FAILED" in result for _, result in rows)


def try_versions(versions: tuple[str, ...], folder: Path) -> tuple[str, str]:
    """What was tried, and how the tests went with those versions of the packages."""
    packages = [f"{name}=={version}" for name, version in zip(VERSIONS, versions, strict=True)]
    name = " ".join(packages).replace("==", " ")
    print(f"\n=== {name}", flush=True)
    place = folder / "environment"
    try:
        python = make_environment(place, *packages)
        found = "from importlib.metadata import version; import sys; print(*map(version, sys.argv[1:]))"
        said = subprocess.check_output([python, "-c", found, *VERSIONS], text=True).split()
        if said != list(versions):
            return name, f"FAILED: {said} are in use"
        return name, run_tests(python)
    except subprocess.SubprocessError as error:
        return name, f"FAILED: no environment ({error})"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def try_diffusion(folder: Path) -> tuple[str, str]:
    """What was tried, and how the tests of diffusion models went with the oldest packages for them."""
    name, place = " ".join(DIFFUSION[:3]).replace("==", " "), folder / "diffusion"
    print(f"\n=== {name}", flush=True)
    try:
        return name, run_tests(make_environment(place, *DIFFUSION), DIFFUSION_TESTS)
    except subprocess.SubprocessError as error:
        return name, f"FAILED: no environment ({error})"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def try_python(version: str, folder: Path, static: bool) -> tuple[str, str]:
    """What was tried, and what that version of Python says to the code."""
    print(f"\n=== Python {version}", flush=True)
    results = [passed("types", [sys.executable, "-m", "mypy", "--python-version", version])]
    python = find_python(version)
    if python is None:
        return f"Python {version}", f"{results[0]}; none here to compile and run"
    with tempfile.TemporaryDirectory() as compiled:
        command = [python, "-X", f"pycache_prefix={compiled}", "-m", "compileall", "-qf"]
        results.append(passed("compiled", [*command, "draggan_widget", "tests", "examples"]))
    if not static:
        place = folder / version
        try:
            subprocess.run([python, "-m", "venv", place], check=True)
            inside = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
            packages = [".[demo]", f"torch=={PINS['torch']}", "nbconvert", "pytest", "pytest-timeout"]
            subprocess.run([inside, "-m", "pip", "install", "-q", *packages], check=True, timeout=3600)
            results.append(run_tests(inside))
        except subprocess.SubprocessError as error:
            results.append(f"FAILED: no environment ({error})")
        finally:
            shutil.rmtree(place, ignore_errors=True)
    return f"Python {version}", "; ".join(results)


def find_python(version: str) -> str | None:
    """An interpreter of that version that starts."""
    path = shutil.which(f"python{version}")
    if path is None or subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode:
        return None
    return path


def run_tests(python: Path | str, tests: list[str] = TESTS) -> str:
    """How the tests went there, in a few words."""
    began = time.monotonic()
    command = [python, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", *tests]
    result = passed("tests", command, {**os.environ, "PYTHONPATH": str(ROOT)})
    return f"{result} in {time.monotonic() - began:.0f} s"


def passed(what: str, command: list[Path | str], environment: dict[str, str] | None = None) -> str:
    """Runs a command; whether it went well."""
    status = subprocess.run(command, check=False, env=environment).returncode
    return f"{what} {'FAILED' if status else 'ok'}"


if __name__ == "__main__":
    sys.exit(main())
