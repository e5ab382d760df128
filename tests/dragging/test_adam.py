from __future__ import annotations

import torch

from draggan_widget.engines.common.formulas import adam
from draggan_widget.engines.common.running import Moments


def test_adam_is_that_of_torch_also_when_its_learning_rate_changes():
    torch.manual_seed(0)
    ours = torch.randn(1, 6, 16, dtype=torch.float64)
    theirs = ours.clone().requires_grad_()
    optimizer = torch.optim.Adam([theirs], lr=2e-3)
    first, second = torch.zeros_like(ours), torch.zeros_like(ours)
    for turn in range(12):
        gradient = torch.randn_like(ours) * 10.0 ** (turn - 10)
        if turn == 6:
            gradient.zero_()
        learning_rate = 2e-3 if turn < 4 else 5e-2
        optimizer.param_groups[0]["lr"] = learning_rate
        theirs.grad = gradient.clone()
        optimizer.step()
        ours, first, second = adam(ours, gradient, first, second, turn + 1, learning_rate)
        assert torch.allclose(ours, theirs.detach(), rtol=1e-14, atol=1e-15)


def test_adam_leaves_what_it_is_given_as_it_is():
    parameter, gradient = torch.ones(2, 3), torch.ones(2, 3)
    moments = Moments.zeros_like(parameter)
    adam(parameter, gradient, moments.first, moments.second, 1, 0.1)
    assert torch.equal(parameter, torch.ones(2, 3))
    assert torch.equal(moments.first, torch.zeros(2, 3))
    assert moments.count == 0
