"""Builds wheel and source, says what is in them, and tries the wheel elsewhere: ``python tests/wheel.py [FOLDER]``.

The wheel is made from the source archive, so that this one is complete. It is installed from the folder of both, with
the extra ``demo`` and without a registry: what it needs is taken from the environment that runs this. With
``--registry`` that comes from the registry, for a Python of one's choice (``--python``).
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_MEGABYTES = 60
UNWANTED = re.compile(
    r"(^|/)(node_modules|__pycache__|\.git|\.ci|\.github|\.venv|\.\w+_cache|\.ipynb_checkpoints|build|dist|out)/"
    r"|\.(pyc|pyo|orig|rej|log|tmp|pt|pth|ckpt|DS_Store)$"
)
TRY = """
import sys, draggan_widget
from draggan_widget import drag_steps, load_generator

print(draggan_widget.__version__, draggan_widget.__file__)
generator = load_generator("faces")
ws = generator.mapping(seed=9, truncation=0.7)
steps = drag_steps(generator, ws, handles=[(98, 174)], targets=[(82, 163)])
before, after = next(steps), next(steps)
print(f"{before.distances[0]:.1f} px to go, then {after.distances[0]:.1f}")
sys.exit(bool(after.distances[0] >= before.distances[0]))
"""


def main() -> int:
    """Build, look and try; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="where wheel and source go (default: a temporary one)")
    parser.add_argument("--registry", action="store_true", help="packages come from the registry")
    parser.add_argument("--python", default=sys.executable, help="with --registry: the Python that tries the wheel")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        dist = (options.folder or Path(temporary) / "dist").resolve()
        subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(ROOT)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (wheel,), (source,) = sorted(dist.glob("*.whl"))[-1:], sorted(dist.glob("*.tar.gz"))[-1:]
        wrong = [*look(wheel), *look(source)]
        print("\n".join(wrong) or "nothing is in them that does not belong there")
        python = environment(Path(temporary) / "env", options.python if options.registry else sys.executable)
        install(python, dist, registry=options.registry)
        return int(bool(wrong) or not works(python, Path(temporary)))


def look(path: Path) -> list[str]:
    """Print the sizes of an archive's parts; return a line for each thing that does not belong in it."""
    sizes = dict(contents(path))
    parts: collections.Counter[str] = collections.Counter()
    for name, size in sizes.items():
        parts["/".join(name.split("/")[:2])] += size
    packed = path.stat().st_size / 1e6
    print(f"{path.name}: {packed:.1f} MB, {len(sizes)} files, {sum(sizes.values()) / 1e6:.1f} MB unpacked")
    for name, size in parts.most_common(6):
        print(f"  {size / 1e6:6.2f} MB  {name}")
    wrong = [f"{path.name} holds {name}" for name in sizes if UNWANTED.search(name)]
    if packed > MOST_MEGABYTES:
        wrong.append(f"{path.name} is larger than {MOST_MEGABYTES} MB")
    return wrong


def contents(path: Path) -> list[tuple[str, int]]:
    """Name and size of each file of a wheel or a source archive, the latter without its outer folder."""
    if path.suffix == ".whl":
        return [(each.filename, each.file_size) for each in zipfile.ZipFile(path).infolist()]
    with tarfile.open(path) as archive:
        return [(each.name.partition("/")[2], each.size) for each in archive.getmembers() if each.isfile()]


def environment(folder: Path, python: str) -> Path:
    """A new environment of a Python; returns its Python."""
    if python == sys.executable:
        venv.create(folder)
    else:
        subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def install(python: Path, dist: Path, *, registry: bool) -> None:
    """Install the package with the extra ``demo`` from the folder ``dist``."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--find-links", str(dist)]
    if not registry:
        own = subprocess.check_output(
            [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
        behind = sorted({sysconfig.get_path(name) for name in ("purelib", "platlib")})
        Path(own, "behind.pth").write_text("\n".join(behind) + "\n")
        pip.append("--no-index")
        subprocess.run([*pip, "--no-deps", "--ignore-installed", "draggan_widget"], check=True, env=clean())
    subprocess.run([*pip, "draggan_widget[demo]"], check=True, env=clean())


def works(python: Path, folder: Path) -> bool:
    """Whether a drag works there, and the command; the doctor is printed, and may find what this machine lacks."""
    command = python.with_name("draggan-widget.exe" if sys.platform == "win32" else "draggan-widget")
    said = subprocess.run([str(command), "--version"], cwd=folder, env=clean(), check=False).returncode
    tried = subprocess.run([str(python), "-c", TRY], cwd=folder, env=clean(), check=False).returncode
    subprocess.run([str(python), "-m", "draggan_widget", "doctor"], cwd=folder, env=clean(), check=False)
    return said == tried == 0


def clean() -> dict[str, str]:
    """The environment without what would lead back to the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


if __name__ == "__main__":
    sys.exit(main())
