"""Descent in coordinates that follow the gradients: where few directions, of any bearing, count much."""

from __future__ import annotations

import pytest
import torch

from draggan_widget.inversion.soap import REMEMBERED, Soap


def turned(numbers, seed=0):
    """An orthogonal matrix, and how much each of its columns counts."""
    random = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(numbers, numbers, generator=random, dtype=torch.float64))[0]
    return axes, torch.logspace(0, -4, numbers, dtype=torch.float64)


def descended(axes, counts, steps, descent_of):
    """The loss where a descent of three rows ends, as a part of that where it began."""
    one = torch.ones(1, len(axes), dtype=torch.float64) @ axes.T
    both = [each.clone().requires_grad_() for each in (one, one.expand(2, -1))]
    descent, losses = descent_of(both), []
    for number in range(steps + 1):
        for each in both:
            each.grad = None
        loss = sum(((each @ axes).square() * counts).sum() for each in both)
        loss.backward()
        losses.append(float(loss.detach()))
        descent(0.1 * min(1.0, 2 * (1 - number / steps)))
    return losses[-1] / losses[0]


def adam(variables):
    descent = torch.optim.Adam(variables, betas=(0.8, 0.95))

    def step(rate):
        descent.param_groups[0]["lr"] = rate
        descent.step()

    return step


def test_where_few_turned_directions_count_much_it_comes_far_nearer_than_adam():
    soap, plain = (descended(*turned(40), 100, of) for of in (lambda x: Soap(x).step, adam))
    assert soap < 0.1 * plain


def test_it_is_the_same_in_any_orthonormal_coordinates():
    counts = turned(12)[1]
    one, other = (descended(turned(12, seed)[0], counts, 25, lambda x: Soap(x).step) for seed in (1, 2))
    assert one == pytest.approx(other, rel=0.02)


def test_what_nothing_depends_on_stays_and_no_gradient_at_all_is_no_step():
    rows = torch.ones(2, 5, dtype=torch.float64, requires_grad=True)
    descent = Soap([rows])
    for _ in range(REMEMBERED + 3):
        rows.grad = None
        rows[:, :2].square().sum().backward()
        descent.step(0.05)
    assert (rows[:, :2].abs() < 0.2).all()
    assert rows[:, 2:].eq(1).all()
    still = torch.ones(2, 5, requires_grad=True)
    still.grad = torch.zeros(2, 5)
    Soap([still]).step(0.1)
    assert still.eq(1).all()
