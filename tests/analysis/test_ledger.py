"""Results on disk, whatever stands in the file and whoever else adds to it."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from draggan_widget.analysis import ledger
from draggan_widget.analysis.bulk_jobs import check_jobs, read_jobs
from draggan_widget.analysis.ledger import Ledger

DEEP = "[" * 100_000


def rows(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_lines_that_are_nested_too_deep_are_no_results_and_cost_little(tmp_path):
    path = tmp_path / "results.jsonl"
    Ledger(path).add({"n": 1}, {"it": 1})
    with path.open("a") as file:
        for asked in (DEEP, '{"a":' * 100_000, "[" * 900 + "]" * 900, "9" * 5000):
            file.write(f'{{"asked": {asked}, "found": {{}}}}\n')
        file.write('{"asked": ' + "{}," * 3_000_000 + "\n")
    began = time.process_time()
    with pytest.warns(UserWarning, match="left out: lines 2, 3,( 4,)? 5, 6 of"):
        again = Ledger(path)
    assert time.process_time() - began < 3
    assert again.find({"n": 1}) == {"it": 1}


def test_a_line_without_end_is_not_held_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "LONGEST_LINE", 1000)
    path = tmp_path / "results.jsonl"
    Ledger(path).add({"n": 1}, {"it": 1})
    with path.open("a") as file:
        file.write('{"asked": "' + "x" * 100_000 + "\n")
    with pytest.warns(UserWarning, match="left out: line 2 of"):
        again = Ledger(path)
    again.add({"n": 2}, {"it": 2})
    with pytest.warns(UserWarning, match="left out: line 2 of"):
        assert len(Ledger(path)) == 2


def test_what_another_process_has_added_meanwhile_is_not_added_again_unless_it_failed(tmp_path):
    path = tmp_path / "results.jsonl"
    ours, theirs = Ledger(path), Ledger(path)
    theirs.add({"n": 1}, {"it": 1})
    theirs.add({"n": 2}, {"error": "no memory"})
    theirs.add({"n": 3}, {"again": True})
    for number in (1, 2, 3):
        ours.add({"n": number}, {"it": "ours"})
    assert [ours.find({"n": number})["it"] for number in (1, 2, 3)] == [1, "ours", "ours"]
    assert [row["asked"]["n"] for row in rows(path)] == [1, 2, 3, 2, 3]
    ours.add({"n": 1}, {"it": "once more"})  # what was asked for again is added again
    assert Ledger(path).find({"n": 1}) == {"it": "once more"}


def test_two_processes_on_one_file_leave_one_whole_row_for_each_job(tmp_path):
    path = tmp_path / "results.jsonl"
    code = (
        "import sys; from draggan_widget.analysis.ledger import Ledger\n"
        "ledger = Ledger(sys.argv[1]); print('ready', flush=True); sys.stdin.readline()\n"
        "for n in range(100): ledger.add({'n': n}, {'by': sys.argv[2], 'long': 'x' * 20_000})"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]
    try:
        for each in both:
            assert each.stdout.readline() == "ready\n"
        for each in both:
            each.stdin.write("\n")
            each.stdin.flush()
        assert [each.wait(60) for each in both] == [0, 0]
    finally:
        for each in both:
            each.kill()
            each.communicate()
    assert sorted(row["asked"]["n"] for row in rows(path)) == list(range(100))


@pytest.mark.parametrize("text", [DEEP, '{"jobs": ' * 50_000, "[" + "9" * 5000 + "]", "[1e", "\x00" * 100])
def test_jobs_that_are_no_json_that_can_be_read_are_refused_in_words(text, tmp_path):
    (tmp_path / "jobs.json").write_text(text)
    with pytest.raises(ValueError, match=r"jobs\.json is no JSON that can be read") as raised:
        read_jobs(tmp_path / "jobs.json")
    assert len(str(raised.value)) < 500


def test_jobs_that_are_more_than_a_file_may_hold_are_refused_before_they_take_memory(tmp_path):
    path = tmp_path / "jobs.json"
    with path.open("wb") as file:  # sparse
        file.truncate(3 << 30)
    with pytest.raises(ValueError, match="jobs in several files"):
        read_jobs(path)
    for name in ("none.json", "", "~nobody_of_that_name/jobs.json", "x" * 5000):
        with pytest.raises(FileNotFoundError):
            read_jobs(tmp_path / name if name == "none.json" else name)


def test_jobs_of_wrong_kinds_fail_alone_and_in_few_words():
    deep = json.loads("[" * 900 + "]" * 900)
    hostile = [
        None, 3, "x", [], deep, {}, {"handles": deep}, {"handles": deep, "targets": deep, "seed": 1, "name": deep},
        {"handles": [], "targets": [], "seed": 1, "name": 7}, {"handles": [], "targets": [], "model": deep, "seed": 1},
        {"handles": [], "targets": [], "ws": deep}, {"handles": [], "targets": [], "ws": [10**400]},
        {"x" * 100_000: 1}, {"handles": [], "targets": [], "seed": 1, "name": "x\x1b[2J"},
    ]  # fmt: skip
    outcomes = check_jobs(hostile)
    assert all(outcome.error for outcome in outcomes)
    assert max(len(outcome.error) for outcome in outcomes) < 500
    assert all(len(outcome.name) < 200 and outcome.name.isprintable() for outcome in outcomes)
