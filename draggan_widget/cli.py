"""The ``draggan-widget`` command."""

from __future__ import annotations

import argparse
import errno
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from draggan_widget import __version__, doctor
from draggan_widget.config import config_help
from draggan_widget.files import expanded, shown, target_of, write_whole
from draggan_widget.texts import printable, shown_path

if TYPE_CHECKING:
    from draggan_widget.models import Generator
    from draggan_widget.models.checkpoints import Translation

PACKAGE = Path(__file__).parent
IN_WORDS = ("resolution", "z_dim", "w_dim", "c_dim", "img_channels", "signals")
"""What ``inspect`` says of a generator's arguments in its own words."""
LONGEST_SHOWN = 300
"""Characters of an argument that ``inspect`` shows."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with ``arguments``, by default those of the process. Return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A pipe may be of a code page that lacks a sign: then another one stands for it, and nobody loses the rest.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    options = make_parser().parse_args(arguments)
    status: int = options.run(options)
    return status


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command, with all that it takes."""
    parser = argparse.ArgumentParser(prog="draggan-widget", description="Pull points of GAN images in a notebook.")
    parser.add_argument("--version", action="version", version=f"draggan_widget {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    demo = commands.add_parser(
        "demo",
        help="open JupyterLab on a copy of the example notebooks",
        description="Open JupyterLab on a copy of the example notebooks. Arguments after -- go to JupyterLab.",
    )
    demo.add_argument("--no-browser", action="store_true", help="only serve, and print the address")
    demo.add_argument("--port", type=int, default=8888, help="port to serve on (the next free one if it is taken)")
    demo.add_argument("--token", help="token that the address asks for (default: a random one)")
    demo.add_argument("--ip", default="127.0.0.1", help="address to serve on; 0.0.0.0 for a container")
    demo.add_argument("--dir", type=Path, help="folder for the notebooks (default: ./draggan-widget-demo)")
    demo.add_argument("lab", nargs="*", metavar="-- LAB_ARGUMENT", help="further arguments of JupyterLab")
    demo.set_defaults(run=run_demo)

    inspect = commands.add_parser("inspect", help="say what a checkpoint file holds; nothing in it is run")
    inspect.add_argument("file", help="a checkpoint file, or the name of a built-in generator")
    inspect.add_argument("--json", action="store_true", help="as JSON, with the constructor's arguments")
    inspect.set_defaults(run=run_inspect)

    convert = commands.add_parser("convert", help="write a checkpoint as safetensors, which loads at once everywhere")
    convert.add_argument("file", metavar="IN", help="a checkpoint file, or the name of a built-in generator")
    convert.add_argument("out", metavar="OUT.safetensors", type=Path)
    convert.add_argument("--half", action="store_true", help="in half precision, at half the size")
    convert.add_argument("--force", action="store_true", help="write over OUT if it is there")
    convert.set_defaults(run=run_convert)

    diagnose = commands.add_parser(
        "doctor", help="say what is wrong with an installation, and what would help", description=doctor.DESCRIPTION
    )
    doctor.add_options(diagnose)
    diagnose.set_defaults(run=doctor.run_doctor)

    from draggan_widget.analysis.benchmarks import command as benchmarks

    bench = commands.add_parser(
        "bench", help="how fast and how lean a step is, next to the original's", description=benchmarks.DESCRIPTION
    )
    benchmarks.add_options(bench)
    bench.set_defaults(run=benchmarks.run_bench)

    from draggan_widget.analysis import bulk_command as bulk
    from draggan_widget.analysis.experiments import command as experiments

    drag = commands.add_parser(
        "drag",
        help="many drags, as a JSON file says",
        description=textwrap.fill(bulk.DESCRIPTION, 79),
        epilog="Which settings a config may have, the engine says; docs/engines.md lists them. Those of draggan,\n"
        f"those left out being the generator's own:\n\n{config_help()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    bulk.add_options(drag)
    drag.set_defaults(run=bulk.run_drag)

    from draggan_widget.inversion import command as inversion

    invert = commands.add_parser(
        "invert", help="your own photograph, for a model to be dragged", description=inversion.DESCRIPTION
    )
    inversion.add_options(invert)
    invert.set_defaults(run=inversion.run_invert)

    evaluate = commands.add_parser(
        "evaluate", help="how well it drags: the paper's experiments", description=experiments.DESCRIPTION
    )
    experiments.add_options(evaluate)
    evaluate.set_defaults(run=experiments.run_evaluate)

    from draggan_widget.analysis.training import command as training

    train = commands.add_parser(
        "train", help="train a network for a model: what answers pulls in one pass", description=training.DESCRIPTION
    )
    training.add_options(train)
    train.set_defaults(run=training.run_train)

    return parser


def run_demo(options: argparse.Namespace) -> int:
    """Run JupyterLab on a copy of the example notebooks, until it is stopped."""
    if find_spec("jupyterlab") is None or find_spec("ipykernel") is None:
        install = f'{sys.executable} -m pip install "draggan_widget[demo]"'
        print(f"JupyterLab is not installed here; run: {install}", file=sys.stderr)
        return 1
    try:
        folder = copy_examples(options.dir)
    except OSError as error:
        print(f"the notebooks cannot be copied: {error}; give another --dir", file=sys.stderr)
        return 1
    token = options.token or secrets.token_hex(16)
    port = free_port(options.ip, options.port)
    command = [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.ip={options.ip}",
        f"--ServerApp.port={port}",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.open_browser={not options.no_browser}",
        "--LabApp.default_url=/lab/tree/quickstart.ipynb",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.expose_app_in_browser=True",
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        *options.lab,
    ]
    host = "127.0.0.1" if options.ip == "0.0.0.0" else options.ip
    print(f"The example notebooks are in {folder}", flush=True)
    print(f"JupyterLab comes up at http://{host}:{port}/lab/tree/quickstart.ipynb?token={token}", flush=True)
    print("Run the first cell there, then press on the face and pull. Stop here with Ctrl+C.", flush=True)
    # In it Lab does not ask whether to fetch news, which is not what somebody came for.
    settings = [str(PACKAGE / "lab"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    environment = {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, settings))}
    return become(command, folder, environment)


def run_inspect(options: argparse.Namespace) -> int:
    """Print what a checkpoint holds, a line each."""
    return _with_checkpoint(options.file, lambda path, read, generator: _tell(path, read, generator, options.json))


def _tell(path: Path, read: Translation, generator: Generator, as_json: bool) -> int:
    height, width = generator.resolution
    count = sum(weight.numel() for weight in generator.parameters())
    if as_json:
        facts = {"family": read.family, "config": read.config, "parameters": count, "notes": read.notes}
        print(json.dumps({"file": str(path), **facts}, indent=1))
        return 0
    picture = {1: "grey", 3: "RGB", 4: "RGBA"}.get(generator.channels, f"{generator.channels} channels")
    lines = {
        "family": read.family,
        "pictures": f"{width} × {height} px, {picture}",
        "latent": f"z {generator.z_dim}, w {generator.w_dim}, {generator.num_ws} rows",
        "classes": str(generator.label_dim or "none"),
        "features": f"blocks {generator.blocks[0]} to {generator.blocks[-1]}, {generator.default_block()} for dragging",
        "parameters": f"{count / 1e6:.1f} million",
        **{
            name.replace("_", " "): printable(str(value), LONGEST_SHOWN)
            for name, value in read.config.items()
            if name not in IN_WORDS
        },
        **read.notes,
    }
    wide = max(map(len, lines))
    print(shown_path(path), *(f"  {name:{wide}}  {text}" for name, text in lines.items()), sep="\n")
    return 0


def run_convert(options: argparse.Namespace) -> int:
    """Write a checkpoint of any kind as safetensors."""
    out: Path = options.out
    if out.suffix != ".safetensors":
        print(f"{shown(out)} should end in .safetensors, since that is what is written", file=sys.stderr)
        return 1
    try:
        out = expanded(out)
        if target_of(out).exists() and not options.force:
            print(f"{shown(out)} is there already; give --force to write over it", file=sys.stderr)
            return 1
    except OSError as error:  # not only after a large file was read
        print(error, file=sys.stderr)
        return 1
    return _with_checkpoint(
        options.file, lambda path, read, generator: _write(path, read, generator, out, options.half)
    )


def _write(path: Path, read: Translation, generator: Generator, out: Path, half: bool) -> int:
    from draggan_widget.models import save_generator

    try:
        save_generator(out, generator, half=half, **read.notes)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{shown_path(out)}: {read.family} of {printable(path.name)}, {out.stat().st_size / 1e6:.1f} MB")
    return 0


def _with_checkpoint(source: str, use: Callable[[Path, Translation, Generator], int]) -> int:
    """Read and build a model, with progress on a terminal; print what is wrong instead of raising it."""
    from draggan_widget.models.checkpoints import CheckpointError, build, find_checkpoint, read_checkpoint

    shown = sys.stderr.isatty()

    def progress(share: float) -> None:
        if shown:
            print(f"\rreading {share:4.0%}", end="\n" if share >= 1 else "", file=sys.stderr, flush=True)

    try:
        path = find_checkpoint(source)
        read = read_checkpoint(path, progress)
        generator = build(path, read)
    except (FileNotFoundError, CheckpointError) as error:
        print(error, file=sys.stderr)
        return 1
    return use(path, read, generator)


def free_port(ip: str, wanted: int) -> int:
    """Return ``wanted``, or the next port that nothing listens on."""
    for port in range(wanted, min(wanted + 100, 65536)):
        with socket.socket() as probe:
            # Without this a port counts as taken for a minute after a server on it has ended.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ip, port))
            except OSError:
                continue
            return port
    return wanted


def become(command: list[str], folder: Path, environment: dict[str, str]) -> int:
    """Run ``command`` in place of this process, so that signals reach it; on Windows, as a child of it."""
    os.chdir(folder)
    if os.name == "posix":
        os.execve(command[0], command, environment)
    return subprocess.run(command, env=environment, check=False).returncode


def copy_examples(folder: Path | None) -> Path:
    """Copy the example notebooks and return their folder. A notebook of the same name stays, so that no work is lost.

    Without ``folder`` it is ``draggan-widget-demo`` in the working folder, or a temporary one where that cannot be
    written. :raises OSError: if ``folder`` cannot be written.
    """
    if folder is None:
        folder = Path.cwd() / "draggan-widget-demo"
        if not os.access(folder if folder.exists() else Path.cwd(), os.W_OK):
            folder = Path(tempfile.mkdtemp(prefix="draggan-widget-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    for notebook in example_notebooks():
        if not (folder / notebook.name).exists():
            write_whole(folder / notebook.name, notebook.read_bytes())
    return folder.resolve()


def example_notebooks() -> list[Path]:
    """Return the example notebooks: beside the package in a wheel, in ``examples/`` of a checkout."""
    shipped = PACKAGE / "examples"
    return sorted((shipped if shipped.is_dir() else PACKAGE.parent / "examples").glob("*.ipynb"))


if __name__ == "__main__":
    sys.exit(main())
