"""Measure every engine and every tracker, and write docs/field.md with its rows and plots. One line, to run over night:

    OMP_NUM_THREADS=1 .venv/bin/python tests/field.py --workers 2

and one for about an hour and a half on two cores:

    OMP_NUM_THREADS=1 .venv/bin/python tests/field.py --workers 2 --share 0.25 --minutes 90

``--share 0.25`` keeps 50 pairs at one and at five points and 30 for other trackers, and takes a part of the rest: 3
pairs of 68 points, 8 pictures into others and 8 ways there and back. All ways of a part have the same pairs.
``--share 0.05`` takes a twentieth of all, for a first look. ``--minutes`` stops after so long and writes what there is,
of whole samples only. Stopped, the same command goes on where it was: what is done stands in ``field/`` (``--keep``),
and more samples later are added to these. ``--page`` writes the page from the rows that are in docs/data, and measures
nothing. RAFT and PIPs take part where their weights were brought (see docs/engines.md): name them by ``--trackers``.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path

import tracking_table

from draggan_widget.analysis.experiments import field
from draggan_widget.analysis.experiments.evaluation import Evaluation, Interrupted
from draggan_widget.files import write_whole
from draggan_widget.models import load_generator

DOCS = Path(__file__).resolve().parents[1] / "docs"
ROWS, FOLLOWED = DOCS / "data" / "field.csv", DOCS / "data" / "trackers.csv"
BEGIN, END = "<!-- from the rows: begin -->\n", "<!-- from the rows: end -->\n"
PLOTTED = ("one point", "five points")


def picture_of(title):
    """The file of the plots of a part."""
    return f"field-{title.replace(' ', '-')}.png"


def tables(evaluation, followed):
    """What stands on the page between its marks: a table a part, plots of some, and how well trackers follow."""
    lines = []
    for title in dict.fromkeys(row["experiment"] for row in evaluation.rows):
        part = Evaluation(tuple(row for row in evaluation.rows if row["experiment"] == title), {})
        failed = sorted({row["error"].partition("\n")[0] for row in part.rows if "error" in row})
        lines += [f"## {title.capitalize()}", "", field.table(part, title), ""]
        lines += [line for reason in failed for line in (f"Not measured: {reason}.", "")]
        if title in PLOTTED and field.points_of(evaluation, title, "seconds"):
            lines += [f"![The distance left against change and time, {title}]({picture_of(title)})", ""]
    head = ["| | px off, mean | median | lost, % | ms a step |", "|---|---:|---:|---:|---:|"]
    names = dict.fromkeys(row[0] for row in followed)
    rows = [tracking_table.line(name, [row for row in followed if row[0] == name]) for name in names]
    return "\n".join([*lines, "## How well trackers follow", "", *head, *rows, ""])


def renewed(page, made):
    """The page with what stands between its marks made anew. :raises ValueError: if it has no marks."""
    before, mark, rest = page.partition(BEGIN)
    _, other, after = rest.partition(END)
    if not mark or not other:
        raise ValueError(f"the page has no {BEGIN.strip()} and {END.strip()}; put them where the tables are to be")
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def write_page(page=DOCS / "field.md", rows=ROWS, followed=FOLLOWED):
    """Write the tables and the plots of the rows in docs/data into the page."""
    evaluation = Evaluation.from_csv(rows.read_text(encoding="utf-8"))
    read = list(csv.reader(followed.read_text(encoding="utf-8").splitlines()))[1:]
    for title in PLOTTED:
        if any(row["experiment"] == title for row in evaluation.rows):
            figure = field.plots(evaluation, title)
            figure.savefig(page.with_name(picture_of(title)), dpi=130, metadata={"Software": None})
    made = renewed(page.read_text(encoding="utf-8"), tables(evaluation, read))
    write_whole(page, made.encode())


def beside_others(done, rows=ROWS):
    """The evaluation, with the rows of other parts that are in docs/data, in the order of the page."""
    there = Evaluation.from_csv(rows.read_text(encoding="utf-8")).rows if rows.exists() else ()
    mine = {row["experiment"] for row in done.rows}
    both = [*(row for row in there if row["experiment"] not in mine and row["experiment"] in field.TITLES), *done.rows]
    return Evaluation(tuple(sorted(both, key=lambda row: field.TITLES.index(row["experiment"]))), {})


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="faces")
    parser.add_argument("--keep", type=Path, default=Path("field"))
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--parts", default="", help="only these, such as 'one point;five points'")
    parser.add_argument("--trackers", default=",".join(field.TRACKERS))
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="stop after so many, and write the page of what there is")
    parser.add_argument("--page", action="store_true", help="write the page from the rows there are; measure nothing")
    options = parser.parse_args()
    if not options.page:
        trackers = options.trackers.split(",")
        chosen = field.parts(load_generator(options.model), options.share, trackers)
        wanted = [title.strip() for title in options.parts.split(";") if title.strip()]
        if unknown := set(wanted) - {part.title for part in chosen}:
            parser.error(f"no part {unknown.pop()!r}; there are {'; '.join(part.title for part in chosen)}")
        chosen = [part for part in chosen if not wanted or part.title in wanted]

        began, most, stopped = time.monotonic(), options.minutes, False

        def tell(title, done, total, text):
            minutes = (time.monotonic() - began) / 60
            print(f"{minutes:5.1f} min  {title}: {done} of {total}, {text}", flush=True)
            if most is not None and minutes >= most:
                raise KeyboardInterrupt

        try:
            keep = options.keep / "rows.jsonl"
            done = field.measure(options.model, chosen, keep, workers=options.workers, progress=tell)
        except Interrupted as stop:
            if most is None or time.monotonic() - began < 60 * most:
                raise  # somebody stopped it, who will go on
            done, stopped = stop.evaluation, True
            print(f"{most:g} minutes are over; the same command goes on from here", flush=True)
        write_whole(ROWS, beside_others(done).to_csv().encode())
        if not wanted and not stopped:  # trackers on renders are the last part of it
            table = Path(__file__).with_name("tracking_table.py")
            subprocess.run([sys.executable, str(table), str(FOLLOWED), "--trackers", _followers(trackers)], check=True)
    write_page()


def _followers(trackers):
    """All that are followed by: those of the table before, and what was asked for besides."""
    return ",".join(dict.fromkeys([*tracking_table.TRACKERS.split(","), *trackers]))


if __name__ == "__main__":
    main()
