"""The network that reads attributes off pictures of faces, and what is made of its readings."""

from __future__ import annotations

import dataclasses
import json

import attributes
import holding
import measurer
import numpy as np
import pytest
import remake
import torch
from dataset import FACES
from measurer import (
    FACE_SIDE,
    FACE_WIDTH,
    MIDDLE,
    POSE,
    Measurer,
    depth,
    edges,
    fit,
    from_the_front,
    nose_tips,
    of_face,
    of_whole,
    placed,
    r_squared,
    read_attributes,
)
from pairs import part_file, part_latents
from scene import LATENT

from draggan_widget import load_generator
from draggan_widget.directions import Directions

RECIPE = dataclasses.replace(FACES, part=60)
YAW = LATENT.index("yaw")


def test_edges_are_told_by_their_orientation_and_by_where_they_are():
    picture = -torch.ones(1, 3, 32, 32)
    picture[..., 20:] = 1  # it becomes lighter to the right
    told = edges(picture, 8).view(16, 4, 4)
    assert int(told[:, :, 2].sum(1).argmax()) == 0
    assert float(told[8, :, 2].max()) == pytest.approx(float(told[8, :, 0].max()), abs=1e-3)
    assert float(told[0, 1, 2]) > 5 * float(told[0, 1, 0])


def places_in(pictures):
    """Centres of mass (n, 2) of dark pictures (n, h, w) with one light spot each."""
    rows, columns = (torch.arange(float(size)) for size in pictures.shape[1:])
    whole = pictures.sum((1, 2))
    return torch.stack([pictures.sum(1) @ columns, pictures.sum(2) @ rows], 1) / whole[:, None]


@pytest.mark.parametrize(("x", "z"), [(0.0, MIDDLE), (0.35, -1.25), (-0.5, 0.0)], ids=["nose", "mouth", "eye"])
def test_a_place_of_a_face_is_seen_from_the_front_where_it_is_whatever_the_pose(x, z):
    pose = torch.randn(12, len(POSE), generator=torch.Generator().manual_seed(0)).clamp(-1.5, 1.5)
    point = torch.tensor([[x, float(depth(torch.tensor(x), torch.tensor(z))), z]])
    there = (placed(pose, point)[0][:, 0] * torch.tensor([1.0, -1.0]) + 1) * 128 - 0.5
    rows, columns = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    spots = torch.stack([torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8) for x, y in there])
    seen = places_in(from_the_front(spots[:, None].expand(-1, 3, -1, -1), pose)[:, 0])
    wanted = (torch.tensor([x, MIDDLE - z]) / FACE_WIDTH + 0.5) * FACE_SIDE - 0.5
    assert float((seen - wanted).abs().max()) < 1
    assert float((there - there.mean(0)).abs().max()) > 10
    if x == 0:
        assert torch.allclose(nose_tips(pose), there, atol=1e-3)


def test_every_number_that_is_seen_belongs_to_one_zone_and_every_sort_of_units_looks_at_all_of_a_view():
    picture = torch.zeros(1, 3, 256, 256)
    told = {"whole": of_whole(picture), "face": of_face(picture, torch.zeros(1, len(POSE)))}
    for view, numbers in told.items():
        zones = torch.cat(list(measurer.zones_of(view).values()))
        assert sorted(zones.tolist()) == list(range(numbers.shape[1]))
    for kind in measurer.KINDS:
        shares = {zone: measurer.share(kind, zone) for zone in measurer.ZONES}
        assert sum(shares.values()) == pytest.approx(1)
        views = {measurer.ZONES[zone][0] for zone, counts in shares.items() if counts}
        assert all(counts > 0 for zone, counts in shares.items() if measurer.ZONES[zone][0] in views)


def test_readings_are_chosen_whose_mean_is_nearest_to_what_is_wanted():
    wanted = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(4, 200, 3, generator=torch.Generator().manual_seed(1))
    counts = measurer.chosen(torch.stack([wanted + noise[0], wanted + noise[1], 3 * noise[2], 3 * noise[3]]), wanted)
    assert (counts.sum(0) == measurer.ROUNDS).all()
    assert (counts[:2] >= 3).all()  # two of like noise are better together


@pytest.fixture(scope="module")
def renders(tmp_path_factory):
    """Three parts of pictures, of which one number is the grey of the upper half, and another how red the lower is."""
    folder = tmp_path_factory.mktemp("renders")
    (folder / "pictures").mkdir()
    for part in range(3):
        latents = read_attributes(part_latents(RECIPE, part))
        pictures = np.full((RECIPE.part, 256, 256, 3), 128, np.uint8)
        light, red = (latents[:, LATENT.index(name)] for name in ("back_light", "shirt_red"))
        pictures[:, :128] = (128 + 40 * light)[:, None, None, None]
        pictures[:, 128:, :, 0] = (128 + 40 * red)[:, None, None]
        np.save(part_file(folder / "pictures", part), pictures)
    return folder


@pytest.fixture(scope="module")
def network(renders):
    return fit(renders / "pictures", 10, line=lambda text: None, recipe=RECIPE)


def test_what_pictures_show_is_read_off_those_that_were_not_seen_and_nothing_else(network):
    shown = [LATENT.index(name) for name in ("back_light", "shirt_red")]
    assert network.scores[shown].min() > 0.8
    assert np.delete(network.scores, shown).max() < 0.3


def test_a_picture_and_its_mirror_image_are_read_alike_but_for_what_changes_sides(network):
    pictures = np.random.RandomState(0).randint(0, 255, (3, 256, 256, 3), dtype=np.uint8)
    one, other = network(pictures), network(np.ascontiguousarray(pictures[:, :, ::-1]))
    for place, name in enumerate(LATENT):
        if name not in measurer.SIDED:
            sign = -1 if name in measurer.TURNED else 1
            assert one[:, place] == pytest.approx(sign * other[:, place], abs=1e-4), name


def test_a_network_reads_the_same_after_it_was_written(network, renders, tmp_path):
    network.save(tmp_path / "x.pt")
    again = Measurer.load(tmp_path / "x.pt")
    pictures = np.load(part_file(renders / "pictures", 0))[:5]
    assert np.array_equal(again(pictures), network(pictures))
    assert np.array_equal(again.scores, network.scores)
    with pytest.raises(FileNotFoundError, match=r"run attributes\.py"):
        Measurer.load(tmp_path / "none.pt")


def test_fewer_than_two_parts_of_renders_are_refused_with_what_to_do(renders):
    with pytest.raises(ValueError, match="less than two parts of renders: run make"):
        fit(renders / "pictures", 1, [0], recipe=RECIPE)


def test_time_that_is_short_is_kept_by_looking_at_fewer_renders(renders, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(measurer.time, "monotonic", lambda: 20.0 * next(clock))
    lines = []
    fit(renders / "pictures", 1, line=lines.append, recipe=RECIPE)
    assert lines[0].startswith("60 renders looked at")


def test_r_squared_is_1_for_the_truth_and_0_for_its_mean():
    truth = np.random.RandomState(0).randn(50, 2)
    assert r_squared(truth, truth) == pytest.approx([1, 1])
    assert r_squared(np.broadcast_to(truth.mean(0), truth.shape), truth) == pytest.approx([0, 0])


# --- what is made of readings -----------------------------------------------------------------------------------------


def moves(own, others, count=100):
    both = np.full((count, len(LATENT)), others)
    both[:, YAW] = own
    return both


@pytest.mark.parametrize(
    ("own", "others", "good"),
    [
        (np.r_[np.ones(96), -np.ones(4)], 0.1, True),
        (np.r_[np.ones(94), -np.ones(6)], 0.1, False),
        (np.ones(100), 0.24, True),
        (np.ones(100), -0.26, False),
        (np.zeros(100), 0.0, False),
    ],
)
def test_an_attribute_qualifies_that_moves_the_right_way_in_95_percent_and_the_others_by_less_than_a_quarter(
    own, others, good
):
    assert attributes.judged(moves(own, others), YAW, np.ones(len(LATENT), bool))["qualifies"] is good


def test_others_that_cannot_be_read_do_not_count():
    both, readable = moves(np.ones(100), 0.1), np.ones(len(LATENT), bool)
    both[:, 3] = 50
    readable[3] = False
    assert attributes.judged(both, YAW, readable)["qualifies"]


def found_with(good, readable):
    return {
        name: {"r2": 0.9 if name in readable else 0.1, "qualifies": name in good, "descriptor": 0.1, "samples": 7}
        for name in LATENT
    }


def test_what_was_measured_is_noted_beside_the_weights_and_only_what_qualifies_is_offered(tmp_path):
    from draggan_widget import load_generator
    from draggan_widget.directions.known import known_directions, read_known

    file = tmp_path / "attributes.json"
    file.write_text(attributes.FILE.read_text(encoding="utf-8"), encoding="utf-8")
    attributes.write(file, "faces", found_with({"smile", "yaw"}, {"smile", "yaw", "age"}))
    known = read_known(file.read_text(encoding="utf-8"))
    found = known_directions(load_generator("faces", device="cpu"), known)
    assert {each.name for each in found if each.offered} == {"smile", "yaw"}
    assert json.loads(file.read_text(encoding="utf-8"))["measured"]["fingerprint"] == remake.present()


def test_the_table_of_the_docs_says_of_each_attribute_once_what_became_of_it():
    values = json.loads(attributes.FILE.read_text(encoding="utf-8"))
    table = attributes.table(values, found_with({"smile", "yaw"}, {"smile", "yaw", "age"}))
    lines = {line.split(" | ")[0].lstrip("| "): line.split(" | ") for line in table.splitlines()[2:]}
    assert lines["Expression"][1] == "smile"
    assert lines["Person"][2] == "age"
    words = table.replace(",", " ").split()
    assert all(words.count(name) == 1 for name in LATENT if "_" in name)
    said = attributes.summary(found_with({"smile"}, {"smile", "yaw"}))
    assert "0.5 or more for 2 of 80. Moved on 7 samples, 1 qualify." in said
    assert "0.100" in said
    assert max(map(len, attributes.in_lines(said).splitlines())) <= 120


def test_the_page_has_a_place_for_what_was_measured():
    page = attributes.PAGE.read_text(encoding="utf-8")
    for place in ("measured", "held smile", "held smile draggan"):
        assert f"<!-- {place} -->\n" in page
        assert f"\n<!-- /{place} -->" in page


def test_measuring_goes_on_after_the_attribute_it_was_stopped_at(tmp_path, monkeypatch):
    class Network:
        scores = np.full(len(LATENT), 0.9)
        stop = 3

        def __call__(self, pictures):
            Network.stop -= 1
            if Network.stop < 0:
                raise KeyboardInterrupt
            return pictures

    class Model:
        def mapping(self, z):
            return torch.zeros(len(z), 1, len(LATENT))

    class Change:
        def change(self, amounts):
            step = torch.zeros(1, 1, len(LATENT))
            for name, amount in amounts.items():
                step[0, 0, LATENT.index(name)] = amount
            return step

    monkeypatch.setattr(attributes, "drawn", lambda model, latents: latents[:, 0].numpy())
    monkeypatch.setattr(attributes, "fingerprint", lambda model: "some weights")
    asked = (Model(), Change(), Network(), 4, 0, tmp_path / "measured.json")
    with pytest.raises(KeyboardInterrupt):
        attributes.move(*asked)
    assert list(json.loads((tmp_path / "measured.json").read_text())["found"]) == [LATENT[0]]
    Network.stop = 1 + 2 * (len(LATENT) - 1)
    found = attributes.move(*asked)
    assert list(found) == list(LATENT)
    assert all(entry["qualifies"] and entry["moved"] == 1 for entry in found.values())


def test_renders_of_another_edition_and_folders_without_any_are_told(tmp_path):
    (problem,) = attributes.missing_things("faces", tmp_path)
    assert "is no folder of make.py" in problem
    (tmp_path / "recipe.json").write_text(json.dumps({"edition": "7"}))
    (problem,) = attributes.missing_things("faces", tmp_path)
    assert "holds renders of edition 7" in problem


def test_what_is_left_of_a_held_attribute_is_told_beside_the_error_of_the_network():
    def row(free, held, other, turn, likewise, latent):
        ends = {"free": free, "held": held, "other": other}
        beside = {f"{way} turn": turn for way in ends} | {f"{way} likewise": likewise for way in ends}
        return ends | beside | dict(zip([f"{way} latent" for way in ends], latent, strict=True))

    rows = [row(0.6, -0.1, 0.3, 0.1, 0.0, (0.4, 0.0, 0.1)), row(-0.3, 0.3, 0.3, 0.0, 0.1, (0.2, 0.001, -0.3))]
    said = holding.summary("smile", rows, "natural", [{"read": 0.3}, {"read": -0.1}, {"read": 0.1}])
    assert "by 0.450 ± 0.106 σ on average (2 samples), and by 0.200 ± 0.071 σ where it is held: 0.44 of it" in said
    assert "it reads 0.167 ± 0.054 σ more or less (3 heads; +0.100 with its sign)" in said
    assert "by *yaw* alone 0.050 and 0.050 σ" in said
    assert "the pull changes it by 0.400 ± 0.071 σ, and by 0.250 ± 0.035 σ where it is held: 0.62 of it" in said
    assert "0.500 ± 0.071 σ (median 0.500) and 0.150 ± 0.035 σ (median 0.150): 0.30 of it (0.33 asked)" in said
    assert "0.250 ± 0.035 σ where *back_blue* is held in its place" in said
    assert "In the latent it is 0.300, 0.0005 and 0.200 σ" in said


@pytest.fixture(scope="module")
def known():
    return Directions(load_generator("faces", device="cpu"))


def test_a_head_beside_a_pull_has_all_that_the_pull_has_changed_but_the_attribute(known):
    latent = torch.zeros(1, 14, known["smile"].change.shape[1])
    end = latent + known.change({"smile": 0.8, "yaw": 0.3, "light_x": -0.4, "age": 0.2})

    def read(there):  # a picture shows twice as much of a turn as the latent says
        said = known.measure(there - latent + 0.0, LATENT)
        return np.array([said[name] * (2 if name == "yaw" and there is end else 1) for name in LATENT])

    made = known.measure(holding.likewise(latent, end, known, "smile", read, read(end)), LATENT)
    here = known.measure(latent, LATENT)
    moved = {name: made[name] - here[name] for name in LATENT}
    assert moved["smile"] == pytest.approx(0, abs=1e-3)
    assert moved["light_x"] == pytest.approx(-0.4, abs=1e-3)
    assert moved["age"] == pytest.approx(0.2, abs=1e-3)
    assert moved["yaw"] == pytest.approx(0.6 + here["yaw"], abs=1e-2)


def test_heads_that_are_drawn_turn_by_one_and_keep_the_attribute():
    z, there = holding.turned_heads("smile", 20)
    smile = LATENT.index("smile")
    assert np.allclose(np.square(there).mean(1), 1)
    assert np.allclose(np.abs(there[:, YAW] - z[:, YAW]), 1)
    assert np.allclose(there[:, smile], z[:, smile])
    assert (np.abs(there[:, YAW]) <= np.maximum(np.abs(z[:, YAW]), 1)).all()
    rest = np.delete(there / z, [YAW, smile], axis=1)
    assert np.allclose(rest, rest[:, :1])


def test_rows_are_made_once_and_anew_where_they_are_of_something_else(tmp_path):
    asked = []

    def row(number):
        asked.append(number)
        return {"read": float(number)}

    kept = tmp_path / "rows.json"
    assert holding.going_on(kept, "one", 2, row) == [{"read": 0.0}, {"read": 1.0}]
    assert len(holding.going_on(kept, "one", 3, row)) == 3
    assert len(holding.going_on(kept, "one", 1, row)) == 1
    assert asked == [0, 1, 2]
    holding.going_on(kept, "another", 1, row)
    assert asked == [0, 1, 2, 0]


def test_rows_of_what_is_held_are_a_table():
    table = holding.as_table([{"free": 0.6, "free yaw": 1.0}, {"free": -0.3, "free yaw": -1.2}])
    assert table == "sample,free,free_yaw\n0,0.6,1.0\n1,-0.3,-1.2\n"


def test_attributes_in_the_package_were_measured_on_its_weights_and_enough_of_them_have_a_slider():
    values = json.loads(attributes.FILE.read_text(encoding="utf-8"))
    assert values["measured"]["fingerprint"] == remake.present()
    good = [each["name"] for each in values["attributes"] if each["measured"]["qualifies"]]
    assert len(good) >= 50
    assert {"yaw", "smile", "age"} <= set(good)
    for each in values["attributes"]:
        if (found := each["measured"])["qualifies"]:
            assert found["r2"] >= attributes.READABLE
            assert found["right"] >= attributes.RIGHT
            assert found["others"] < attributes.OTHERS


def test_that_all_is_measured_is_noted_last_so_that_what_was_stopped_goes_on(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(remake, "run", lambda script, *options: asked.append((script.name, "--write" in options)))
    remake.make_attributes(tmp_path)
    assert asked == [("attributes.py", False), ("holding.py", True), ("holding.py", True), ("attributes.py", True)]


def test_that_renders_are_missing_is_said_before_anything_is_made(tmp_path):
    (part,) = (part for part in remake.PARTS if part.name == "attributes")
    problems = remake.missing_things([part], tmp_path)
    assert any("holds 0 parts of renders, 2 are needed: run make.py" in problem for problem in problems)
