"""The natural drag by its formulas: against a plain reference, twenty steps of two handles."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from plainly import advanced, begun, sampled
from test_gooddrag import refined

from draggan_widget.engines import Natural

HANDLES, TARGETS = [(20.3, 30.6), (44.0, 18.5)], [(32.0, 36.0), (36.0, 24.0)]


@pytest.fixture(scope="module")
def double(generator):
    return copy.deepcopy(generator).double()


def grid(radius, spacing):
    """Whole-pixel offsets of a disc, every few pixels."""
    side = np.arange(-(radius // spacing), radius // spacing + 1) * spacing
    offsets = np.array([(x, y) for y in side for x in side], dtype=float)
    return offsets[np.square(offsets).sum(axis=1) <= radius**2]


class Plainly:
    """A latent and where its handles are, one step after the other."""

    def __init__(self, generator, settings, handles, targets):
        self.generator, self.settings = generator, settings
        height, width = generator.resolution
        self.most = np.array([width - 1, height - 1])
        size, cell = height / 512, height / generator.map_size(settings.block)[0]
        self.stride, self.r2 = settings.stride * size, round(settings.tracking_radius * size)
        r1 = round(settings.supervision_radius * size)
        spot = round(cell)
        offsets = grid(spot, max(1, spot // 2))
        self.spot, self.shift = offsets[np.argsort(np.square(offsets).sum(axis=1), kind="stable")], max(1.0, cell / 4)
        # Where a disc has too few cells, the motion is read of what handles are followed by.
        coarse = r1 < 1.5 * cell
        self.around = self.spot if coarse else grid(r1, max(1, round(cell / 2)))
        self.blocks = settings.track_block if coarse else (settings.block,)
        self.base = self.latent = generator.mapping(seed=3)
        self.covariance = generator.space.metric(None).covariance
        self.handles, self.targets = np.array(handles, dtype=float), np.array(targets, dtype=float)
        self.reach, self.taken = self.stride, 0
        self.first = self.latest = self.spots(self.latent, self.handles)

    def read(self, latent, xy, blocks):
        maps = self.generator.feature_maps(latent, list(blocks))
        places = np.clip(xy.reshape(-1, 2), 0, self.most)
        found = torch.cat([sampled(each, places, self.generator.resolution) for each in maps], dim=1)
        return found.view(*xy.shape[:-1], -1)

    def spots(self, latent, places):
        with torch.no_grad():
            return self.read(latent, places[:, None] + self.spot, self.settings.track_block)

    def jacobian(self):
        """How handles move with the latent: dp = -(ΣGᵀG)⁻¹ ΣGᵀdF, by Lucas and Kanade."""
        leaf, rows = self.latent.clone().requires_grad_(), []
        for handle in self.handles:
            places = handle + self.around
            here = self.read(leaf, places, self.blocks)
            with torch.no_grad():
                right, left, below, above = (
                    self.read(leaf, places + self.shift * np.array(by), self.blocks)
                    for by in ((1, 0), (-1, 0), (0, 1), (0, -1))
                )
                slope = torch.stack([right - left, below - above]) / (2 * self.shift)  # (2, P, C)
                normal = torch.einsum("ipc,jpc->ij", slope, slope)
                normal = normal + 1e-3 * torch.trace(normal) * torch.eye(2)
                factors = -torch.einsum("ij,jpc->ipc", torch.linalg.inv(normal), slope)
            rows += [torch.autograd.grad((each * here).sum(), leaf, retain_graph=True)[0][0] for each in factors]
        return torch.stack(rows)  # (2N, num_ws, w_dim)

    def least(self, aim):
        """x = ΣJᵀ(JΣJᵀ + εI)⁻¹c, with c the way on and what the change so far has brought."""
        count, size = self.generator.num_ws, self.settings
        rows = torch.full((count, count), size.common, dtype=torch.float64)
        rows[range(size.own_rows), range(size.own_rows)] += size.own
        whole = torch.kron(rows, self.covariance)
        jacobian = self.jacobian().flatten(1)
        wanted = torch.from_numpy(aim.reshape(-1)) + jacobian @ (self.latent - self.base).flatten()
        stiff = jacobian @ whole @ jacobian.T
        damping = size.damping if len(aim) == 1 else 0.01 * size.damping  # several points, none of them many
        ridge = damping * stiff.diagonal().mean() * torch.eye(len(stiff))
        return (whole @ jacobian.T @ torch.linalg.solve(stiff + ridge, wanted)).view(1, count, -1)

    def follow(self, latent, expected, ways):
        """The place near each expected one whose spot is most like it was, grabbed and seen last."""
        found = []
        for middle, one, other, way in zip(expected, self.first, self.latest, ways, strict=True):
            variance = float((one - one.mean(dim=0)).square().sum(dim=1).mean())
            stray = 0.2 * variance / (0.25 * self.r2 + 0.7 * way) ** 2

            def away(places, spot=(one + other) / 2):
                return (self.spots(latent, places) - spot).square().sum(dim=2).mean(dim=1).sqrt().numpy()

            window = [[x, y] for y in range(-self.r2, self.r2 + 1) for x in range(-self.r2, self.r2 + 1)]
            places = np.round(middle) + np.array(window)
            places = places[((places >= 0) & (places <= self.most)).all(axis=1)]
            costs = away(places) ** 2 + stray * np.square(places - middle).sum(axis=1)
            pixel = places[int(costs.argmin())]
            fine = pixel + np.array([[x, y] for y in range(-4, 5) for x in range(-4, 5)]) / 4
            fine = fine[((fine >= 0) & (fine <= self.most)).all(axis=1)]
            found.append(refined(fine, away(fine), pixel))
        return np.array(found)

    def step(self):
        to_go = self.targets - self.handles
        ways = np.maximum(np.hypot(*to_go.T), 1e-9)
        aim = to_go * np.minimum(1, self.stride / ways)[:, None]
        share = min(1.0, self.reach / max(float(np.hypot(*aim.T).max()), 1e-9))
        tried = self.latent + share * (self.base + self.least(aim) - self.latent)
        wanted = share * aim
        expected = np.clip(self.handles + wanted, 0, self.most)
        found = self.follow(tried, expected, np.hypot(*wanted.T))
        met = 1 - np.linalg.norm(found - self.handles - wanted) / np.linalg.norm(wanted)
        before, after = (np.sqrt(np.square(self.targets - each).sum(axis=1).mean()) for each in (self.handles, found))
        if after > before - 0.02:
            self.reach = max(0.4 * min(self.reach, float(ways.max())), 0.1)
            return
        self.reach = float(np.clip(self.reach * (0.5 if met < 0.3 else 1.5 if met > 0.75 else 1), 0.1, self.stride))
        self.latent, self.handles, self.taken = tried, found, self.taken + 1
        self.latest = self.spots(tried, found)


@pytest.mark.parametrize(
    ("block", "radius", "stride", "taken"), [(3, 12.0, 20.0, 5), (3, 12.0, 60.0, 3), (4, 32.0, 40.0, 1)]
)
def test_twenty_steps_are_those_of_a_plain_reference(double, block, radius, stride, taken):
    tracked = (block - 1, block)
    settings = Natural(
        locality=0.0, block=block, track_block=tracked, supervision_radius=radius, tracking_radius=48.0, stride=stride
    )
    bound, edit, memory = begun(double, settings, HANDLES, TARGETS)
    plain = Plainly(double, settings, HANDLES, TARGETS)
    for number in range(20):
        edit, memory = advanced(bound, edit, memory, 1)
        plain.step()
        where = f"step {number + 1}"
        np.testing.assert_allclose(edit.handles, plain.handles, atol=1e-6, err_msg=where)
        np.testing.assert_allclose(edit.latent.numpy(), plain.latent.numpy(), rtol=0, atol=1e-6, err_msg=where)
        assert memory.reach == pytest.approx(plain.reach, rel=1e-6), where
    assert taken <= plain.taken < 20, "or not both kinds of steps are compared"
