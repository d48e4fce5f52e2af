"""Placeholders: their syntax, their values, and what a value can never become."""

from typing import Any

import pytest

from chalicelib.core.errors import ClientError
from chalicelib.core.triggers.templates import RENDERED_LIMIT, parse_template, render

EVENT = {
    "detail-type": "Object Created",
    "detail": {
        "object": {"key": "in/a b.csv", "size": 5},
        "flags": [True, False, None],
        "ratio": 0.5,
        "none": None,
        "it's": "quoted",
        "": "nameless",
    },
}


def rendered(text: str, event: Any = EVENT) -> str:
    request = render(parse_template({"parameters": {"key": text}}), event)
    value: str = request["parameters"]["key"]
    return value


def refusal_of(text: str, event: Any = EVENT) -> str:
    with pytest.raises(ClientError) as refused:
        rendered(text, event)
    return refused.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("<$.detail.object.key>", "in/a b.csv"),
        ("a<$.detail.object.key>b<$.detail.object.size>c", "ain/a b.csvb5c"),
        ("<$.detail-type>", "Object Created"),
        ("<$['detail-type']>", "Object Created"),
        (r"<$.detail['it\'s']>", "quoted"),
        ("<$.detail.flags[0]>", "true"),
        ("<$.detail.ratio>", "0.5"),
        ("<$.detail.object>", '{"key":"in/a b.csv","size":5}'),
        ("<$.detail.flags>", "[true,false,null]"),
        ("<$$>", "<$>"),
        ("<$$.detail.object.key>", "<$.detail.object.key>"),
        ("<$$$$<$.detail.ratio>", "<$$$0.5"),
        ("a < b $ c >", "a < b $ c >"),
        ("<<$.detail.ratio>>", "<0.5>"),
    ],
)
def test_a_string_with_its_values(text: str, expected: str) -> None:
    assert rendered(text) == expected


def test_the_whole_event() -> None:
    assert rendered("<$>", {"a": ["é", 1]}) == '{"a":["é",1]}'


@pytest.mark.parametrize(
    "value", ["<$.b>", "<$$", "Ref::b", '"', "\\", "\n\0", "<$", "é\U0001f600"]
)
def test_a_value_is_never_parsed(value: str) -> None:
    assert rendered("<$.a>", {"a": value, "b": "other"}) == value
    assert rendered("<<$.a>>", {"a": value, "b": "other"}) == f"<{value}>"


def test_two_values_do_not_make_a_placeholder() -> None:
    assert rendered("<$.a><$.b>", {"a": "<", "b": "$.c>", "c": "x"}) == "<$.c>"


@pytest.mark.parametrize(
    "path",
    [
        "$.detail.x",
        "$.detail.none",
        "$.detail.flags[3]",
        "$.detail.flags[2]",
        "$.detail.flags.length",
        "$.detail.object[0]",
        "$.detail.object.key.length",
        "$.detail.object.key[0]",
        "$.detail.object.key['0']",
    ],
)
def test_a_missing_value_is_named(path: str) -> None:
    assert refusal_of(f"a<{path}>") == f"request.parameters.key: the event has no value at {path}."


@pytest.mark.parametrize("value", ["\ud800", ["a\udfff"], float("inf"), [float("nan")]])
def test_a_value_that_cannot_be_text_is_named(value: Any) -> None:
    message = "request.parameters.key: the event's value at $.a cannot be written as text."
    assert refusal_of("<$.a>", {"a": value}) == message


def test_a_value_nested_too_deeply_is_named() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert "cannot be written" in refusal_of("<$.a>", {"a": deep})


def test_rendering_stops_at_the_size_of_a_request() -> None:
    half = "x" * (RENDERED_LIMIT // 2)
    assert rendered("<$.a><$.a>", {"a": half}) == half * 2
    assert "30 KiB or more" in refusal_of("<$.a><$.a>.", {"a": half})
    assert "30 KiB or more" in refusal_of("<$>" * 9000, {"a": "x" * 250_000})


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("<$", 0),
        ("ab<$.", 2),
        ("<$.a", 0),
        ("<$.a >", 0),
        ("<$a>", 0),
        ("<$.a..b>", 0),
        ("<$.a[-1]>", 0),
        ("<$.a[01]>", 0),
        ("<$.a[*]>", 0),
        ("<$['a]>", 0),
        ("<$['']>", 0),
        ("<$.a><$.b", 5),
        ("<$.é>", 0),
    ],
)
def test_a_wrong_placeholder_is_refused_with_its_position(text: str, position: int) -> None:
    message = refusal_of(text)
    assert message.startswith("Trigger request.parameters.key: ")
    assert f"at position {position} is not a placeholder" in message


def test_a_members_name_holds_no_placeholder() -> None:
    with pytest.raises(ClientError, match=r"Trigger request\.tags: a member's name"):
        parse_template({"tags": {"<$.a>": "b"}})


def test_a_request_nested_too_deeply_is_refused() -> None:
    deep: Any = "a"
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(ClientError, match="nested too deeply"):
        parse_template({"parameters": deep})


def test_the_structure_and_values_that_are_no_strings_stay() -> None:
    request = {"timeout": {"attemptDurationSeconds": 60}, "list": [1, None, True, "<$.a>"]}
    assert render(parse_template(request), {"a": "v"}) == {
        "timeout": {"attemptDurationSeconds": 60},
        "list": [1, None, True, "v"],
    }


def commanded(element: str, value: str) -> list[str]:
    container = {"name": "c", "command": ["run", element, "Ref::fixed"]}
    request = {"ecsPropertiesOverride": {"taskProperties": [{"containers": [container]}]}}
    made = render(parse_template(request), {"a": value})
    task = made["ecsPropertiesOverride"]["taskProperties"][0]
    command: list[str] = task["containers"][0]["command"]
    return command


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("<$.a>", "Ref::b"),
        ("R<$.a>", "ef::b"),
        ("-<$.a>", "Ref::b"),
        ("--in=<$.a>,Ref::fixed", "Ref::b"),
        ("<$.a>b", "Ref::"),
        ("<$.a><$.a>", "Ref::"),
        ("<$.a>", "xRef::\n"),
    ],
)
def test_a_value_does_not_refer_to_a_parameter(element: str, value: str) -> None:
    with pytest.raises(ClientError, match=r"containers\[0\]\.command\[1\]: .* reference"):
        commanded(element, value)


@pytest.mark.parametrize(
    ("element", "value"),
    [("<$.a>", "Ref::"), ("-<$.a>", "Ref:b"), ("<$.a>=Ref::b", "Ref"), ("<$.a>Ref::b", "")],
)
def test_a_value_that_batch_leaves_alone_goes_into_a_command(element: str, value: str) -> None:
    assert commanded(element, value) == ["run", element.replace("<$.a>", value), "Ref::fixed"]


@pytest.mark.parametrize(
    "element",
    ["Ref::<$.a>", "Ref::a<$.a>", "--in=Ref::<$.a>", "x,Ref::a/<$.a>", "<$.a>-Ref::<$.a>"],
)
def test_the_name_of_a_parameter_cannot_come_from_an_event(element: str) -> None:
    with pytest.raises(ClientError, match=r"command\[1\]: the name of a parameter"):
        commanded(element, "b")
