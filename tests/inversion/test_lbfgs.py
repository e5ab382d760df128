"""Descent that learns how the loss bends: sooner there than along the gradient, and never stuck on too long a step."""

from __future__ import annotations

import torch

from draggan_widget.inversion.lbfgs import LBFGS


def descended(loss_of, start, steps, longest=0.1):
    """The losses on the way, and where it ended."""
    x = [each.clone().requires_grad_() for each in start]
    descent, losses = LBFGS(x, longest), []
    for _ in range(steps):
        for each in x:
            each.grad = None
        loss = loss_of(*x)
        loss.backward()
        losses.append(float(loss.detach()))
        descent.step(losses[-1])
    return losses, [each.detach() for each in x]


def test_a_long_narrow_valley_is_gone_through_in_few_steps():
    widths = torch.logspace(0, 3, 20, dtype=torch.float64)

    def valley(one, other):
        return (widths * torch.cat([one, other]).square()).sum()

    losses, found = descended(valley, [torch.ones(8, dtype=torch.float64), torch.ones(12, dtype=torch.float64)], 100)
    assert losses[-1] < 1e-6 * losses[0]
    assert torch.cat(found).abs().max() < 0.01


def test_a_bent_valley_is_followed_to_its_end():
    def rosenbrock(x):
        return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

    _, (found,) = descended(rosenbrock, [torch.tensor([-1.2, 1.0], dtype=torch.float64)], 150)
    assert (found - 1).abs().max() < 1e-3


def test_a_first_step_that_is_far_too_long_is_taken_back():
    losses, (found,) = descended(lambda x: x.square().sum(), [torch.ones(5, dtype=torch.float64)], 30, longest=1e3)
    assert losses[1] > losses[0]
    assert found.abs().max() < 1e-3


def test_after_the_loss_has_become_another_one_a_higher_one_is_no_step_uphill():
    for forgets in (True, False):
        x = torch.full((4,), 3.0, dtype=torch.float64, requires_grad=True)
        descent = LBFGS([x], 0.1)
        for scale in (1.0, 1.0, 100.0):
            if scale == 100.0:
                before = x.detach().clone()
                if forgets:
                    descent.forget()
            x.grad = None
            loss = scale * x.square().sum()
            loss.backward()
            descent.step(float(loss.detach()))
        assert bool((x.detach() < before).all()) == forgets
