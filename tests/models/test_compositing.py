"""Pictures of layers: exact where nothing changes, exact beyond the mask, whatever the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted import Planted
from random_stylegan2 import small_stylegan2
from random_stylegan3 import small_stylegan3

from draggan_widget.models import Compositor, Layer, StyleGAN2
from draggan_widget.models.compositing import Shares, blended_block


def half_as_wide():
    """A StyleGAN2 of pictures twice as high as wide."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        channels = {4: 16, 8: 16, 16: 16, 32: 16, 64: 8}
        return StyleGAN2((64, 32), z_dim=16, w_dim=16, channels=channels, mapping_layers=2, mapping_lr_multiplier=1.0)


NETWORKS = {
    "skip": small_stylegan2,
    "grey": lambda: small_stylegan2(img_channels=1),
    "RGBA": lambda: small_stylegan2(img_channels=4),
    "resnet": lambda: small_stylegan2(architecture="resnet"),
    "orig": lambda: small_stylegan2(architecture="orig"),
    "1:2": half_as_wide,
    "StyleGAN3-T": small_stylegan3,
    "StyleGAN3-R": lambda: small_stylegan3(conv_kernel=1, use_radial_filters=True),
    "StyleGAN3 1:2": lambda: small_stylegan3((64, 32)),
    "one whose layers are not known": lambda: Planted((64, 64)),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    return NETWORKS[request.param]()


def latents(network):
    return network.mapping(seed=1), network.mapping(seed=2)


def box(network):
    height, width = network.resolution
    mask = np.zeros((height, width), np.float32)
    mask[height // 4 : height // 2, width // 4 : width // 2] = 1
    return mask


def cell(network):
    return network.resolution[0] // network.map_size(blended_block(network))[0]


def farther(mask, by):
    """Where no pixel of a mask is within so many up, down, left and right."""
    wide = torch.nn.functional.max_pool2d(torch.from_numpy(mask)[None, None], 2 * by + 1, 1, by)
    return (wide[0, 0] == 0).numpy()


@torch.no_grad()
def test_a_latent_laid_over_itself_is_its_picture_to_the_bit(network):
    ws, _ = latents(network)
    layers = [Layer(ws), Layer(ws.clone(), box(network)), Layer(ws.clone(), 0.5 * box(network))]
    assert torch.equal(Compositor(network).picture(layers), network.synthesize(ws))


@torch.no_grad()
def test_beyond_the_mask_by_a_cell_the_picture_is_that_below_to_the_bit_and_inside_that_of_the_latent(network):
    below, above = latents(network)
    mask = box(network)
    shown = Compositor(network).picture([Layer(below), Layer(above, mask)])
    before, pulled = network.synthesize(below), network.synthesize(above)
    far = torch.from_numpy(farther(mask, cell(network)))
    assert far.any()
    assert torch.equal(shown[..., far], before[..., far])
    y, x = (int(places.mean()) for places in np.nonzero(mask))
    assert not torch.equal(shown[..., y, x], before[..., y, x])
    assert shown.shape == pulled.shape
    assert shown.is_contiguous()


@torch.no_grad()
def test_a_mask_of_everything_shows_the_topmost_and_one_of_nothing_what_is_below(network):
    below, above = latents(network)
    whole = np.ones(network.resolution, np.float32)
    compositor = Compositor(network)
    shown = compositor.picture([Layer(below), Layer(above, whole)])
    assert torch.allclose(shown, network.synthesize(above), atol=1e-5)
    assert torch.equal(compositor.picture([Layer(below), Layer(above, 0 * whole)]), network.synthesize(below))


@torch.no_grad()
def test_features_are_joined_so_that_no_two_pictures_lie_over_each_other():
    network = small_stylegan2()
    below, above = latents(network)
    mask = box(network)
    shown = Compositor(network).picture([Layer(below), Layer(above, mask)])
    share = Shares.of(network, blended_block(network), mask, above).picture
    faded = torch.lerp(network.synthesize(below), network.synthesize(above), share)
    assert not torch.allclose(shown, faded, atol=1e-3)


@torch.no_grad()
def test_layers_lie_over_one_another_in_their_order():
    network = small_stylegan2()
    first, second = latents(network)
    third, mask = network.mapping(seed=3), box(network)
    other = np.ascontiguousarray(mask[::-1, ::-1])
    compositor = Compositor(network)
    two, three = ([Layer(first), Layer(second, mask)], Layer(third, other))
    shown, lower = compositor.picture([*two, three]), compositor.picture(two)
    far = torch.from_numpy(farther(other, cell(network)))
    assert torch.equal(shown[..., far], lower[..., far])
    assert torch.equal(compositor.picture([*two, three]), shown), "what it remembers is the same"
    assert torch.equal(Compositor(network).picture([*two, three]), shown)


@torch.no_grad()
@pytest.mark.parametrize("block", [2, 3, 4])
def test_previews_are_blended_too_and_exact_where_nothing_changes(block):
    network = small_stylegan2()
    below, above = latents(network)
    compositor, mask = Compositor(network), box(network)
    same = compositor.picture([Layer(below), Layer(below.clone(), mask)], block)
    assert torch.equal(same, network.preview(below, block))
    shown = compositor.picture([Layer(below), Layer(above, mask)], block)
    assert torch.equal(shown[..., -1, -1], same[..., -1, -1])
    assert not torch.equal(shown, same)


def test_shares_are_whole_inside_a_mask_and_nothing_a_cell_away():
    network, mask = small_stylegan2(), box(small_stylegan2())
    shares = Shares.of(network, blended_block(network), mask, next(network.parameters()))
    picture, far = shares.picture[0, 0].numpy(), farther(mask, cell(network))
    assert picture[mask == 1].min() == pytest.approx(1)
    assert not picture[far].any()
    assert 0 < np.median(picture[(mask == 0) & ~far]) < 1
    assert shares.features.shape[2:] == network.map_size(blended_block(network))


def plainly_faded(mask, below, above):
    """M̃·I + (1 - M̃)·I0 in float64: M̃ the mask, 4 px of 256 wider, smoothed over 6 px of 256 by a Hann window."""
    height, width = mask.shape
    wide, half = max(1, round(4 * height / 256)), max(1, round(3 * height / 256))
    places = [(y, x) for y in range(height) for x in range(width)]
    grown = np.zeros((height, width))
    for y, x in places:
        grown[y, x] = mask[max(0, y - wide) : y + wide + 1, max(0, x - wide) : x + wide + 1].max()
    taps = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, 2 * half + 2) / (2 * half + 2))
    taps /= taps.sum()
    padded, share = np.pad(grown, half, mode="edge"), np.zeros((height, width))
    for y, x in places:
        share[y, x] = taps @ padded[y : y + 2 * half + 1, x : x + 2 * half + 1] @ taps
    return share * above + (1 - share) * below


@torch.no_grad()
@pytest.mark.parametrize("name", ["skip", "RGBA", "1:2", "StyleGAN3-T", "one whose layers are not known"])
def test_a_faded_layer_is_the_two_pictures_mixed_along_the_mask_as_written_out(name):
    network = NETWORKS[name]()
    (below, above), mask = latents(network), box(network)
    shown = Compositor(network).picture([Layer(below), Layer(above, mask, faded=True)])
    first, second = (network.synthesize(ws)[0].double().numpy() for ws in (below, above))
    np.testing.assert_allclose(shown[0].double().numpy(), plainly_faded(mask, first, second), atol=1e-5)
    y, x = np.nonzero(mask)
    assert torch.equal(shown[..., y, x], network.synthesize(above)[..., y, x])


@torch.no_grad()
def test_one_compositor_makes_faded_layers_and_others_of_the_same_latents():
    network = small_stylegan2()
    (below, above), mask = latents(network), box(network)
    compositor, plain = Compositor(network), [Layer(below), Layer(above, mask)]
    faded = [Layer(below), Layer(above, mask, faded=True)]
    first = compositor.picture(plain)
    assert not torch.equal(compositor.picture(faded), first)
    assert torch.equal(compositor.picture(plain), first)
