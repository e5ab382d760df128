from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from draggan_widget import cli
from draggan_widget.analysis.benchmarks import bench, browser, command, frames, measure
from draggan_widget.analysis.benchmarks.cases import SIDES, Case, mask_of, network, points
from draggan_widget.analysis.benchmarks.report import table
from draggan_widget.analysis.benchmarks.worker import results as results_of

RESULTS = {
    "draggan_widget": "0.1.0",
    "torch": "2",
    "python": "3",
    "cpu": "a processor",
    "device_name": "",
    "threads": 2,
    "dtype": "float32",
    "model": "faces",
    "cases": [
        {
            "case": {"size": 512, "handles": 68, "mask": True},
            "seconds": {"default": 0.1, "official": 0.2, "original": 4.0},
            "ratios": {"default": 41.3, "official": 21.9},
            "bytes": {"default": 10_000_000, "official": 20_000_000, "original": 500_000_000},
        }
    ],
    "frames": {"first_frame_s": 0.123, "frames_a_second": 14.6, "steps_a_second": 15.0, "arrival_s": 2.04},
    "left_out": ["1024 px: there is too little memory"],
}


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_the_table_tells_ratios_first_then_figures_and_what_was_left_out():
    text = table(RESULTS)
    head, _, row = cells(text)[:3]
    assert head[:5] == ["picture", "handles", "mask", "default faster", "official faster"]
    told = dict(zip(head, row, strict=True))
    assert (told["picture"], told["handles"]) == ("512 px", "68")
    assert (told["mask"], told["default faster"], told["official faster"]) == ("yes", "41.3×", "21.9×")
    assert (told["default leaner"], told["official leaner"]) == ("50.0×", "25.0×")
    assert (told["default, ms"], told["original, ms"], told["original, MB"]) == ("100", "4000", "500")
    assert ["first changed sharp frame, ms", "123"] in cells(text)
    assert "left out: 1024 px: there is too little memory" in text


def test_a_table_of_what_is_finished_so_far_has_no_empty_columns():
    unfinished = {**RESULTS, "cases": [{"case": {"size": 64, "handles": 1, "mask": False}, "seconds": {"default": 1}}]}
    assert cells(table(unfinished))[0] == ["picture", "handles", "mask", "default, ms"]


def test_points_lie_in_the_picture_and_are_the_same_every_time():
    for handles in (1, 5, 68):
        case = Case(256, handles, mask=True)
        places, targets = points(case)
        assert places.shape == targets.shape == (handles, 2)
        assert places.min() >= 0
        assert max(places.max(), targets.max()) <= 255
        assert len(np.unique(places, axis=0)) >= 0.9 * handles
        assert np.array_equal(points(case)[0], places)
    mask = mask_of(Case(256, 1, mask=True))
    assert set(np.unique(mask)) == {0, 1}
    assert mask_of(Case(256, 1, mask=False)) is None


def test_a_network_is_the_same_at_every_call_and_leaves_the_random_state_alone():
    state = torch.random.get_rng_state()
    one, other = network(32, width=4), network(32, width=4)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_ratios_are_medians_of_those_of_each_round(monkeypatch):
    # In the second round the machine was twice as slow, in the third somebody disturbed the original.
    seconds = {"default": [1, 2, 1], "official": [2, 4, 2], "original": [10, 20, 90]}
    taken = {side: iter([0.5, *([0.5, 0.5] if side != "original" else []), *each]) for side, each in seconds.items()}
    monkeypatch.setattr(measure, "MOST_STEPS", 1)
    monkeypatch.setattr(measure, "stepper", lambda side, generator, case: side)
    monkeypatch.setattr(measure, "timed", lambda side, device, steps=1: next(taken[side]))
    found = measure.time_case(network(32, width=4), Case(32, 1, mask=False), SIDES, rounds=3)
    assert found["ratios"] == {"default": 10, "official": 5}
    assert found["all_seconds"] == seconds
    assert found["seconds"] == {"default": 1, "official": 2, "original": 20}


def test_every_side_takes_steps_with_any_number_of_handles_and_a_mask():
    job = {"kind": "time", "size": 64, "width": 4, "handles": [1, 68], "masks": [True], "sides": SIDES, "rounds": 1}
    told = [line for line in results_of(job) if "case" in line]
    assert [line["case"]["handles"] for line in told] == [1, 68]
    for line in told:
        assert set(line["seconds"]) == set(SIDES)
        assert min(line["seconds"].values()) > 0
        assert line["ratios"]["default"] > 0


def test_a_child_measures_memory_and_what_fails_in_it_is_left_out_with_its_reason():
    noted: dict = {"left_out": []}
    job = {"kind": "memory", "size": 64, "width": 32, "handles": [1], "masks": [True], "sides": ["original"]}
    (line,) = bench._child(job, noted, lambda text: None)
    # The weights' gradients alone, and the upsampled map of the start and of now.
    assert line["bytes"]["original"] > 3 * 32 * 64 * 64 * 4
    assert noted["left_out"] == []
    assert list(bench._child({**job, "handles": [0]}, noted, lambda text: None)) == []
    assert "handles is 0; it must be from 1 to 68" in noted["left_out"][0]


def test_frames_are_counted_only_where_the_picture_changed():
    found = frames.measure(network(32, width=4), 0.3, engine="draggan")  # each of whose steps changes it
    assert found["frames_a_second"] == pytest.approx(found["steps_a_second"], abs=8)
    assert found["first_frame_s"] > 0
    assert found["arrival_reason"] in ("arrived", "stalled", "capped")


def test_pulls_are_measured_with_the_default_engine_whose_steps_that_are_not_taken_show_no_new_picture():
    found = frames.measure("faces", 0.3)
    assert found["engine"] == "natural"
    assert 0 < found["frames_a_second"] <= found["steps_a_second"] + 8
    assert found["arrival_reason"] in ("arrived", "near", "stalled", "capped")


def test_a_blurred_picture_is_no_frame():
    screen, sharp = frames._Screen(), [False, True, False]
    blank = Image.new("RGB", (8, 8))
    screen.session = SimpleNamespace(glimpse=lambda document, quick: (blank, False, sharp.pop(0)))
    for step in (1, 2, 3):
        drag = SimpleNamespace(ws=torch.zeros(step))
        screen.show(SimpleNamespace(document=SimpleNamespace(drag=drag), step=step, settled=False, status="running"))
        assert screen.changed.is_set() == (step > 1)
    assert (screen.frames, sharp) == (1, [])


def test_an_edit_with_frames_takes_longer_than_its_steps_alone():
    found = frames.measure_edit(network(64, width=4), 5)
    assert found["with_frames_s"] > 0
    assert found["steps_a_second"] > 0


def test_the_command_prints_the_table_and_writes_the_json(tmp_path, capsys):
    out = tmp_path / "bench.json"
    options = ["--sizes", "64", "--handles", "1", "--width", "4", "--steps", "1", "--threads", "1"]
    assert cli.main(["bench", *options, "--no-frames", "--no-memory", "--json", str(out)]) == 0
    printed = capsys.readouterr()
    assert cells(printed.out)[0][3] == "default faster"
    assert "64 px, 1 handle, with a mask" in printed.err
    written = json.loads(out.read_text())
    assert [each["case"]["mask"] for each in written["cases"]] == [False, True]
    assert written["threads"] == 1
    assert {"torch", "python", "cpu", "device", "dtype", "platform"} <= set(written)
    assert written["left_out"] == []


def test_an_interrupted_run_tells_what_is_finished(monkeypatch, capsys):
    def interrupted(settings, results, progress):
        results.update(RESULTS)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupted)
    assert cli.main(["bench"]) == 130
    printed = capsys.readouterr()
    assert "41.3×" in printed.out
    assert "interrupted" in printed.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sizes", "100"], "sizes holds 100; each must be a power of two"),
        (["--handles", "69"], "handles holds 69; each must be from 1 to 68"),
        (["--steps", "0"], "steps is 0"),
        (["--threads", "0"], "threads is 0"),
    ],
)
def test_options_that_make_no_sense_are_named(options, said, capsys):
    assert cli.main(["bench", *options]) == 2
    assert said in capsys.readouterr().err


def test_a_device_that_is_not_there_is_named(capsys):
    assert cli.main(["bench", "--quick", "--device", "nowhere"]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_without_a_browser_it_says_what_is_missing(monkeypatch):
    monkeypatch.delenv("DRAGGAN_CHROMIUM", raising=False)
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    with pytest.raises(browser.NoBrowserError, match="no Chromium found"):
        browser.measure("faces", 1.0)
