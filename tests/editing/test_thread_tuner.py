from __future__ import annotations

import itertools

import pytest
import torch

from draggan_widget.editing import thread_tuner as module
from draggan_widget.editing.thread_tuner import AGAIN, AT_LAST, Threads


class Machine:
    """Work whose time depends on how many threads do it; time passes by nothing else."""

    def __init__(self, alone, together):
        self.now, self.alone, self.together = 0.0, alone, together
        self.done = []

    def work(self):
        alone = torch.get_num_threads() == 1
        self.done.append(alone)
        self.now += self.alone if alone else self.together
        return "done"

    def perf_counter(self):
        return self.now


@pytest.fixture
def machine(monkeypatch):
    made = Machine(1.0, 0.6)
    monkeypatch.setattr(module, "time", made)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield made
    torch.set_num_threads(before)


def done(machine, threads, pieces):
    """Which of the next pieces were done by one thread alone."""
    machine.done.clear()
    for _ in range(pieces):
        threads(machine.work)
    return list(machine.done)


def test_work_is_done_by_all_threads_where_they_are_quicker_and_one_is_tried_now_and_then(machine):
    threads = Threads()
    first = done(machine, threads, 3)
    assert sorted(first) == [False, False, True]
    later = done(machine, threads, 3 * (AGAIN + 1))
    assert 2 <= sum(later) <= 3


def test_where_somebody_else_needs_a_processor_one_thread_takes_over_at_once_and_hands_back_later(machine):
    threads = Threads()
    done(machine, threads, 5)
    machine.together = 10.0
    assert done(machine, threads, 4) == [False, True, True, True]
    machine.together = 0.6
    assert not all(done(machine, threads, 2 * AGAIN))
    assert not any(done(machine, threads, AGAIN // 2))


def test_threads_that_are_slower_time_after_time_are_tried_less_and_less(machine):
    machine.together = 10.0
    threads = Threads()
    tried = [place for place, alone in enumerate(done(machine, threads, 4 * AT_LAST)) if not alone]
    waits = [after - before for before, after in itertools.pairwise(tried[1:])]
    assert waits == sorted(waits)
    assert waits[0] < 4 * AGAIN
    assert waits[-1] > AT_LAST / 2


def test_torch_has_its_threads_back_after_every_piece_also_one_that_fails(machine):
    machine.together = 10.0
    threads = Threads()
    done(machine, threads, 4)

    def fail():
        assert torch.get_num_threads() == 1
        raise RuntimeError("out of paint")

    with pytest.raises(RuntimeError, match="out of paint"):
        threads(fail)
    assert torch.get_num_threads() == 2
    assert threads(machine.work) == "done"


def test_other_work_has_as_many_threads_and_teaches_nothing(machine):
    threads = Threads()
    assert threads.aside(torch.get_num_threads) == 2
    machine.together = 10.0
    done(machine, threads, 4)
    assert threads.aside(torch.get_num_threads) == 1
    assert torch.get_num_threads() == 2


def test_a_torch_with_one_thread_keeps_it(machine):
    torch.set_num_threads(1)
    threads = Threads()
    assert all(done(machine, threads, 3 * AGAIN))
