"""What several rooms' tests share."""

from __future__ import annotations

import pytest
import torch
from random_stylegan2 import small_stylegan2

from draggan_widget.models import Generator, StyleGAN2

torch.set_num_threads(1)  # the networks are tiny, and so is what a second thread would gain


@pytest.fixture(scope="session")
def generator() -> StyleGAN2:
    """A random StyleGAN2 of 64 px."""
    return small_stylegan2()


@pytest.fixture(scope="module")
def stable(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    """A model like Stable Diffusion, of random weights and tiny widths."""
    from random_diffusion import small_stable_diffusion  # needs diffusers, which few tests do

    return small_stable_diffusion(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def pixels() -> Generator:
    """A diffusion model of pictures themselves, likewise."""
    from random_diffusion import small_pixels

    return small_pixels()


def pytest_collection_modifyitems(items):
    """Browser tests last: Playwright's synchronous interface keeps an event loop running in the main thread."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


def pytest_terminal_summary(terminalreporter):
    """What tests have measured, from whichever process."""
    for report in terminalreporter.stats.get("passed", []):
        for what, measured in report.user_properties if report.when == "call" else ():
            terminalreporter.write_line(f"{what}: {measured}")
