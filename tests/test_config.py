"""The settings of a drag as a value: what is checked, and the way to JSON and back."""

from __future__ import annotations

import json

import pytest

from draggan_widget.config import DragConfig


@pytest.mark.parametrize("block", [None, 5, (5, 6)])
def test_settings_go_through_json_and_come_back_the_same(block):
    config = DragConfig.official(block=block)
    assert DragConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_several_blocks_are_the_same_in_any_order_and_one_is_just_that_one():
    assert DragConfig(block=[6, 5]) == DragConfig(block=(5, 6))
    assert DragConfig(block=(5,)) == DragConfig(block=5)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (0, "block is 0; it must be a whole number of at least 1 or None"),
        ((5, 0), "block is 0"),
        ((), r"block is \(\); name one block, or several different ones"),
        ((5, 5), r"block is \(5, 5\); name one block"),
        ("5+6", "block is '5\\+6'; it must be a whole number"),
        ((5, None), "block is None; it must be a whole number of at least 1"),
    ],
)
def test_a_block_that_is_none_is_refused(block, message):
    with pytest.raises(ValueError, match=message):
        DragConfig(block=block)


def test_unknown_settings_are_named():
    with pytest.raises(ValueError, match="unknown drag settings blok; known are blend, block,"):
        DragConfig.from_dict({"blok": 5})
