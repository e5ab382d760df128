"""The small random networks of the golden runs, one of each family, as files that `load_generator` reads.

The files are committed, so what they hold does not depend on how anybody's torch draws numbers.
"""

from __future__ import annotations

from pathlib import Path

from draggan_widget import load_generator

FOLDER = Path(__file__).parent / "runs" / "models"
NAMES = ("skip", "resnet", "orig", "portrait", "grey", "classes", "stylegan3_t", "stylegan3_r")


def path_of(name):
    """The file of a network."""
    return FOLDER / f"{name}.safetensors"


def network(name):
    """A network of the golden runs in float64, in which a trajectory comes out the same everywhere."""
    return load_generator(path_of(name), "cpu").double()


def label_of(generator):
    """A class, where the network has some."""
    return 1 if generator.label_dim else None


def make_all():
    """Write the files. They are the inputs of all recordings, so only for a family that is new."""
    from random_stylegan3 import fill, small_stylegan3

    from draggan_widget.models import StyleGAN2, save_generator

    def stylegan2(resolution, seed, **settings):
        height = resolution if isinstance(resolution, int) else resolution[0]
        widths = {2**power: 8 for power in range(2, height.bit_length())}
        generator = StyleGAN2(resolution, z_dim=16, w_dim=16, channels=widths, mapping_layers=2, **settings)
        state = generator.network.state_dict()
        fill(generator, seed)
        for tensor_name, tensor in state.items():
            if tensor_name.endswith("noise_strength"):
                tensor.mul_(0.1)
        return generator

    FOLDER.mkdir(parents=True, exist_ok=True)
    short = {"num_layers": 5, "channel_max": 8, "margin_size": 4}
    made = {
        "skip": lambda: stylegan2(64, 1),
        "resnet": lambda: stylegan2(64, 2, architecture="resnet"),
        "orig": lambda: stylegan2(64, 3, architecture="orig"),
        "portrait": lambda: stylegan2((64, 32), 4),
        "grey": lambda: stylegan2(64, 5, img_channels=1),
        "classes": lambda: stylegan2(64, 6, c_dim=3),
        "stylegan3_t": lambda: small_stylegan3(32, seed=7, **short),
        "stylegan3_r": lambda: small_stylegan3(32, seed=8, conv_kernel=1, use_radial_filters=True, **short),
    }
    for name in NAMES:
        if not path_of(name).exists():
            save_generator(path_of(name), made[name](), half=True)
