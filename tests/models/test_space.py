"""The latents of a model: drawn, checked, stored, and how far they reach."""

from __future__ import annotations

import contextlib
import json
import pickle
import weakref

import numpy as np
import pytest
import torch
from planted import Planted
from random_stylegan2 import small_stylegan2
from random_stylegan3 import small_stylegan3

from draggan_widget import load_generator
from draggan_widget.models import Model, StyleGAN2, mapped, space
from draggan_widget.models.exact import ExactProducts, exact_product


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DRAGGAN_WIDGET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def classes():
    return small_stylegan2(32, c_dim=3)


@pytest.fixture(scope="module")
def small():
    return small_stylegan2(32)


def test_a_generator_is_a_model(generator):
    def picture_of(model: Model) -> torch.Tensor:
        latent = model.space.draw(seed=1)
        assert model.features(latent, 3).shape[0] == len(model.sample_features(latent, (2, 3), torch.zeros(1, 2)))
        assert model.preview(latent, 2).shape[1] == model.channels
        return model.synthesize(latent)

    assert picture_of(generator).shape == (1, generator.channels, *generator.resolution)


def test_a_latent_is_drawn_as_the_mapping_draws_it(small, classes):
    assert torch.equal(small.space.draw(seed=7, truncation=0.5), small.mapping(seed=7, truncation=0.5))
    assert torch.equal(classes.space.draw(seed=7, label=2), classes.mapping(seed=7, label=2))
    with pytest.raises(ValueError, match="has 3 classes; give label=0 to 2"):
        classes.space.draw(seed=7)


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int64])
def test_a_latent_of_any_real_numbers_becomes_one_of_the_models_kind(small, kind):
    given = np.ones((1, small.num_ws, small.w_dim), kind)[:, ::-1]
    checked = small.space.check(given)
    assert checked.dtype == torch.float32
    assert (checked == 1).all()
    checked.zero_()
    assert (given == 1).all(), "it is a copy"


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (lambda ws: ws.tolist(), TypeError, "ws is a list; give a tensor or array"),
        (lambda ws: ws.numpy().astype(object), TypeError, "ws holds object; give real numbers"),
        (lambda ws: ws.numpy().astype(str), TypeError, "ws holds <U32; give real numbers"),
        (lambda ws: ws.to(torch.complex64), TypeError, r"ws holds torch\.complex64; give real numbers"),
        (lambda ws: ws[0], ValueError, r"ws has shape \(\d+, 16\); this generator drags one latent of \(1, \d+, 16\)"),
        (lambda ws: ws.repeat(2, 1, 1), ValueError, r"ws has shape \(2, "),
        (lambda ws: ws * float("nan"), ValueError, "ws holds NaN or infinite numbers"),
        (lambda ws: ws.double() * 1e300, ValueError, "ws holds NaN or infinite numbers"),
    ],
)
def test_what_is_no_latent_of_the_model_is_refused_in_a_sentence(small, spoil, error, says):
    with pytest.raises(error, match=says):
        small.space.check(spoil(small.mapping(seed=1)))


def test_a_latent_comes_back_to_the_bit_and_only_to_its_own_kind_of_model(small, generator):
    ws = small.mapping(seed=3)
    tensors, values = small.space.pack(ws)
    values = json.loads(json.dumps(values))
    assert torch.equal(small.space.unpack(tensors, values), ws)
    for space_, stored, told in (
        (generator.space, tensors, values),
        (small.space, {}, values),
        (small.space, {**tensors, "more": ws}, values),
        (small.space, tensors, {}),
    ):
        with pytest.raises(ValueError, match="is no latent of this model"):
            space_.unpack(stored, told)
    with pytest.raises(ValueError, match=r"holds torch\.float64 where torch\.float32 is needed"):
        small.space.unpack({"ws": ws.double()}, values)
    with pytest.raises(ValueError, match="NaN"):
        small.space.unpack({"ws": ws * float("nan")}, values)


# --- the metric -------------------------------------------------------------------------------------------------------


def covariance_of(generator, label=None, samples=space.SAMPLES):
    z = np.random.RandomState(space.SEED).randn(samples, generator.z_dim)
    w = generator.mapping(torch.from_numpy(z), label=label)[:, 0].double()
    return w.mean(dim=0), torch.cov(w.T, correction=0)


@pytest.mark.parametrize("make", [small_stylegan2, small_stylegan3, lambda size: load_generator("faces", "cpu")])
def test_the_metric_is_the_covariance_of_mapped_latents(make):
    generator = make(32)
    metric = generator.space.metric()
    mean, covariance = covariance_of(generator)
    largest = covariance.diagonal().max()
    torch.testing.assert_close(metric.mean, mean, rtol=0, atol=5e-5 * largest.sqrt().item())
    torch.testing.assert_close(metric.covariance, covariance, rtol=0, atol=3e-5 * largest.item())
    assert torch.equal(metric.covariance, metric.covariance.T)
    assert torch.linalg.eigvalsh(metric.covariance)[0] > 0
    assert next(generator.parameters()).dtype == torch.float32, "the generator stays as it is"


def as_wide_as_people_have_them(size):
    return small_stylegan2(size, z_dim=512, w_dim=512)


@pytest.mark.parametrize("make", [as_wide_as_people_have_them, small_stylegan3, lambda size: Planted((size, size))])
def test_the_metric_is_the_same_to_the_bit_with_any_number_of_threads(make, monkeypatch):
    monkeypatch.setattr(space, "one_thread", contextlib.nullcontext)
    monkeypatch.setattr(mapped, "stored", lambda *_: None)
    generator, found = make(32), []
    before = torch.get_num_threads()
    try:
        for count in (1, 2, 8):
            torch.set_num_threads(count)
            generator.mapped = mapped.Mapped()
            found.append(generator.space.metric())
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0].covariance, other.covariance) for other in found[1:])
    assert all(torch.equal(found[0].mean, other.mean) for other in found[1:])


def test_products_do_not_depend_on_the_order_of_their_sums():
    random = np.random.RandomState(1)
    left, right = (
        torch.from_numpy(random.randn(*shape) * 10.0 ** random.randint(-9, 9)) for shape in ((40, 512), (512, 30))
    )
    order = torch.from_numpy(random.permutation(512))
    product = exact_product(left, right)
    assert torch.equal(product, exact_product(left[:, order], right[order]))
    torch.testing.assert_close(product, left @ right, rtol=0, atol=1e-5 * (left @ right).std().item())
    with ExactProducts():
        assert torch.equal(torch.nn.functional.linear(left, right.T), product)
        assert torch.equal(left @ right, product)
        assert torch.equal(torch.addmm(torch.ones(30).double(), left, right), product + 1)
    assert exact_product(torch.zeros(2, 3).double(), torch.ones(3, 2).double()).tolist() == [[0, 0], [0, 0]]


def test_the_metric_is_computed_once_a_model_and_class_and_left_out_of_copies(classes, monkeypatch):
    computed = []
    measured = space.WPlus._measured
    monkeypatch.setattr(
        space.WPlus, "_measured", lambda self, label: (computed.append(label), measured(self, label))[1]
    )
    monkeypatch.setattr(mapped, "stored", lambda *_: None)
    monkeypatch.setattr(mapped, "MOST", 2)
    classes.mapped = mapped.Mapped()
    for label in (1, 1, 2, 1, None, 2, 1):
        classes.space.metric(label)
    assert computed == [1, 2, None, 1], "a model remembers two of them, the latest"
    assert pickle.loads(pickle.dumps(classes)).mapped._found == {}


def test_the_metric_is_read_from_its_file_by_another_object_and_threads_stay_as_they_are(cache, monkeypatch):
    threads = torch.get_num_threads()
    right = small_stylegan2(32).space.metric()
    assert torch.get_num_threads() == threads
    (file,) = cache.iterdir()
    monkeypatch.setattr(space.WPlus, "_measured", None)
    found = small_stylegan2(32).space.metric()
    assert torch.equal(found.covariance, right.covariance)
    assert torch.equal(found.mean, right.mean)
    assert file.name.startswith("metric-2-StyleGAN2-")


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_a_broken_cache_file_is_computed_again_and_mended(cache, content):
    right = small_stylegan2(32).space.metric().covariance
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-3] + bytes(3) if content is None else content)
    assert torch.equal(small_stylegan2(32).space.metric().covariance, right)
    assert file.read_bytes() == whole


@pytest.mark.parametrize("folder", ["file/below", "~nobody-of-this-name/cache"])
def test_without_a_folder_to_write_to_the_metric_is_computed_all_the_same(tmp_path, monkeypatch, folder):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DRAGGAN_WIDGET_CACHE", folder if folder[0] == "~" else str(tmp_path / folder))
    assert torch.isfinite(small_stylegan2(32).space.metric().covariance).all()


def test_other_weights_of_the_mapping_have_another_metric(cache):
    generator = small_stylegan2(32)
    before = generator.space.metric().covariance
    with torch.no_grad():
        generator.network["mapping"].fc0.weight.mul_(1.5)
    changed = generator.space.metric().covariance
    assert not torch.equal(changed, before)
    assert len(list(cache.iterdir())) == 2
    weight = generator.network["mapping"].fc0.weight
    weight.data = weight.data / 1.5
    assert not torch.equal(generator.space.metric().covariance, changed)
    with torch.no_grad():
        for weight in generator.network["mapping"].parameters():
            weight.zero_()
    for asked in (generator.space.check_metric, generator.space.metric):
        with pytest.raises(ValueError, match="makes the same latent of every seed"):
            asked()


def test_a_class_is_known_by_its_latent(classes):
    for label in range(3):
        assert classes.space.label_of(classes.mapping(seed=1, label=label, truncation=0.7)) == label
    small = small_stylegan2(32)
    assert small.space.label_of(small.mapping(seed=1)) is None


def test_of_classes_alone_all_have_one_metric():
    of_classes = small_stylegan2(32, z_dim=0, c_dim=3)
    of_classes.space.check_metric()
    assert of_classes.space.label_of(of_classes.mapping(seed=1, label=1)) is None
    latents = torch.cat([of_classes.mapping(seed=1, label=label)[:, 0] for label in range(3)]).double()
    covariance = torch.cov(latents.T, correction=0)
    found = of_classes.space.metric().covariance
    torch.testing.assert_close(found, covariance, rtol=0, atol=1e-4 * covariance.diagonal().max().item())


def test_a_class_has_its_own_metric_and_all_together_one_that_reaches_from_class_to_class(classes):
    one = classes.space.metric(1)
    _, covariance = covariance_of(classes, 1)
    torch.testing.assert_close(one.covariance, covariance, rtol=0, atol=1e-4 * covariance.diagonal().max().item())
    every = classes.space.metric()
    assert every.covariance.diagonal().sum() > one.covariance.diagonal().sum()
    for label in (3, -1, 1.5):
        with pytest.raises(ValueError, match="must be a whole number from 0 to 2"):
            classes.space.metric(label)
    with pytest.raises(ValueError, match="has no classes; leave label out"):
        small_stylegan2(32).space.metric(0)


def test_latents_that_do_not_vary_are_told_in_a_sentence(cache):
    of_classes = small_stylegan2(32, z_dim=0, c_dim=3)
    with pytest.raises(ValueError, match="the mapping network of class 1 makes the same latent of every seed"):
        of_classes.space.metric(1)
    assert of_classes.space.metric().covariance.diagonal().max() > 0, "the classes differ"
    still = small_stylegan2(32)
    for weight in still.network["mapping"].parameters():
        weight.data.zero_()
    for bias in (0.0, 2.0):
        still.network["mapping"].fc1.bias.data.fill_(bias)
        for asked in (still.space.check_metric, still.space.metric):
            with pytest.raises(
                ValueError, match="of this model makes the same latent of every seed.*choose the engine draggan"
            ):
                asked()
    still.network["mapping"].fc0.weight.data[0] = float("nan")
    for asked in (still.space.check_metric, still.space.metric):
        with pytest.raises(
            ValueError, match="of this model makes latents that are not finite.*choose the engine draggan"
        ):
            asked()
    assert len(list(cache.iterdir())) == 1, "that of the classes"


def test_rows_vary_in_common_and_each_for_itself(small):
    metric = small.space.metric()
    rows = metric.rows(own=1.0, common=0.25, own_rows=3)
    assert rows.shape == (small.num_ws, small.num_ws)
    assert rows.diagonal()[:4].tolist() == [1.25, 1.25, 1.25, 0.25]
    assert rows[0, -1] == 0.25
    assert torch.equal(metric.rows(own=0, common=1), torch.ones_like(rows)), "W"
    directions = torch.randn(2, small.num_ws, small.w_dim, dtype=torch.float64)
    spread = metric.times(directions, rows)
    whole = torch.kron(rows, metric.covariance)  # of a whole latent, row by row
    torch.testing.assert_close(spread.flatten(1), directions.flatten(1) @ whole)
    in_common = metric.times(directions, metric.rows(own=0, common=1))
    assert torch.allclose(in_common, in_common[:, :1])
    assert metric.times(directions.float(), rows).dtype == torch.float32
    for wrong in ({"own": -1}, {"own": 0, "common": 0}, {"common": float("nan")}, {"own_rows": -1}, {"own_rows": 2.5}):
        with pytest.raises(ValueError, match=r"must be"):
            metric.rows(**wrong)


def test_a_generator_that_maps_in_its_own_way_has_a_metric_too():
    class Other(Planted):
        def map_latent(self, z, labels, truncation):
            return super().map_latent(z, labels, truncation).to(self.scale.dtype) * self.scale

    planted = Other((32, 32))
    _, covariance = covariance_of(planted)
    torch.testing.assert_close(planted.space.metric().covariance, covariance, rtol=1e-4, atol=1e-5)


def test_a_space_keeps_no_generator_alive():
    generator = StyleGAN2(16, z_dim=4, w_dim=4, channels={4: 4, 8: 4, 16: 4}, mapping_layers=1)
    generator.space.metric()
    gone = weakref.ref(generator)
    del generator
    assert gone() is None


def test_the_weights_of_what_is_computed_anew_are_hashed_once_and_of_what_is_known_not_at_all(generator, monkeypatch):
    hashed = []
    plain = mapped.fingerprint_of
    monkeypatch.setattr(mapped, "fingerprint_of", lambda made_of: hashed.append(1) or plain(made_of))
    found, made = mapped.Mapped(), torch.arange(2.0 * generator.w_dim, dtype=torch.float64).view(2, -1)
    assert torch.equal(found.get(generator, "once", lambda: made), made)
    assert len(hashed) == 1
    found.get(generator, "once", lambda: pytest.fail("it is known"))
    assert len(hashed) == 1
    again = mapped.Mapped().get(generator, "once", lambda: pytest.fail("it is in a file"))
    assert torch.equal(again, made)
    assert len(hashed) == 2
    found.get(generator, "in memory", lambda: made, on_disk=False)
    assert len(hashed) == 2
