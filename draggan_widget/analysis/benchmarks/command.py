"""``draggan-widget bench``: its options, its progress for people, its table, and its JSON for machines."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

from draggan_widget.analysis.benchmarks.bench import QUICK, Settings, run
from draggan_widget.analysis.benchmarks.report import table
from draggan_widget.files import target_of, write_whole

DESCRIPTION = """Measure a step of a drag against a plain implementation of the original's way: the whole picture with
gradients at every step, gradients for every weight, the feature map blown up to picture size. Ratios come first, for
they hold on other machines too: how many times as long the original's way takes. All of it takes
half an hour and more on two cores, --quick some minutes."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what ``bench`` takes."""
    parser.add_argument("--sizes", type=_numbers, metavar="N,N,…", help="picture sides in px (default: 256,512,1024)")
    parser.add_argument("--handles", type=_numbers, metavar="N,N,…", help="numbers of handles (default: 1,5,68)")
    parser.add_argument("--steps", type=int, metavar="N", help="timed rounds a case (default: 2)")
    parser.add_argument("--device", default="cpu", help="where it computes, as torch names it (default: cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of torch (default: its own choice)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there; - for standard output")
    parser.add_argument("--quick", action="store_true", help="only 512 px, one round, memory with one handle")
    parser.add_argument("--no-original", action="store_true", help="only ours, without ratios")
    parser.add_argument("--no-memory", action="store_true", help="leave peak memory out")
    parser.add_argument("--no-frames", action="store_true", help="leave frames of the built-in faces out")
    parser.add_argument("--browser", action="store_true", help="frames in JupyterLab and Chromium as well")
    parser.add_argument("--width", type=int, help=argparse.SUPPRESS)


def run_bench(options: argparse.Namespace) -> int:
    """Measure and print. Return the exit status."""
    try:
        settings = settings_of(options)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    to_stdout = options.json is not None and str(options.json) == "-"
    if options.json is not None and not to_stdout:
        try:
            target_of(options.json)  # not only after hours of measuring
        except OSError as error:
            print(error, file=sys.stderr)
            return 2
    results: dict[str, Any] = {}
    began = time.monotonic()
    status = 0

    def progress(text: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {text}", file=sys.stderr, flush=True)

    try:
        run(settings, results, progress)
    except KeyboardInterrupt:
        print("interrupted; this is what was finished:", file=sys.stderr)
        status = 130
    if "torch" not in results:
        print("\n".join(results.get("left_out", [])) or "nothing was finished", file=sys.stderr)
        return status or 1
    results["took_s"] = round(time.monotonic() - began, 1)
    if not to_stdout:
        print(table(results))
    if options.json is not None:
        text = json.dumps(results, indent=1, ensure_ascii=to_stdout) + "\n"  # a pipe may be of any encoding
        if to_stdout:
            print(text, end="")
            return status
        try:
            write_whole(options.json, text.encode())
        except OSError as error:
            print(error, file=sys.stderr)
            return 1
    return status


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings that the options ask for. :raises ValueError: for one that makes no sense, which the text
    names.
    """
    changes: dict[str, Any] = dict(QUICK) if options.quick else {}
    asked = {"sizes": options.sizes, "handles": options.handles, "rounds": options.steps, "threads": options.threads}
    changes |= {name: value for name, value in asked.items() if value is not None}
    changes |= {"device": options.device, "width": options.width, "original": not options.no_original}
    if options.no_memory:
        changes["memory_handles"] = ()
    if options.no_frames:
        changes["model"] = None
    return dataclasses.replace(Settings(), browser=options.browser, **changes)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(each) for each in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers, such as 256,512") from None
