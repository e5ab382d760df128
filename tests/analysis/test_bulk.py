"""Many drags: here, and on a cluster of two processes one of which dies."""

from __future__ import annotations

import json
import os
import signal
import sys

import distributed
import numpy as np
import pytest
import torch
from PIL import Image
from planted import Planted

from draggan_widget import DragConfig, cli, drag
from draggan_widget.analysis import Job, drag_many
from draggan_widget.analysis.bulk import read_jobs

STEPS = 12


@pytest.fixture(scope="module")
def planted():
    return Planted((48, 40))


def job(seed, by=5.0, **fields):
    return {"seed": seed, "handles": [[20, 24]], "targets": [[20 + by, 24]], "config": {"max_steps": STEPS}, **fields}


def test_every_job_comes_to_what_drag_comes_to(planted):
    batch = drag_many(planted, [job(1), job(2, -4.0)])
    assert [outcome.error for outcome in batch] == [None, None]
    config = planted.drag_config.replace(max_steps=STEPS)
    for outcome, (seed, by) in zip(batch, [(1, 5.0), (2, -4.0)], strict=True):
        alone = drag(planted, planted.mapping(seed=seed, truncation=0.7), [[20, 24]], [[20 + by, 24]], config=config)
        assert np.array_equal(outcome.ws, alone.ws.numpy())
        assert (outcome.reason, outcome.steps) == (alone.reason, alone.steps)
        assert np.array_equal(outcome.handles, alone.handles)


def test_a_job_may_begin_with_a_latent_and_hold_what_must_stay(planted):
    ws = planted.mapping(seed=4)
    mask = np.ones((48, 40))
    (outcome,) = drag_many(planted, [Job([[20, 24]], [[24, 24]], ws=ws.numpy(), mask=mask, config=DragConfig())])
    alone = drag(planted, ws, [[20, 24]], [[24, 24]], mask, DragConfig())
    assert np.array_equal(outcome.ws, alone.ws.numpy())


BAD = [
    ({"seed": 1, "handles": [[99, 24]], "targets": [[20, 24]]}, "handle of point 1 is outside the picture"),
    (job(1, model="nowhere.pkl"), "nowhere.pkl"),
    (job(-1), "seed is -1"),
    (job(1, config={"speed": 3}), "unknown drag settings speed"),
    (job(1, config=3), "must be an object of settings"),
    (job(1, label=2), "no classes"),
    (job(1, name="../up"), "the name of a job is '../up'"),
    ({"seed": 1, "handles": [[1, 2]]}, "lacks targets"),
    (job(1, sed=3), "has no sed"),
    ({"handles": [[1, 2]], "targets": [[1, 2]]}, "seed or with a latent"),
    ([1, 2], "must be an object"),
    ({"seed": 1, "handles": [], "targets": []}, "there are no points"),
]


def test_bad_jobs_fail_alone_and_say_why(planted):
    jobs = [job(1), *(bad for bad, _ in BAD), job(2)]
    told = []
    batch = drag_many(planted, jobs, progress=lambda done, total, outcome: told.append((done, total)))
    assert len(batch) == len(jobs)
    assert told == [(done, len(jobs)) for done in range(1, len(jobs) + 1)]
    assert (batch[0].error, batch[-1].error) == (None, None)
    for outcome, (_, says) in zip(batch[1:-1], BAD, strict=True):
        assert says in outcome.error
        assert outcome.ws is None
    assert len(batch.failed) == len(BAD)
    table = batch.to_dataframe()
    assert table["error"].notna().sum() == len(BAD)
    assert table["steps"][0] > 0


def test_two_jobs_of_one_name_do_not_write_over_each_other(planted):
    first, second = drag_many(planted, [job(1, name="smile"), job(2, name="smile")])
    assert first.error is None
    assert "two jobs have the name 'smile'" in second.error


def test_threads_of_a_job_are_given_back(planted):
    before = torch.get_num_threads()
    drag_many(planted, [job(1)], threads=before + 1)
    assert torch.get_num_threads() == before


@pytest.fixture(scope="module")
def cluster():
    # Workers start anew, so they must find what tests are made of.
    before = os.environ.get("PYTHONPATH")
    here = os.path.dirname(__file__)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.path.dirname(here), before]))
    try:
        with (
            distributed.LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as local,
            distributed.Client(local) as client,
        ):
            yield client
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def test_a_cluster_loses_nothing_when_a_worker_is_killed(planted, cluster):
    jobs = [job(seed, 3.0 + seed % 3) for seed in range(60)]
    here = drag_many(planted, jobs)
    killed = []

    def kill_one(done, total, outcome):
        if done == 15:
            killed.extend(cluster.run(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)

    there = drag_many(planted, jobs, client=cluster, progress=kill_one)
    assert len(killed) == 2
    assert there.failed == []
    assert [outcome.number for outcome in there] == list(range(60))
    for one, other in zip(here, there, strict=True):
        assert np.array_equal(one.ws, other.ws)
    assert killed[0] not in cluster.run(os.getpid).values()


def test_a_cluster_tells_bad_jobs_and_unknown_models_apart_from_good_ones(planted, cluster):
    batch = drag_many(planted, [job(1), job(2, model="nowhere.pkl"), {"seed": 1}], client=cluster)
    assert [outcome.error is None for outcome in batch] == [True, False, False]
    missing = drag_many("nowhere.pkl", [job(1)], client=cluster)
    assert "nowhere.pkl" in missing[0].error


class Deadly:
    """A mask that kills every other process that looks at it."""

    def __init__(self):
        self.home = os.getpid()

    def __array__(self, dtype=None, copy=None):
        assert os.getpid() != self.home
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_job_that_kills_every_worker_is_one_that_failed(planted, cluster):
    poison = Job([[20, 24]], [[24, 24]], seed=1, mask=Deadly())
    cluster.cluster.scheduler.allowed_failures = 0  # one worker will do
    (outcome,) = drag_many(planted, [poison], client=cluster)
    assert "its worker failed" in outcome.error
    assert drag_many(planted, [job(1)], client=cluster).failed == []


def test_jobs_are_read_from_a_list_or_from_an_object_that_names_the_model(tmp_path):
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps([job(1)]))
    assert read_jobs(path) == (None, [job(1)])
    path.write_text(json.dumps({"model": "faces", "jobs": [job(1)]}))
    assert read_jobs(path) == ("faces", [job(1)])
    for text, says in (("{", "is no JSON"), ("3", "must hold a list of jobs"), ('{"jobs": 3}', "must hold a list")):
        path.write_text(text)
        with pytest.raises(ValueError, match=says):
            read_jobs(path)


def test_the_command_writes_pictures_latents_and_results_and_goes_on_where_it_was(tmp_path, capsys):
    pull = {"handles": [[98, 174]], "targets": [[94, 172]], "config": {"max_steps": 2}}
    jobs = [
        {"seed": 9, **pull, "name": "smile"},
        {"seed": 8, **pull},
        {"seed": 7, "handles": [[999, 1]], "targets": [[1, 1]]},
    ]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    out = tmp_path / "out"
    arguments = ["drag", str(tmp_path / "jobs.json"), "--out", str(out)]
    assert cli.main(arguments) == 1
    said = capsys.readouterr()
    assert "2 done, 1 failed, 0 before" in said.out
    assert "0002: the handle of point 1 is outside" in said.err
    assert sorted(file.name for file in out.iterdir()) == [
        "0001.npz",
        "0001.png",
        "results.jsonl",
        "smile.npz",
        "smile.png",
    ]
    assert Image.open(out / "smile.png").size == (256, 256)
    held = np.load(out / "smile.npz")
    assert held["ws"].shape == (1, 14, 336)
    rows = [json.loads(line)["found"] for line in (out / "results.jsonl").read_text().splitlines()]
    assert [row["number"] for row in rows] == [0, 1, 2]
    jobs[2] = {"seed": 7, **pull}
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    assert cli.main(arguments) == 0
    assert "1 done, 0 failed, 2 before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.json", "--out", "out"], "missing.json"),
        (["jobs.json", "--out", "out", "--model", "nowhere.pkl"], "nowhere.pkl"),
        (["jobs.json", "--out", "out", "--workers", "0"], "at least 1"),
    ],
)
def test_the_command_says_what_is_wrong_before_anything_is_dragged(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs.json").write_text("[]")
    assert cli.main(["drag", *arguments]) == 1
    assert says in capsys.readouterr().err


def test_without_dask_the_command_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    (tmp_path / "jobs.json").write_text("[]")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cli.main(["drag", str(tmp_path / "jobs.json"), "--out", str(tmp_path), "--workers", "2"]) == 1
    assert 'pip install "draggan_widget[cluster]"' in capsys.readouterr().err
