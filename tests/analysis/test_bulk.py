"""Many drags: here, and on a cluster of two processes one of which dies."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from pathlib import Path

import distributed
import numpy as np
import pytest
import torch
from PIL import Image
from planted import Planted
from random_stylegan2 import small_stylegan2

from draggan_widget import DragConfig, cli, drag
from draggan_widget.analysis import Job, bulk, drag_many
from draggan_widget.analysis.bulk_jobs import read_jobs
from draggan_widget.engines import Natural, to_image
from draggan_widget.models import save_generator

STEPS = 12


@pytest.fixture(scope="module")
def planted():
    return Planted((48, 40))


def job(seed, by=5.0, **fields):
    return {"seed": seed, "handles": [[20, 24]], "targets": [[20 + by, 24]], "config": {"max_steps": STEPS}, **fields}


def test_every_job_comes_to_what_drag_comes_to(planted):
    batch = drag_many(planted, [job(1), job(2, -4.0)])
    assert [outcome.error for outcome in batch] == [None, None]
    config = Natural(max_steps=STEPS)
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
    listed = {"ws": ws.tolist(), "handles": [[20, 24]], "targets": [[24, 24]], "mask": mask.tolist()}
    listed |= {"engine": "draggan", "config": DragConfig().to_dict()}
    (read,) = drag_many(planted, [json.loads(json.dumps(listed))])
    assert np.array_equal(read.ws, alone.ws.numpy())


def test_a_job_names_its_engine_or_has_the_default_one_or_that_of_its_settings(planted):
    bare = {"seed": 1, "handles": [[20, 24]], "targets": [[25, 24]]}
    jobs = [bare, {**bare, "engine": "draggan"}, Job(**bare, config=Natural()), Job(**bare, config=DragConfig())]
    settings = [Natural(), planted.drag_config, Natural(), DragConfig()]
    ws = planted.mapping(seed=1, truncation=0.7)
    for outcome, config in zip(drag_many(planted, jobs), settings, strict=True):
        assert np.array_equal(outcome.ws, drag(planted, ws, [[20, 24]], [[25, 24]], config=config).ws.numpy())


BAD = [
    ({"seed": 1, "handles": [[99, 24]], "targets": [[20, 24]]}, "handle of point 1 is outside the picture"),
    (job(1, model="nowhere.pkl"), "nowhere.pkl"),
    (job(-1), "seed is -1"),
    (job(1, config={"speed": 3}), "unknown settings speed; known are blend, block"),
    (job(1, engine="draggan", config={"speed": 3}), "unknown drag settings speed"),
    (job(1, config={"learning_rate": 0.1}), "natural has no setting 'learning_rate'; draggan, freedrag, stabledrag, "),
    (job(1, config={"learning_rate": 0.1}), 'gooddrag have it: "engine": "draggan"'),
    (job(1, engine="magic"), "there is no engine 'magic'; choose one of natural, draggan"),
    (job(1, engine="natural", config=DragConfig()), "the engine of a job is natural, and its config a DragConfig"),
    (job(1, config=3), "must be an object of settings"),
    (job(1, label=2), "no classes"),
    (job(1, name="../up"), "the name of a job is '../up'"),
    (job(1, name="é" * 150), "the name éééééééééééééééééééé… of a job has 300 bytes; give at most 200"),
    (job(1, model=3), "the model of a job is 3"),
    (job(1, model="x" * 5000), "xxx"),
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
    _, capital = drag_many(planted, [job(1, name="smile"), job(2, name="Smile")])
    assert "two jobs have the name 'Smile'" in capital.error


def same(one, other):
    assert one.ws.dtype == other.ws.dtype
    for part in ("ws", "handles", "distances"):
        assert np.array_equal(getattr(one, part), getattr(other, part))
    told = [(each.number, each.name, each.error, each.reason, each.steps) for each in (one, other)]
    assert told[0] == told[1]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError])
def test_what_was_finished_is_had_after_an_interrupt_and_goes_on_from_a_file(kind, planted, tmp_path):
    def stop(done, total, outcome):
        if done == 3:
            raise kind

    jobs = [job(1), job(-1), job(2, mask=np.ones((48, 40))), Job([[20, 24]], [[24, 24]], ws=planted.mapping(seed=4))]
    whole = drag_many(planted, jobs)
    keep = tmp_path / "deep" / "outcomes.jsonl"
    with pytest.raises(kind) as stopped:
        drag_many(planted, jobs, keep=keep, progress=stop)
    assert [outcome.number for outcome in stopped.value.finished] == [0, 1, 2]
    same(stopped.value.finished[2], whole[2])
    told = []
    resumed = drag_many(planted, jobs, keep=keep, progress=lambda done, total, outcome: told.append(outcome.number))
    assert told == [1, 3]  # what failed is tried again
    assert [outcome.error for outcome in resumed] == [outcome.error for outcome in whole]
    for number in (0, 2, 3):
        same(resumed[number], whole[number])
    other = Planted((48, 40))
    other.scale.data.fill_(1.5)
    told.clear()
    drag_many(other, jobs, keep=keep, progress=lambda done, total, outcome: told.append(outcome.number))
    assert sorted(told) == [0, 1, 2, 3]


def test_pictures_are_made_where_it_is_dragged_and_are_not_heaped_up(planted):
    shown = []
    (outcome,) = drag_many(
        planted, [job(1)], pictures=True, progress=lambda done, total, each: shown.append(each.picture)
    )
    assert outcome.picture is None
    assert shown == [to_image(planted.synthesize(torch.from_numpy(outcome.ws)))]


def test_a_checkpoint_that_was_replaced_is_read_again(tmp_path):
    pull = {"seed": 1, "handles": [[12, 12]], "targets": [[16, 12]], "config": {"max_steps": 1}}
    for seed in (0, 1):
        save_generator(tmp_path / "small.safetensors", small_stylegan2(32, seed=seed))
        (here,) = drag_many(tmp_path / "small.safetensors", [pull])
        (there,) = drag_many(small_stylegan2(32, seed=seed), [pull])
        assert np.allclose(here.ws, there.ws)


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


def test_a_cluster_loses_nothing_when_workers_are_killed(planted, cluster):
    jobs = [job(seed, 3.0 + seed % 3, config={"max_steps": 1 if seed % 100 else STEPS}) for seed in range(1000)]
    here = drag_many(planted, jobs, threads=1)
    killed = []

    def kill(done, total, outcome):
        if done in (333, 667):
            killed.append(next(pid for pid in cluster.run(os.getpid).values() if pid not in killed))
            os.kill(killed[-1], signal.SIGKILL)

    there = drag_many(planted, jobs, client=cluster, progress=kill)
    assert len(killed) == 2
    assert there.failed == []
    assert [outcome.number for outcome in there] == list(range(1000))
    for one, other in zip(here, there, strict=True):
        assert np.array_equal(one.ws, other.ws)
    assert not set(killed) & set(cluster.run(os.getpid).values())


def test_a_cluster_that_is_lost_leaves_what_was_finished(planted, cluster):
    def lose(done, total, outcome):
        if done == 3:
            cluster.cancel([distributed.Future(key, cluster) for key in list(cluster.futures)], reason="lost")

    with pytest.raises(ConnectionError, match="the cluster was lost, with 17 jobs still to do") as lost:
        drag_many(planted, [job(seed) for seed in range(20)], client=cluster, progress=lose)
    assert len(lost.value.finished) == 3
    assert lost.value.finished.failed == []


def test_what_progress_raises_is_no_failure_of_a_job_on_a_cluster(planted, cluster):
    told = []

    def stop(done, total, outcome):
        told.append(outcome.error)
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough") as stopped:
        drag_many(planted, [job(1), job(2)], client=cluster, progress=stop)
    assert told == [None]
    assert len(stopped.value.finished) == 1


def test_workers_find_a_model_that_is_named_from_here_and_send_its_pictures(planted, cluster, tmp_path, monkeypatch):
    save_generator(tmp_path / "small.safetensors", small_stylegan2(32))
    monkeypatch.chdir(tmp_path)
    shown = []
    pull = job(1, model="small.safetensors", handles=[[12, 12]], targets=[[16, 12]])
    batch = drag_many(
        planted,
        [pull],
        client=cluster,
        pictures=True,
        progress=lambda done, total, outcome: shown.append(outcome.picture.size),
    )
    assert batch.failed == []
    assert shown == [(32, 32)]


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
    path.write_text(json.dumps([job(1)]), encoding="utf-8-sig")  # as some editors save
    assert read_jobs(path) == (None, [job(1)])
    for text, says in (("{", "is no JSON"), ("3", "must hold a list of jobs"), ('{"jobs": 3}', "must hold a list")):
        path.write_text(text)
        with pytest.raises(ValueError, match=says):
            read_jobs(path)


def test_models_are_meant_from_the_folder_of_the_jobs_and_then_from_the_working_folder(tmp_path, monkeypatch):
    jobs, working = tmp_path / "jobs", tmp_path / "working"
    for folder, files in ((jobs, ("a.pkl", "b.pkl")), (working, ("b.pkl", "c.pkl"))):
        folder.mkdir()
        for file in files:
            (folder / file).touch()
    (working / "faces").mkdir()  # and yet the built-in faces are meant
    monkeypatch.chdir(working)
    named = ["a.pkl", "b.pkl", "c.pkl", "d.pkl", "faces"]
    found = [str(jobs / "a.pkl"), str(jobs / "b.pkl"), str(working / "c.pkl"), "d.pkl", "faces"]
    held = {"model": "a.pkl", "jobs": [job(1, model=name) for name in named]}
    Path("../jobs/jobs.json").write_text(json.dumps(held))
    assert read_jobs("../jobs/jobs.json") == (found[0], [job(1, model=name) for name in found])


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


@pytest.fixture
def folder(tmp_path, capsys):
    """A folder with a small generator, and the command in it."""
    return Folder(tmp_path, capsys)


class Folder:
    def __init__(self, path, capsys):
        self.path, self.out, self.capsys = path, path / "out", capsys
        self.model(0)

    def model(self, seed):
        save_generator(self.path / "small.safetensors", small_stylegan2(32, seed=seed))

    def pull(self, seed, **fields):
        return job(seed, handles=[[12, 12]], targets=[[16, 12]], config={"max_steps": 1}, **fields)

    def drag(self, jobs, *options):
        """Its status, and all that it says."""
        (self.path / "jobs.json").write_text(json.dumps({"model": "small.safetensors", "jobs": jobs}))
        status = cli.main(["drag", str(self.path / "jobs.json"), "--out", str(self.out), *options])
        said = self.capsys.readouterr()
        return status, said.out + said.err

    def bytes(self):
        return {file.name: file.read_bytes() for file in self.out.iterdir() if file.suffix != ".jsonl"}

    def held(self, name):
        return json.loads(str(np.load(self.out / f"{name}.npz")["job"]))["seed"]


def test_of_two_jobs_of_one_name_the_first_keeps_its_files_however_often_it_is_run(folder):
    for says in ("1 done, 1 failed, 0 before", "0 done, 1 failed, 1 before"):
        status, said = folder.drag([folder.pull(1, name="smile"), folder.pull(2, name="smile")])
        assert status == 1
        assert says in said
        assert "two jobs have the name 'smile'" in said
        assert folder.held("smile") == 1


def test_files_of_another_job_are_written_over_only_when_that_is_asked(folder):
    assert folder.drag([folder.pull(1), folder.pull(2)])[0] == 0
    before = folder.bytes()
    status, said = folder.drag([folder.pull(3), folder.pull(2), folder.pull(4)])  # another file, or one that was edited
    assert status == 1
    assert "1 done, 1 failed, 1 before" in said
    assert f"0000: {folder.out / '0000.png'} is another job's; give this job a name of its own or another --out" in said
    assert {name: folder.bytes()[name] for name in before} == before
    status, said = folder.drag([folder.pull(3), folder.pull(2), folder.pull(4)], "--force")
    assert "1 done, 0 failed, 2 before" in said
    assert [folder.held(name) for name in ("0000", "0001", "0002")] == [3, 2, 4]
    assert folder.drag([folder.pull(1)])[0] == 1  # it was done before, but is not what is there
    (folder.out / "mine.png").write_bytes(b"something else")
    status, said = folder.drag([folder.pull(1, name="mine")])
    assert "mine.png is no job's" in said
    assert (folder.out / "mine.png").read_bytes() == b"something else"


def test_a_folder_that_another_engine_made_is_gone_on_with_only_when_that_is_asked(folder):
    status, said = folder.drag([folder.pull(1), folder.pull(2)], "--engine", "draggan")
    assert (status, "does not name the engine" in said) == (0, False)
    before = folder.bytes()
    status, said = folder.drag([folder.pull(1), folder.pull(2)])
    assert status == 1
    assert said.count("does not name the engine of every job, so natural is used") == 1
    assert "0000.png was made by the engine draggan, and this job asks for natural; go on with --engine draggan" in said
    assert folder.bytes() == before
    named = [folder.pull(1, engine="draggan"), folder.pull(2, engine="draggan")]
    status, said = folder.drag(named)
    assert (status, "2 before" in said, "does not name" in said) == (0, True, False)
    status, said = folder.drag([folder.pull(1), folder.pull(2)], "--force")
    assert (status, "2 done, 0 failed, 0 before" in said) == (0, True)
    assert "2 before" in folder.drag([folder.pull(1), folder.pull(2)])[1]
    assert folder.drag([folder.pull(1)], "--engine", "magic")[0] == 1


def test_what_was_done_before_there_were_engines_counts_as_dragged_by_draggan(folder, monkeypatch):
    keys_of = bulk.job_keys
    monkeypatch.setattr(bulk, "job_keys", lambda source: lambda job: bulk.before_engines(keys_of(source)(job)))
    folder.drag([folder.pull(1)], "--engine", "draggan")
    monkeypatch.undo()
    assert '"engine"' not in (folder.out / "results.jsonl").read_text()
    assert "1 before" in folder.drag([folder.pull(1)], "--engine", "draggan")[1]
    status, said = folder.drag([folder.pull(1)])
    assert (status, "made by the engine draggan" in said) == (1, True)


def test_a_file_that_was_deleted_is_made_again(folder):
    folder.drag([folder.pull(1), folder.pull(2)])
    before = folder.bytes()
    for gone in ("0000.png", "0001.npz"):
        (folder.out / gone).unlink()
        assert "1 done, 0 failed, 1 before" in folder.drag([folder.pull(1), folder.pull(2)])[1]
        assert (folder.bytes().keys(), folder.bytes()["0000.png"]) == (before.keys(), before["0000.png"])


def test_results_of_a_checkpoint_that_was_replaced_are_not_taken_for_those_of_the_new_one(folder):
    assert folder.drag([folder.pull(1)])[0] == 0
    before = folder.bytes()
    folder.model(1)
    status, said = folder.drag([folder.pull(1)])
    assert status == 1
    assert "0000.png was made with another model; give another --out, or write over it with --force" in said
    assert folder.bytes() == before
    assert "1 done, 0 failed, 0 before" in folder.drag([folder.pull(1)], "--force")[1]
    assert not np.array_equal(folder.bytes()["0000.png"], before["0000.png"])
    assert "0 done, 0 failed, 1 before" in folder.drag([folder.pull(1)])[1]
    assert "0000: no generator 'gone.pkl'" in folder.drag([folder.pull(1, model="gone.pkl")])[1]


def test_a_job_whose_files_cannot_be_written_fails_alone(folder, monkeypatch):
    write = Path.write_bytes

    def full(path, data):
        if path.name.startswith("0001"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    jobs = [folder.pull(1), folder.pull(2), folder.pull(3, name="x" * 300), folder.pull(4)]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        status, said = folder.drag(jobs)
    assert status == 1
    assert "2 done, 2 failed, 0 before" in said
    assert "No space left on device; the disk is full" in said
    assert "has 300 bytes; give at most 200" in said
    assert "1 done, 1 failed, 2 before" in folder.drag(jobs)[1]
    assert len(folder.bytes()) == 6


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
