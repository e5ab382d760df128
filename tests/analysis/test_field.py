"""The field side by side: what is measured, that it goes on where it was, and what its page and plots show."""

from __future__ import annotations

import csv
import dataclasses

import field as command
import numpy as np
import pytest
from planted import Textured
from test_experiments import brightest

from draggan_widget import DragConfig
from draggan_widget.analysis.experiments import field
from draggan_widget.analysis.experiments.evaluation import Evaluation, Interrupted
from draggan_widget.analysis.experiments.experiments import Landmarks
from draggan_widget.analysis.experiments.ways import Way
from draggan_widget.engines import engine_named, engine_names


@pytest.fixture(scope="module")
def planted():
    return Textured((96, 80))


def pulling():
    """The engines of GANs that pull in steps; predictors are there where the model has some."""
    return [name for name in engine_names("gan") if not engine_named(name).jumps]


def test_every_engine_is_in_every_part_with_no_edit_beside_it_and_one_cap(planted):
    chosen = field.parts(planted, trackers=("flow", "features:2"))
    assert [part.title for part in chosen] == list(field.TITLES)
    assert [part.samples for part in chosen] == [100, 50, 10, 30, 30, 30, 30, 30]
    for part in chosen:
        assert part.ways[0].name == "no edit"
        assert part.experiment.most == 300
        assert {way.config.max_steps for way in part.ways[1:]} == {300}
        assert part.experiment.first_seed >= 25_000, "settings were chosen on the seeds before"
    for part in chosen[:5]:
        assert [way.name for way in part.ways[1:]] == pulling()
    assert [way.name for way in chosen[-2].ways] == [
        *("no edit", "draggan", "natural", "draggan, flow", "draggan, features:2", "natural, flow"),
        "natural, features:2",
    ]
    assert [part.samples for part in field.parts(planted, 0.05)] == [5, 2, 2, 2, 2, 2, 2, 2]
    assert [part.samples for part in field.parts(planted, 0.25)] == [50, 50, 3, 8, 8, 10, 30, 15]
    assert [part.samples for part in field.parts(planted, 0.6)] == [60, 50, 6, 18, 18, 18, 30, 18]


def test_each_setting_that_engines_share_is_measured_against_draggan_without_it(planted):
    *_, part = field.parts(planted)
    (nothing, own, *others) = part.ways
    assert (nothing.name, own.name) == ("no edit", "draggan")
    usual = own.config.to_dict()
    changed = [{name for name, value in way.config.to_dict().items() if value != usual[name]} for way in others]
    assert set.union(*changed) == {
        *("window", "several_blocks", "block", "on_lost", "typical", "truncate", "stay_near"),
    }
    assert len({way.name for way in part.ways}) == len(part.ways)


def test_stopped_in_the_middle_of_a_part_only_samples_measured_in_all_ways_count(planted, tmp_path):
    ways = (Way("no edit", None), Way("draggan", planted.drag_config.replace(max_steps=5)))
    chosen = [field.Part("one point", Landmarks(1, 300, 25_000), ways, 3)]

    def stop(title, done, total, text):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        field.measure(planted, chosen, tmp_path / "rows.jsonl", detector=brightest, progress=stop)
    rows = stopped.value.evaluation.rows
    assert [(row["experiment"], row["way"], row["sample"]) for row in rows] == [
        ("one point", "no edit", 0),
        ("one point", "draggan", 0),
    ]


def test_the_table_of_a_part_has_the_distance_first_its_spread_and_the_least_in_bold():
    evaluation = Evaluation(
        rows_of(
            no_edit={"distance": [9.0, 9.2], "mahalanobis2": [0.0, 0.0]},
            one={"distance": [1.0, 1.2], "mahalanobis2": [250000.0, 350000.0]},
            two={"distance": [2.0, 2.2], "mahalanobis2": [2.0, 4.0]},
        ),
        {},
    )
    head, _, none, one, two = field.table(evaluation, "one point").splitlines()
    assert head == "| | px left | distance² of latents | samples |"
    assert none.startswith("| no edit | 9.10 ± 0.20 ▲ | 0.0 |")
    assert one == "| `one` | **1.10 ± 0.20** | 300,000 ▲ | 2 |"
    assert two == "| `two` | 2.10 ± 0.20 ▲ | **3.0** | 2 |"
    assert field.spread(evaluation, "one point", "one", "distance") == pytest.approx(2 * 0.02**0.5 / 2**0.5)


def test_no_two_parts_measure_one_seed_as_different_samples(planted):
    seeds = [
        {part.experiment.first_seed + each * number for number in range(part.samples) for each in (1, 2)}
        for part in field.parts(planted)[:5]
    ]
    assert not seeds[0] & seeds[3]
    assert not seeds[3] & seeds[4]


def test_parts_are_measured_go_on_where_they_were_and_keep_their_titles(planted, tmp_path):
    ways = (Way("no edit", None), Way("draggan", planted.drag_config.replace(max_steps=20)))
    chosen = [
        field.Part("one point", Landmarks(1, 300, 25_000), ways, 3),
        field.Part("other blocks, one point", Landmarks(1, 300, 25_000), ways[1:], 3),
    ]
    told = []

    def measured():
        keep, tell = tmp_path / "rows.jsonl", lambda *news: told.append(news[:3])
        return field.measure(planted, chosen, keep, detector=brightest, progress=tell)

    done = measured()
    assert told[-1] == ("one point", 6, 6), "rows of the second part are those of the first, and known"
    assert [row["experiment"] for row in done.rows] == ["one point"] * 6 + ["other blocks, one point"] * 3
    told.clear()
    assert measured().rows == done.rows
    assert told == []
    more = [dataclasses.replace(chosen[0], samples=4)]
    field.measure(
        planted, more, tmp_path / "rows.jsonl", detector=brightest, progress=lambda *news: told.append(news[1])
    )
    assert told == [7, 8]


def rows_of(**figures):
    """Rows of one part: way → name → a figure for each sample."""
    rows = []
    for way, named in figures.items():
        for sample in range(len(next(iter(named.values())))):
            values = {name: each[sample] for name, each in named.items()}
            rows.append(
                {"experiment": "one point", "way": way.replace("_", " "), "sample": sample, "reason": "", **values}
            )
    return tuple(rows)


def test_figures_that_are_surely_larger_than_the_least_are_marked_and_no_edit_is_no_rival_in_change():
    near, far = [1.0, 1.1, 0.9, 1.0], [2.0, 2.2, 1.8, 2.1]
    noisy = [0.0, 4.0, 0.5, 1.0]
    evaluation = Evaluation(
        rows_of(
            no_edit={"distance": [9.0, 9.1, 9.2, 9.0], "identity": [0.0] * 4, "seconds": [0.0] * 4},
            one={"distance": near, "identity": far, "seconds": near},
            two={"distance": far, "identity": near, "seconds": near},
            three={"distance": noisy, "identity": near, "seconds": far},
        ),
        {},
    )
    table = {line.split("|")[1].strip(): line for line in evaluation.to_markdown().splitlines() if line[:1] == "|"}
    marked = {way: [cell.strip() for cell in line.split("|") if "▲" in cell] for way, line in table.items()}
    assert marked["no edit"] == ["9.07 ▲"]
    assert marked["one"] == ["2.02 ▲"]
    assert marked["two"] == ["2.02 ▲"]
    assert marked["three"] == ["2.02 ▲"], "its distance is larger in the mean, and may be by chance"


def test_the_share_of_lost_faces_is_of_those_measured():
    rows = [
        {"experiment": "one point", "way": "one", "sample": 0, "reason": "arrived", "distance": 1.0},
        {"experiment": "one point", "way": "one", "sample": 1, "reason": "arrived", "lost": "no face was found"},
        {"experiment": "one point", "way": "one", "sample": 2, "error": "no face was found in the picture of seed 1"},
    ]
    head, _, line = Evaluation(tuple(rows), {}).to_markdown().splitlines()[2:5]
    cells = dict(zip(map(str.strip, head.split("|")), map(str.strip, line.split("|")), strict=True))
    assert cells["lost, %"] == "50"
    assert cells["samples"] == "2"


def test_rows_that_are_committed_are_shown_and_plotted_from_wherever_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluation = field.committed()
    assert {row["experiment"] for row in evaluation.rows} <= set(field.TITLES)
    seen = field.points_of(evaluation, "one point", "ms_dssim_before")
    assert {"no edit", *pulling()} <= set(seen)
    figure = field.plots(evaluation, "one point")
    first, second = figure.axes
    assert [axes.get_xlabel() for axes in (first, second)] == list(field.PLOTTED.values())
    dots = {line.get_label(): (line.get_xdata()[0], line.get_ydata()[0]) for line in first.lines}
    assert dots == {way: pytest.approx(place) for way, place in seen.items() if way != "no edit"}
    with pytest.raises(KeyError):
        field.plots(evaluation, "no such part")


def test_the_page_is_written_from_rows_and_rows_of_other_parts_stay(tmp_path):
    page, rows, followed = tmp_path / "field.md", tmp_path / "field.csv", tmp_path / "trackers.csv"
    page.write_text(f"before\n{command.BEGIN}old\n{command.END}after\n")
    first = Evaluation(rows_of(no_edit={"distance": [9.0, 8.0], "seconds": [0.0, 0.0]}), {})
    rows.write_text(first.to_csv())
    with followed.open("w") as file:
        csv.writer(file).writerows([command.tracking_table.COLUMNS, ("flow", "turn", 1, 0, 3.0, 0.5, 0.1)])
    command.write_page(page, rows, followed)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| no edit |" in text
    assert "| `flow` | 0.50 | 0.50 | 0.0 | 100 |" in text
    assert "old" not in text
    assert (tmp_path / "field-one-point.png").read_bytes()[:4] == b"\x89PNG"
    other = [{**row, "experiment": "five points"} for row in first.rows]
    both = command.beside_others(Evaluation(tuple(other), {}), rows)
    assert [row["experiment"] for row in both.rows] == ["one point"] * 2 + ["five points"] * 2
    again = command.beside_others(Evaluation(first.rows[:1], {}), rows)
    assert len(again.rows) == 1


def test_rows_say_how_far_out_latents_went_and_how_alike_faces_are(planted, tmp_path):
    class Describing:
        def __call__(self, picture):
            return brightest(picture)

        def describe(self, picture):
            return None, np.array([picture.mean() / 255])

    ways = (Way("no edit", None), Way("draggan", DragConfig(learning_rate=0.05, max_steps=20)))
    for part, changed in zip(field.parts(planted)[3:5], ({"share": 0.9}, {"by": 0.1}), strict=True):
        part = dataclasses.replace(
            part, ways=ways, samples=1, experiment=dataclasses.replace(part.experiment, **changed)
        )
        done = field.measure(planted, [part], tmp_path / f"{part.title}.jsonl", detector=Describing())
        plain, pulled = done.rows
        assert plain["mahalanobis2"] == 0 < pulled["mahalanobis2"]
        assert min(plain["farthest"], pulled["farthest"]) > 0
        assert {"identity", "mse", "seconds", "steps", "reason"} <= set(pulled)
