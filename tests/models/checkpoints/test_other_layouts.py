"""Layouts of other programs than NVIDIA's and rosinality's, and networks that theirs were made into."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from models.layouts import dump
from nvidia_files import network_file, persistent, tree
from packed import assert_draws, under, unpacked

from draggan_widget import cli
from draggan_widget.models import StyleGAN2
from draggan_widget.models.checkpoints import Unreadable, genforce, nvidia, read_pickle, rosinality
from draggan_widget.models.checkpoints.load import CheckpointError, read_checkpoint
from draggan_widget.models.stylegan3.network import StyleGAN3


def pictures(parts, prefix="", *names):
    return {name: parts[f"{prefix}{name}"] for name in names or ("1.0", "0.6")}


# --- MMagic ----------------------------------------------------------------------------------------------------------


def prefixed(state, prefix, factor=1.0):
    return {f"{prefix}{name}": value * factor for name, value in state.items()}


def test_a_generator_of_mmagic_draws_what_its_program_draws():
    parts = unpacked("mmagic_16")
    state = under(parts, "state/")
    translation = rosinality.recognise(state)
    assert translation.notes["layout"] == "MMagic"
    assert "not recorded" in translation.notes["colours"]
    assert_draws(translation, parts["z"], pictures(parts, "", "1.0"))
    state["w_avg"] = torch.from_numpy(parts["w_avg"])
    assert_draws(rosinality.recognise(state), parts["z"], pictures(parts))


def test_of_a_training_of_mmagic_the_averaged_generator_counts():
    parts = unpacked("mmagic_16")
    state = under(parts, "state/")
    both = {**prefixed(state, "generator.", 1.1), **prefixed(state, "generator_ema."), "discriminator.x": torch.ones(3)}
    translation = rosinality.recognise({"meta": {"mmgen_version": "0.7.1"}, "state_dict": both, "optimizer": {}})
    assert translation.notes["weights"] == "'state_dict', names after 'generator_ema.'"
    assert_draws(translation, parts["z"], pictures(parts, "", "1.0"))


def test_classes_of_mmagic_are_embedded_and_normalised_by_themselves():
    parts = unpacked("mmagic_16")
    state = under(parts, "state/")
    random = np.random.RandomState(3)
    state["embed.linear.weight_orig"] = torch.from_numpy(random.randn(8, 5).astype(np.float32))
    state["embed.bias"] = torch.from_numpy(random.randn(8).astype(np.float32))
    first = np.concatenate([parts["state/style_mapping.1.linear.weight_orig"], random.randn(8, 8)], axis=1)
    state["style_mapping.1.linear.weight_orig"] = torch.from_numpy(first.astype(np.float32))
    generator = assert_draws(rosinality.recognise(state), parts["z"], {}, 0)
    assert generator.label_dim == 5
    # Their formulas, in double precision.
    embedded = state["embed.linear.weight_orig"].double().numpy()[:, 2] / np.sqrt(5) + state["embed.bias"].numpy()
    x = np.concatenate([part / np.sqrt(np.mean(part**2)) for part in (parts["z"][0].astype(float), embedded)])
    for layer in (1, 2):
        weight = state[f"style_mapping.{layer}.linear.weight_orig"].double().numpy() * 0.01
        x = weight @ x / np.sqrt(weight.shape[1]) + 0.01 * state[f"style_mapping.{layer}.bias"].numpy()
        x = np.where(x > 0, x, 0.2 * x) * np.sqrt(2)
    assert np.abs(generator.mapping(parts["z"], label=2)[0, 0].numpy() - x).max() < 1e-5


def test_a_damaged_checkpoint_of_mmagic_is_named_as_such():
    state = under(unpacked("mmagic_16"), "state/")
    del state["conv1.activate.bias"]
    with pytest.raises(Unreadable, match="StyleGAN2 of the MMagic layout, but 'conv1.activate.bias' is missing"):
        rosinality.recognise(state)


# --- GenForce --------------------------------------------------------------------------------------------------------


def genforce_state():
    parts = unpacked("genforce_16")
    return parts, under(parts, "state/")


def test_of_a_file_of_genforce_the_smooth_generator_counts_and_draws_what_its_program_draws():
    parts, state = genforce_state()
    translation = genforce.recognise({"generator": prefixed(state, "", 1.1), "generator_smooth": state})
    assert translation.notes == {"layout": "GenForce", "weights": "'generator_smooth'"}
    assert_draws(translation, parts["z"], pictures(parts))


def test_a_generator_of_genforce_without_coarse_pictures_is_one_of_plain_stacks():
    _, state = genforce_state()
    state = {
        name: part for name, part in state.items() if not name.startswith(("synthesis.output0", "synthesis.output1"))
    }
    translation = genforce.recognise(state)
    assert translation.config["architecture"] == "orig"
    assert "synthesis.b4.torgb.weight" not in translation.tensors


@pytest.mark.parametrize("joint", [True, False])
def test_classes_of_genforce_come_in_both_ways_of_tensorflow(joint):
    parts, state = genforce_state()
    random = np.random.RandomState(3)
    rows, bias = random.randn(5, 8).astype(np.float32), random.randn(8).astype(np.float32)
    if joint:
        state["mapping.label_weight"], embedded = torch.from_numpy(rows), rows[2]
    else:
        state["mapping.LabelEmbed.weight"] = torch.from_numpy(np.ascontiguousarray(rows.T))
        state["mapping.LabelEmbed.bias"], embedded = torch.from_numpy(bias), rows[2] / np.sqrt(5) + bias
    first = np.concatenate([parts["state/mapping.dense0.weight"], random.randn(8, 8)], axis=1)
    state["mapping.dense0.weight"] = torch.from_numpy(first.astype(np.float32))
    generator = assert_draws(genforce.recognise(state), parts["z"], {})
    pair = [parts["z"][0].astype(float), embedded.astype(float)]
    groups = [np.concatenate(pair)] if joint else pair
    x = np.concatenate([part / np.sqrt(np.mean(part**2)) for part in groups])
    for layer in (0, 1):
        weight = state[f"mapping.dense{layer}.weight"].double().numpy() * 0.01
        x = weight @ x / np.sqrt(weight.shape[1]) + 0.01 * state[f"mapping.dense{layer}.bias"].numpy()
        x = np.where(x > 0, x, 0.2 * x) * np.sqrt(2)
    assert np.abs(generator.mapping(parts["z"], label=2)[0, 0].numpy() - x).max() < 1e-5


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"synthesis.layer2.bias": None}, "GenForce layout, but 'synthesis.layer2.bias' is missing; give a whole"),
        ({"synthesis.layer2.attention": torch.ones(3)}, "'synthesis.layer2.attention' is too many"),
        ({"synthesis.layer2.bias": torch.ones(7)}, "'synthesis.layer2.bias' is of the wrong shape"),
        ({"truncation.w_avg": torch.ones(48)}, "'truncation.w_avg' is of the wrong shape"),
        ({"synthesis.upsample.kernel": torch.ones(1, 1, 4, 4)}, "low-pass filters of different kinds"),
    ],
)
def test_a_damaged_or_changed_checkpoint_of_genforce_is_named(changes, says):
    _, state = genforce_state()
    with pytest.raises(Unreadable, match=says):
        genforce.recognise({name: part for name, part in {**state, **changes}.items() if part is not None})


def test_a_stylegan1_of_genforce_is_refused_as_what_it_is():
    state = {"mapping.dense0.weight": torch.ones(8, 8), "synthesis.layer0.conv.weight": torch.ones(8, 8, 3, 3)}
    with pytest.raises(Unreadable, match="a StyleGAN1 or another family; of GenForce's models StyleGAN2 is read"):
        genforce.recognise({"generator_smooth": state})


def test_a_file_of_genforce_without_a_mean_latent_gets_one_and_says_so():
    parts, state = genforce_state()
    del state["truncation.w_avg"]
    translation = genforce.recognise(state)
    assert "10,000 latents" in translation.notes["w_avg"]
    assert_draws(translation, parts["z"], pictures(parts, "", "1.0"))


# --- inputs of any shape ---------------------------------------------------------------------------------------------

RECTANGLE = {
    "z_dim": 8, "c_dim": 0, "w_dim": 8, "img_resolution": 16, "img_channels": 3, "mapping_kwargs": {"num_layers": 2},
    "synthesis_kwargs": {"channel_base": 64, "channel_max": 6, "num_fp16_res": 0},
}  # fmt: skip


@pytest.mark.parametrize(("name", "size"), [("4x8", (16, 32)), ("5x3", (20, 12))])
@pytest.mark.parametrize("bare", [False, True])
def test_a_network_that_begins_with_another_size_draws_what_its_program_draws(name, size, bare):
    parts = unpacked("init_res_16")
    state = under(parts, f"{name}/state/")
    recorded = {**RECTANGLE, "init_res": [int(side) for side in name.split("x")]}
    translation = nvidia.recognise(state if bare else read_pickle(network_file(recorded, state)))
    generator = assert_draws(translation, parts["z"], pictures(parts, f"{name}/"))
    assert generator.resolution == size


def test_a_recorded_first_size_of_a_square_is_no_unknown_setting():
    made = StyleGAN2(16, z_dim=8, w_dim=8, channels={4: 6, 8: 6, 16: 4}, mapping_layers=2)
    file = network_file({**RECTANGLE, "init_res": [4, 4]}, made.network.state_dict())
    assert nvidia.recognise(read_pickle(file)).config["resolution"] == 16


# --- StyleGAN-XL -----------------------------------------------------------------------------------------------------

XL = {
    "z_dim": 8, "w_dim": 8, "img_channels": 3, "img_resolution": 16, "channel_base": 256, "channel_max": 6,
    "num_layers": 5, "magnitude_ema_beta": 0.9, "conv_kernel": 3, "use_radial_filters": False,
    "mapping_kwargs": {"num_layers": 2, "rand_embedding": True},
}  # fmt: skip


def xl_file(state, kwargs, attributes=None):
    """The bytes of a snapshot whose embedding of 1000 classes is one of torch's own modules."""
    state = dict(state)
    embedding = torch.nn.Embedding(1000, state["mapping.embed.weight"].shape[1])
    embedding.weight.data.zero_()[:4] = state.pop("mapping.embed.weight")[:4]
    network = tree(state, kwargs, attributes)
    network["_modules"]["mapping"].args[0]["state"]["_modules"]["embed"] = embedding
    return dump({"G": None, "G_ema": persistent(network)})


def xl_state(name):
    parts = unpacked("xl_16")
    state = under(parts, f"{name}/state/")
    if state["mapping.w_avg"].ndim == 2:
        state["mapping.w_avg"] = torch.cat([state["mapping.w_avg"], torch.zeros(996, 8)])
    return parts, state


@pytest.mark.parametrize(("name", "classes", "label"), [("unconditional", 0, None), ("classes", 1000, 3)])
def test_a_stylegan_xl_draws_what_its_program_draws(name, classes, label):
    parts, state = xl_state(name)
    translation = nvidia.recognise(read_pickle(xl_file(state, {"c_dim": classes, **XL})))
    assert translation.notes["layout"] == "StyleGAN-XL"
    generator = assert_draws(translation, parts["z"], pictures(parts, f"{name}/"), label)
    assert generator.label_dim == classes
    assert json.loads(json.dumps(translation.config))["class_means"] is bool(classes)


def test_each_class_of_a_stylegan_xl_has_a_mean_of_its_own():
    _, state = xl_state("classes")
    generator = assert_draws(nvidia.recognise(read_pickle(xl_file(state, {"c_dim": 1000, **XL}))), None, {})
    both = generator.mapping(np.zeros((2, 8)), label=[1, 3], truncation=0.0)
    torch.testing.assert_close(both[:, 0], state["mapping.w_avg"][[1, 3]])


def test_a_stylegan_xl_on_a_smaller_network_has_the_signals_that_its_layers_record(tmp_path, capsys):
    smaller = StyleGAN3(16, z_dim=8, w_dim=8, channel_base=256, channel_max=6, num_layers=5)
    kept = [[s.rate, s.cutoff, s.half_width, s.margins[0], s.channels] for s in smaller.signals[:3]]
    last = kept[-1]
    added = [last, [32, 9.0, 7.5, 10, 5], [32, 16.0, 3.7, 0, 4], [32, 16.0, 3.7, 0, 3]]
    made = StyleGAN3(32, z_dim=8, w_dim=8, num_layers=6, signals=[*kept, *added])
    with torch.no_grad():
        for buffer in made.network.buffers():
            if buffer.ndim == 1 and len(buffer) == 8:
                buffer.normal_()  # the mean latent
    state = dict(made.network.state_dict())
    signals = iter([*kept, *added])

    def attributes(path, usual):
        if path == "":
            return usual | {"z_dim": 8, "c_dim": 0, "_init_kwargs": given}
        if path.startswith("synthesis.L") and path.count(".") == 2:
            rate, cutoff, half_width, margin, channels = next(signals)
            size = np.array([rate + 2 * margin] * 2)
            return {
                "out_sampling_rate": rate, "out_cutoff": np.float64(cutoff), "out_half_width": np.float64(half_width),
                "out_size": size, "out_channels": channels, "conv_kernel": 3, "filter_size": 6, "lrelu_upsampling": 2,
                "conv_clamp": 256, "use_radial_filters": False,
            }  # fmt: skip
        return {"output_scale": 0.25, "num_critical": 2} if path == "synthesis." else usual

    given = {
        "img_resolution": 32,
        "path_stem": "pokemon16.pkl",
        "head_layers": 3,
        "up_factor": 2,
        "c_dim": 0,
        "w_dim": 8,
    }
    state["mapping.embed.weight"] = torch.zeros(4, 12)
    path = tmp_path / "pokemon32.pkl"
    path.write_bytes(xl_file(state, {"c_dim": 0, **XL}, attributes))
    ws = made.mapping(seed=1, truncation=0.7)
    translation = read_checkpoint(path)
    assert_draws(translation, np.random.RandomState(1).randn(1, 8), {"0.7": made.synthesize(ws).numpy()})
    assert cli.main(["inspect", str(path)]) == 0
    assert "StyleGAN-XL" in (told := capsys.readouterr().out)
    assert "32 × 32 px" in told
    assert "layers on top of a smaller network" in told


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: state.update({"mapping.embed_proj.bias": torch.ones(3)}), "embedding of classes does not fit"),
        (lambda state: state.update({"mapping.embed_proj.weight": torch.ones(8)}), r"has the shape \(8,\)"),
        (lambda state: state.update({"mapping.w_avg": torch.ones(7, 8)}), "'mapping.w_avg' is of the wrong shape"),
    ],
)
def test_a_damaged_stylegan_xl_is_named(change, says):
    _, state = xl_state("classes")
    change(state)
    with pytest.raises(Unreadable, match=says):
        nvidia.recognise(read_pickle(xl_file(state, {"c_dim": 1000, **XL})))


# --- what is told ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "prefix", "layout"), [("mmagic_16", "state/", "MMagic"), ("genforce_16", "state/", "GenForce")]
)
def test_inspect_says_whose_layout_a_file_has(reference, prefix, layout, tmp_path, capsys):
    path = tmp_path / "a.pth"
    torch.save({"generator_ema": under(unpacked(reference), prefix)}, path)
    assert cli.main(["inspect", str(path)]) == 0
    told = capsys.readouterr().out
    assert layout in told
    assert "'generator_ema'" in told
    assert "16 × 16 px, RGB" in told


def test_a_file_of_no_known_layout_is_told_by_what_it_holds(tmp_path):
    path = tmp_path / "a.ckpt"
    torch.save({"state_dict": {f"model.diffusion_model.{k}.weight": torch.ones(2) for k in range(9)}}, path)
    with pytest.raises(
        CheckpointError, match="no generator of a layout that is read .a diffusion model with 9 tensors in"
    ):
        read_checkpoint(path)
