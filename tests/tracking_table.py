"""Write how well trackers follow points of which it is known where they go: heads that each do one thing.

    python tests/tracking_table.py docs/data/trackers.csv [--trackers A,B]

The landmarks of ``tests/data/heads`` come from a renderer; the built-in faces draw the same latents. Each head goes
through its frames in small steps, as in a drag; a row is one landmark in one frame. A landmark is lost if it is more
than 8 px of 256 away. What a tracker begins with is the place in the first frame, so an error is of following and of
the generator's own, which draws a point a little aside.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path

import numpy as np
import torch

from draggan_widget.engines.trackers import make
from draggan_widget.models import load_generator

HEADS = Path(__file__).parent / "data" / "heads" / "heads.json"
BETWEEN = 4
"""Steps from a frame to the next."""
LOST = 8.0
TRACKERS = "features:4,features:5,features:6,features:4+5,metric,flow"
COLUMNS = ("tracker", "head", "frame", "landmark", "px gone", "px off", "s a step")


def followed(model, tracker, head):
    """Rows of one head by one tracker."""
    frames = head["frames"]
    latents = [np.array(frame["latent"], np.float32) for frame in frames]
    seen = np.all([frame["visible"] for frame in frames], axis=0)
    truth = [np.array(frame["points"])[seen] for frame in frames]
    tracker.begin(model, model.mapping(latents[0][None]), truth[0])
    rows = []
    for number in range(1, len(frames)):
        began = time.process_time()
        for step in range(1, BETWEEN + 1):
            share = step / BETWEEN
            latent = (1 - share) * latents[number - 1] + share * latents[number]
            found = tracker.track(model, model.mapping(latent[None]))
        seconds = (time.process_time() - began) / BETWEEN
        for landmark, (place, right, first) in enumerate(zip(found, truth[number], truth[0], strict=True)):
            error, gone = float(np.hypot(*(place - right))), float(np.hypot(*(right - first)))
            rows.append((head["name"], number, landmark, round(gone, 2), round(error, 3), round(seconds, 4)))
    return rows


def line(name, rows):
    """A line of the table in docs/engines.md: mean and median px off, lost %, ms of the processor a step."""
    off, seconds = (np.array([row[column] for row in rows], float) for column in (5, 6))
    lost = 100 * np.mean(off > LOST)
    return f"| `{name}` | {off.mean():.2f} | {np.median(off):.2f} | {lost:.1f} | {1000 * seconds.mean():.0f} |"


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--trackers", default=TRACKERS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_generator("faces")
    heads = json.loads(HEADS.read_text())["heads"]
    rows = []
    for name in options.trackers.split(","):
        rows += [(name, *row) for head in heads for row in followed(model, make(name), head)]
        print(line(name, [row for row in rows if row[0] == name]), flush=True)
    with options.csv.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
