"""The formulas of ``official`` and of the default, written down as plainly as they can be: full maps, autograd,
torch's own optimiser, a loop over points. What the package does is compared with this."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F


def official(generator, ws, handles, targets, steps, *, learning_rate, mask=None, weight=20.0, r1=3.0, r2=12.0):
    """``(ws, handles)`` at the beginning of each of ``steps`` iterations, and one more."""
    height, width = generator.resolution
    r1, r2 = max(1, round(r1 / 512 * height)), max(1, round(r2 / 512 * height))
    block = generator.default_block()
    ws = ws.clone().requires_grad_()
    optimizer = torch.optim.Adam([ws], lr=learning_rate)
    handles = [[round(x), round(y)] for x, y in handles]
    rest = ws[:, 6:].detach().clone()
    ys, xs = torch.meshgrid(
        torch.linspace(0, height, height, dtype=ws.dtype),
        torch.linspace(0, width, width, dtype=ws.dtype),
        indexing="ij",
    )
    references = base = None
    course = []
    for _ in range(steps + 1):
        latent = torch.cat([ws[:, :6], rest], dim=1)
        native = generator.feature_maps(latent, [block])[0]
        wide = F.interpolate(native, size=(height, width), mode="bilinear", align_corners=False)
        if references is None:
            references = [wide[0, :, y, x].detach() for x, y in handles]
            base = wide.detach()
        for number, (x, y) in enumerate(handles):
            left, top = max(x - r2, 0), max(y - r2, 0)
            patch = wide[0, :, top : y + r2 + 1, left : x + r2 + 1].detach()
            away = (patch - references[number][:, None, None]).norm(dim=0)
            row, column = divmod(int(away.argmin()), away.shape[1])
            handles[number] = [left + column, top + row]
        course.append((latent.detach().clone(), [list(handle) for handle in handles]))
        if all(
            math.dist(handle, target) <= max(2, 2 / 512 * height)
            for handle, target in zip(handles, targets, strict=True)
        ):
            break
        loss = 0 * native.sum()
        for (x, y), (tx, ty) in zip(handles, targets, strict=True):
            length = math.dist((x, y), (tx, ty))
            if length <= 1:
                continue
            rows, columns = torch.where((ys - y) ** 2 + (xs - x) ** 2 < r1**2)
            grid_x = (columns.to(wide) + (tx - x) / length) / (width - 1) * 2 - 1
            grid_y = (rows.to(wide) + (ty - y) / length) / (height - 1) * 2 - 1
            grid = torch.stack([grid_x, grid_y], dim=-1)[None, None].to(wide)
            pulled = F.grid_sample(wide, grid, padding_mode="zeros", align_corners=True)[0, :, 0]
            loss = loss + F.l1_loss(pulled, wide[0, :, rows, columns].detach())
        if mask is not None and mask.min() == 0 and mask.max() == 1:
            loss = loss + weight * F.l1_loss(wide * (1 - mask), base * (1 - mask))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return course


def read(maps, x, y, size):
    """The feature vector (C,) at picture position (x, y) of all maps (1, C, n, n), held at the border outside."""
    return torch.cat([read_one(native, x, y, size) for native in maps])


def read_one(native, x, y, size):
    n = native.shape[-1]
    u = min(max((x + 0.5) * n / size - 0.5, 0.0), n - 1.0)
    v = min(max((y + 0.5) * n / size - 0.5, 0.0), n - 1.0)
    i, j = min(int(u), n - 2), min(int(v), n - 2)
    a, b = u - i, v - j
    cells = native[0]
    upper = cells[:, j, i] * (1 - a) + cells[:, j, i + 1] * a
    lower = cells[:, j + 1, i] * (1 - a) + cells[:, j + 1, i + 1] * a
    return upper * (1 - b) + lower * b


def default(
    generator, ws, handles, targets, steps, *, learning_rate, mask=None, weight=20.0, r1=3.0, r2=12.0, blocks=None
):
    """``(ws, handles)`` of each state from the start to the one after ``steps`` steps, by the default's formulas."""
    size = generator.resolution[0]
    r1, r2 = max(1, round(r1 / 512 * size)), max(1, round(r2 / 512 * size))
    blocks = blocks or [generator.default_block()]
    ws = ws.clone().requires_grad_()
    optimizer = torch.optim.Adam([ws], lr=learning_rate)
    handles = [list(map(float, handle)) for handle in handles]
    references = base = None
    course = []
    for _ in range(steps + 1):
        # Six rows are edited, the last of which is first used in block 4: there a mask keeps what must stay.
        every = [*blocks, min(max(blocks), 4)]
        *maps, coarse = generator.feature_maps(torch.cat([ws[:, :6], ws[:, 6:].detach()], dim=1), every)
        if references is None:
            references = [read(maps, x, y, size).detach() for x, y in handles]
            base = coarse.detach()
        else:
            handles = [
                lowest_nearby([native.detach() for native in maps], handle, reference, r2, size)
                for handle, reference in zip(handles, references, strict=True)
            ]
        course.append((ws.detach().clone(), [list(handle) for handle in handles]))
        loss = 0 * maps[0].sum()
        for (x, y), (tx, ty) in zip(handles, targets, strict=True):
            longer = max(1.0, math.dist((x, y), (tx, ty)))
            dx, dy = (tx - x) / longer, (ty - y) / longer
            terms = []
            for oy in range(-r1, r1 + 1):
                for ox in range(-r1, r1 + 1):
                    inside = 0 <= x + ox <= size - 1 and 0 <= y + oy <= size - 1
                    if ox * ox + oy * oy <= r1 * r1 and inside:
                        here = read(maps, x + ox, y + oy, size).detach()
                        terms.append((read(maps, x + ox + dx, y + oy + dy, size) - here).abs().mean())
            loss = loss + sum(terms) / len(terms)
        if mask is not None:
            n = coarse.shape[-1]
            cell = size // n
            stay = 1 - mask.reshape(n, cell, n, cell).mean(dim=(1, 3))
            loss = loss + weight * ((coarse - base).abs().mean(dim=1) * stay).sum() / (stay.sum() / stay.max())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return course


def lowest_nearby(maps, handle, reference, r2, size):
    """The whole pixel within ±r2 that is nearest in L2, the quarter of a pixel within ±1 of that, a parabola there."""

    def away(x, y):
        return float((read(maps, x, y, size) - reference).square().sum())

    def nearest(middle, reach, spacing):
        places = [
            (middle[0] + column * spacing, middle[1] + row * spacing)
            for row in range(-reach, reach + 1)
            for column in range(-reach, reach + 1)
        ]
        inside = [(x, y) for x, y in places if 0 <= x <= size - 1 and 0 <= y <= size - 1]
        return min(inside, key=lambda at: away(*at)), inside

    pixel, _ = nearest((round(handle[0]), round(handle[1])), r2, 1)
    (x, y), window = nearest(pixel, 4, 0.25)
    found = []
    for place, step in ((x, (0.25, 0)), (y, (0, 0.25))):
        before, after = (x - step[0], y - step[1]), (x + step[0], y + step[1])
        if before not in window or after not in window:
            found.append(float(place))
            continue
        a, b, c = away(*before), away(x, y), away(*after)
        found.append(place + 0.25 * (a - c) / (2 * (a - 2 * b + c)))
    return found
