"""What the tests of NVIDIA's files have in common: building what was read, and comparing it with references."""

from __future__ import annotations

import numpy as np
import torch
from nvidia_files import stored, stylegan2_file

from draggan_widget.models.checkpoints import read_pickle
from draggan_widget.models.stylegan2.network import StyleGAN2


def build(translation):
    generator = StyleGAN2.from_config(translation.config)
    generator.network.load_state_dict(translation.tensors)
    return generator


def assert_draws_the_reference(translation, name):
    """Latents within 1e-4, pictures within 1 % of their deviation."""
    settings, _, arrays = stored(name)
    generator = build(translation)
    labels = arrays.get("labels")
    ws = generator.mapping(arrays["z"], label=labels)
    truncated = generator.mapping(arrays["z"], label=labels, truncation=settings["truncation"])
    assert np.abs(ws.numpy() - arrays["ws"][:, None]).max() < 1e-4
    assert np.abs(truncated.numpy() - arrays["truncated"][:, None]).max() < 1e-4
    # Rows of two latents in turns, so that a layer that reads another row shows.
    turns = torch.where(torch.arange(generator.num_ws)[:, None] % 2 == 0, ws[0], ws[1])[None]
    step = settings["step"]
    picture = generator.synthesize(turns)[:, :, ::step, ::step].numpy()
    assert np.abs(picture - arrays["picture"]).max() < 0.01 * arrays["picture"].std()


def shallow_network():
    """Settings and state dict of a small network."""
    settings, state, _ = stored("stylegan2_shallow")
    return settings["init_kwargs"], state


def shallow(**changes):
    """Value of a whole file with that network, some arguments of ``stylegan2_file`` changed."""
    kwargs, state = shallow_network()
    return read_pickle(stylegan2_file(**{"kwargs": kwargs, "state": state, **changes}))
