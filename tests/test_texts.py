from __future__ import annotations

import json
import math
import sys

import pytest

from draggan_widget.texts import one_line, printable, quoted, read_json, shown_path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("synthesis.b4.conv1.weight", "synthesis.b4.conv1.weight"),
        ("Köpfe 人 😀", "Köpfe 人 😀"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("half\udc80", "half\\udc80"),
        ("\u202efdp.exe", "\\u202efdp.exe"),
        ("", ""),
    ],
)
def test_what_is_no_character_to_look_at_is_shown_as_an_escape(text, shown):
    assert printable(text) == shown
    assert printable(text).isprintable()
    printable(text).encode()  # which a lone surrogate would not let happen


def test_a_name_of_20_megabytes_is_shown_by_its_beginning():
    name = "n" * 20_000_000
    assert printable(name) == "n" * 79 + "…"
    assert quoted(name) == repr("n" * 79 + "…")
    assert len(one_line(ValueError(name))) == 1000
    assert len(shown_path("/" + name + "/end.pkl")) == 160
    assert shown_path("/" + name + "/end.pkl").endswith("n/end.pkl")


def test_a_list_of_a_thousand_times_a_long_text_costs_nothing_to_show():
    assert quoted(["long" * 1_000_000] * 100_000) == "a list of 100,000"
    assert quoted([64, 16]) == "[64, 16]"
    assert quoted(10**5000) == "a whole number of 16,610 bits"
    assert quoted({"a": 1}) == "a dict of 1"
    assert quoted(None) == "None"


def test_json_of_somebody_else_is_read_as_it_is():
    value = {"a": [1, 2.5, None, True, '\\"[{]}', {"b": {}}], 'quoted "': -3, "é\ud800": ""}
    assert read_json(json.dumps(value)) == value
    assert read_json(json.dumps(value).encode()) == value
    assert read_json("[" * 32 + "]" * 32) is not None
    assert read_json("[Infinity, -1e400, %s]" % ("9" * 30), any_number=True) == [math.inf, -math.inf, 10**30 - 1]


def test_json_is_read_within_bounds():
    assert read_json(b"[]", most_values=10) == []
    with pytest.raises(ValueError, match="more than 10 values"):
        read_json("[" + "{}," * 10 + "{}]", most_values=10)
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        read_json("[" * 101 + "]" * 101, deepest=100)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1,]",
        "\xff",
        b"\xff\xfe",
        '{"a": 1, "a": 2}',
        "9" * 5000,
        "1" + "0" * 400,
        "1e999",
        "NaN",
        "[-Infinity]",
        "[" * 100_000 + "]" * 100_000,
        "[" * 90_000 + "]" * 90_000,
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        '["\\\\", ' + "[" * 1000 + "]" * 1000 + "]",
        '["\\"", ' + "[" * 1000 + "]" * 1000 + ', "\\""]',
        "[" + "0," * 200_001 + "0]",
        "[" * 150_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_json_that_is_damaged_deep_or_beyond_numbers_is_a_value_error(text):
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)  # with which the standard library's reader would overflow the stack
    try:
        with pytest.raises(ValueError):  # noqa: PT011 - of whatever text
            read_json(text)
    finally:
        sys.setrecursionlimit(before)
