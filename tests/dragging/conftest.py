from __future__ import annotations

import pytest
from random_stylegan2 import generator_of


@pytest.fixture
def small():
    """A generator of 32 px pictures."""
    return generator_of(32)
