"""What a setting is, what it takes, and that all who show settings have them from the one place."""

from __future__ import annotations

import dataclasses
import decimal
import fractions
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from draggan_widget import cli
from draggan_widget.config import DragConfig
from draggan_widget.editing.settings import settings_for
from draggan_widget.engines import Natural
from draggan_widget.settings import (
    Limits,
    SettingError,
    Settings,
    as_number,
    as_whole,
    choice,
    number,
    settings_in,
    shown,
    whole,
)

SETTINGS = settings_in(DragConfig)


@dataclasses.dataclass(frozen=True)
class Other(Settings):
    """The settings of some other engine."""

    pull: float = number(0.3, "Pull", "How hard.", least=-1, most=1)
    rounds: int = whole(5, "Rounds", "How often.", least=1, most=9, advanced=True)
    way: str = choice("near", "Way", "Which way.", {"near": "Nearest", "far": "Farthest"})


@pytest.mark.parametrize(
    ("value", "is_number", "is_whole"),
    [
        (30, 30.0, 30),
        (np.int64(30), 30.0, 30),
        (np.uint8(30), 30.0, 30),
        (np.array(30), 30.0, 30),
        (torch.tensor(30), 30.0, 30),
        (fractions.Fraction(30), 30.0, 30),
        (0.5, 0.5, None),
        (30.0, 30.0, None),
        (np.float32(0.5), 0.5, None),
        (np.float16(0.5), 0.5, None),
        (np.array(0.5), 0.5, None),
        (torch.tensor(0.5, requires_grad=True), 0.5, None),
        (fractions.Fraction(1, 2), 0.5, None),
        (decimal.Decimal("0.5"), 0.5, None),
        (True, None, None),
        (np.bool_(True), None, None),
        (torch.tensor(True), None, None),
        (math.nan, None, None),
        (np.float32("inf"), None, None),
        (1j, None, None),
        ("30", None, None),
        (None, None, None),
        (np.ones(1), None, None),
        (torch.ones(2), None, None),
        (torch.ones((), device="meta"), None, None),
        (fractions.Fraction(10**400), None, 10**400),
        (10**400, None, 10**400),
    ],
)
def test_numbers_of_all_libraries_are_numbers_and_nothing_else_is(value, is_number, is_whole):
    assert as_number(value) == is_number
    assert as_whole(value) == is_whole
    assert type(as_number(value)) in (float, type(None))
    assert type(as_whole(value)) in (int, type(None))


@pytest.mark.parametrize("kind", [int, float, np.float32, np.int64, torch.tensor, fractions.Fraction])
def test_what_a_config_keeps_are_pythons_own_numbers(kind):
    config = DragConfig(mask_weight=kind(7), tolerance=kind(2))
    assert (config.mask_weight, type(config.mask_weight), type(config.tolerance)) == (7.0, float, float)


BOUNDS = [
    ("learning_rate", [1e-9, 1], [0, -1, 1.0001, 1000, 1e99], "a number above 0 and up to 1"),
    ("supervision_radius", [0, 128], [-1, 129, 20_000], "a number from 0 to 128"),
    ("tracking_radius", [0, 128], [-1, 129, 20_000], "a number from 0 to 128"),
    ("mask_weight", [0, 10_000], [-0.1, 10_001], "a number from 0 to 10,000"),
    ("max_steps", [1, 100_000, None], [0, 100_001, 10**9, 2.5], "a whole number from 1 to 100,000, or None"),
    ("stall_steps", [1, 100_000, None], [0, 100_001], "a whole number from 1 to 100,000, or None"),
    ("tolerance", [0, 1000, None], [-1, 1001], "a number from 0 to 1,000, or None"),
    ("edit_layers", [1, 100], [0, 101, None], "a whole number from 1 to 100"),
]


@pytest.mark.parametrize(("name", "good", "bad", "wanted"), BOUNDS, ids=[name for name, *_ in BOUNDS])
def test_every_setting_has_bounds_and_a_sentence_that_names_it_its_value_and_them(name, good, bad, wanted):
    for value in good:
        assert getattr(DragConfig(**{name: value}), name) == value
    for value in (*bad, math.nan, math.inf, True, "much", [1]):
        with pytest.raises(SettingError) as caught:
            DragConfig(**{name: value})
        assert str(caught.value) == f"{name} is {value!r}; it must be {wanted}"


@pytest.mark.parametrize("name", ["method", "space"])
def test_a_choice_names_what_there_is(name):
    with pytest.raises(SettingError, match=f"{name} is 'z'; choose one of .*, "):
        DragConfig(**{name: "z"})
    with pytest.raises(SettingError, match=f"{name} is None; choose one of"):
        DragConfig(**{name: None})


def test_a_value_of_any_size_is_shown_in_a_short_line():
    assert len(shown(np.zeros(10**6))) <= 60
    assert len(shown("x" * 10**6)) == 60
    assert shown(10**5000) == "a int"
    assert "\n" not in shown(np.zeros((9, 9)))


def test_each_setting_of_a_drag_is_declared_with_label_help_and_bounds():
    assert set(SETTINGS) == {field.name for field in dataclasses.fields(DragConfig)}
    for setting in SETTINGS.values():
        assert setting.label
        assert setting.help.endswith(".")
        bounded = math.isfinite(setting.most) or setting.kind in ("choice", "blocks", "tracker")
        assert bounded, setting.name


def test_another_engines_dataclass_has_all_of_it_with_no_line_elsewhere():
    assert Other(pull=np.float64(0.5)).pull == 0.5
    with pytest.raises(SettingError, match="pull is -2; it must be a number from -1 to 1"):
        Other(pull=-2)
    schema = [setting.schema(Limits(4, (1, 2))) for setting in settings_in(Other).values()]
    assert [(each["name"], each["kind"], each["advanced"]) for each in schema] == [
        ("pull", "number", False),
        ("rounds", "whole", True),
        ("way", "choice", False),
    ]
    assert schema[2]["choices"] == [["near", "Nearest"], ["far", "Farthest"]]


def test_the_choice_of_the_engine_tells_of_the_one_in_use():
    told = {type(config).__name__: settings_for(config)["engine"].help for config in (DragConfig(), Natural())}
    assert "Pan et al. 2023" in told["DragConfig"]
    assert told["Natural"].startswith("The least change")
    assert all(len(each) < 120 for each in told.values())


def test_the_schema_has_what_a_model_has():
    fields = {name: setting.schema(Limits(14, (1, 2, 3))) for name, setting in SETTINGS.items()}
    assert (fields["edit_layers"]["least"], fields["edit_layers"]["most"]) == (1, 14)
    assert fields["block"]["choices"] == [["1", "1"], ["2", "2"], ["3", "3"]]
    assert (fields["learning_rate"]["above"], fields["learning_rate"]["most"]) == (True, 1)


def test_the_help_of_the_command_line_names_every_setting_its_bounds_and_its_default(capsys):
    with pytest.raises(SystemExit):
        cli.main(["drag", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for name, setting in SETTINGS.items():
        assert name in said
        assert setting.help in said
    assert "A number above 0 and up to 1; 0.002 by default." in said
    assert "A whole number from 1 to 100,000, or None; 300 by default." in said


def test_settings_need_neither_torch_nor_numpy():
    code = "import sys, draggan_widget.config; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_settings_are_copied_and_go_into_files_and_back():
    other = Other(pull=0.5)
    assert other.replace(rounds=np.int64(7)) == Other(pull=0.5, rounds=7)
    assert Other.from_dict(other.to_dict()) == other
    assert Other.from_dict({"pull": 0.5}) == other
    with pytest.raises(SettingError, match="rounds is 10; it must be a whole number from 1 to 9"):
        other.replace(rounds=10)
    with pytest.raises(ValueError, match="^unknown settings push; known are pull, rounds, way$"):
        Other.from_dict({"push": 1})
    with pytest.raises(ValueError, match="^unknown drag settings push; known are blend, block, "):
        DragConfig.from_dict({"push": 1})


def test_a_setting_that_an_older_file_lacks_is_as_it_was_before_there_was_any():
    assert DragConfig().on_stall == "halve"
    assert DragConfig.from_dict({}).on_stall == "stop"
