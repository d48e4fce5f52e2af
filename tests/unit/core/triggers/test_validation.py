"""Checks of trigger documents beyond the schema, and the syntax of schedule expressions."""

from typing import Any

import pytest

from chalicelib.core.errors import ClientError
from chalicelib.core.triggers.expressions import check_expression
from chalicelib.core.triggers.provision import pattern_of, rule_name
from chalicelib.core.triggers.trigger import Events, Uploads
from chalicelib.core.triggers.validation import check_meaning, check_name

REQUEST = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "work"}
EVENTS = {"events": {"pattern": {"source": ["shop"]}}}


def document(source: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"source": source, "request": REQUEST} | members


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minute)",
        "rate(5 minutes)",
        "rate(1 day)",
        "rate(36 hours)",
        "at(2027-02-28T23:59:59)",
        "at(2028-02-29T00:00:00)",
        "cron(0 8 ? * MON-FRI *)",
        "cron(15 10 ? * 6L 2022-2023)",
        "cron(0/15 * * * ? *)",
        "cron(0 0 L * ? *)",
        "cron(0 0 L-3 * ? *)",
        "cron(0 0 15W jan,JUL ? 2027/2)",
        "cron(*/10 8-17 ? * TUE#2 *)",
        "cron(0,30 0 1,15 1-6 ? *)",
    ],
)
def test_an_expression_of_scheduler_is_accepted(expression: str) -> None:
    check_expression(expression)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "must be rate"),
        ("every day", "must be rate"),
        ("rate(5)", "must be rate"),
        ("rate(5 weeks)", "must be rate"),
        ("rate(-5 minutes)", "must be rate"),
        ("rate(5 minutes) ", "must be rate"),
        ("rate(0 minutes)", "at least 1"),
        ("rate(1 minutes)", "the unit minute with"),
        ("rate(2 hour)", "the unit hours with"),
        ("rate(\N{ARABIC-INDIC DIGIT FIVE} minutes)", "must be rate"),
        ("at(2027-02-29T00:00:00)", "the calendar"),
        ("at(2027-13-01T00:00:00)", "the calendar"),
        ("at(2027-01-01T24:61:00)", "the calendar"),
        ("at(2027-01-01)", "must be rate"),
        ("at(2027-01-01T00:00:00Z)", "must be rate"),
        ("cron(0 8 * * ?)", "six fields"),
        ("cron(60 8 * * ? *)", "minutes field"),
        ("cron(0 24 * * ? *)", "hours field"),
        ("cron(0 8 32 * ? *)", "day-of-month field"),
        ("cron(0 8 * 13 ? *)", "month field"),
        ("cron(0 8 ? * 8 *)", "day-of-week field"),
        ("cron(0 8 ? * MON#6 *)", "day-of-week field"),
        ("cron(0 8 * * ? 1969)", "year field"),
        ("cron(0/0 8 * * ? *)", "minutes field"),
        ("cron(, 8 * * ? *)", "minutes field"),
        ("cron(1- 8 * * ? *)", "minutes field"),
        ("cron(? 8 * * ? *)", "minutes field"),
        ("cron(0 8 * * * *)", "exactly one of"),
        ("cron(0 8 ? * ? *)", "exactly one of"),
    ],
)
def test_a_wrong_expression_is_refused_with_a_reason(expression: str, why: str) -> None:
    with pytest.raises(ClientError, match=why) as refusal:
        check_expression(expression)
    assert refusal.value.message.startswith("Trigger.source.schedule.expression must ") or (
        refusal.value.message.startswith("Trigger.source.schedule.expression has ")
    )


@pytest.mark.parametrize("name", ["a", "Nightly-2_x", "0", "a" * 64])
def test_a_valid_name_of_a_trigger(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "-a", "_a", "a" * 65, "a.b", "a/b", "a b", "a\n", "ä"])
def test_an_invalid_name_of_a_trigger(name: str) -> None:
    with pytest.raises(ClientError, match="The name of a trigger must be"):
        check_name(name)


@pytest.mark.parametrize("bucket", ["abc", "my.bucket-1", "0" * 63])
def test_a_valid_name_of_a_bucket(bucket: str) -> None:
    check_meaning(document({"uploads": {"bucket": bucket}}))


@pytest.mark.parametrize(
    "bucket",
    ["", "ab", "A-b", "a_b", "-ab", "ab-", "a..b", "192.168.5.4", "xn--abc", "0" * 64, "abc\n"],
)
def test_an_invalid_name_of_a_bucket(bucket: str) -> None:
    with pytest.raises(ClientError, match=r"Trigger\.source\.uploads\.bucket must be"):
        check_meaning(document({"uploads": {"bucket": bucket}}))


@pytest.mark.parametrize("member", ["prefix", "suffix"])
def test_a_key_with_control_characters_is_refused(member: str) -> None:
    with pytest.raises(ClientError, match=f"uploads.{member} must not contain"):
        check_meaning(document({"uploads": {"bucket": "abc", member: "in/\x00"}}))


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ({}, "pattern must have at least one member"),
        ({"detail": {}}, r"pattern\.detail must have at least one member"),
        ({"source": "shop"}, r"pattern\.source must be an object, or a list"),
        ({"source": []}, r"pattern\.source must be an object, or a list"),
        ({"detail": {"a": {"b": None}}}, r"pattern\.detail\.a\.b must be"),
        ({"source": ["x" * 5000]}, "at most 4096 characters"),
    ],
)
def test_an_invalid_pattern_is_refused(pattern: Any, why: str) -> None:
    with pytest.raises(ClientError, match=why):
        check_meaning(document({"events": {"pattern": pattern}}))


def test_a_pattern_with_filters_passes() -> None:
    pattern = {"detail": {"$or": [{"a": [{"exists": False}]}, {"b": [{"numeric": [">", 5]}]}]}}
    check_meaning(document({"events": {"pattern": pattern}}))


def test_gathering_has_its_limits() -> None:
    gather = {"maxEvents": 5, "maxSeconds": 5}
    check_meaning(document(EVENTS, gather=gather, overlap="ALLOW"))
    with pytest.raises(ClientError, match="not applicable for a schedule"):
        check_meaning(document({"schedule": {"expression": "rate(1 day)"}}, gather=gather))
    with pytest.raises(ClientError, match="requires the overlap ALLOW"):
        check_meaning(document(EVENTS, gather=gather, overlap="SKIP"))
    request = REQUEST | {"arrayProperties": {"size": 2}}
    with pytest.raises(ClientError, match="arrayProperties is not applicable"):
        check_meaning(document(EVENTS, gather=gather, request=request))


def test_a_replacing_trigger_may_have_fewer_dependencies_of_its_own() -> None:
    def wanted(number: int) -> dict[str, Any]:
        request = REQUEST | {"dependsOn": [{"jobId": "job"}] * number}
        return document(EVENTS, request=request, overlap="REPLACE")

    check_meaning(wanted(18))
    with pytest.raises(ClientError, match="at most 18 items"):
        check_meaning(wanted(19))


def test_a_rule_is_named_by_stack_and_trigger() -> None:
    assert rule_name("yard", "nightly") == "yard-trigger-nightly"


def test_a_long_name_is_cut_and_stays_the_trigger_s_own() -> None:
    names = ["a" * 63 + last for last in "bc"] + ["a" * 51]
    rules = {rule_name("yard", name) for name in names}
    assert len(rules) == 3
    assert {len(rule) for rule in rules} == {64}
    assert all(rule.startswith("yard-trigger-aaa") for rule in rules)


@pytest.mark.parametrize(
    ("prefix", "suffix", "key"),
    [
        ("in/", "", [{"prefix": "in/"}]),
        ("", ".csv", [{"suffix": ".csv"}]),
        ("in/", ".csv", [{"wildcard": "in/*.csv"}]),
        ("a*b\\", "*", [{"wildcard": "a\\*b\\\\*\\*"}]),
    ],
)
def test_uploads_match_by_what_their_key_begins_and_ends_with(
    prefix: str, suffix: str, key: list[dict[str, str]]
) -> None:
    pattern = pattern_of(Uploads(bucket="inbox", prefix=prefix, suffix=suffix))
    assert pattern["detail"] == {"bucket": {"name": ["inbox"]}, "object": {"key": key}}
    assert (pattern["source"], pattern["detail-type"]) == (["aws.s3"], ["Object Created"])


def test_uploads_of_any_key_match_by_the_bucket_alone() -> None:
    pattern = pattern_of(Uploads(bucket="inbox", kinds=("Object Deleted", "Object Created")))
    assert pattern["detail"] == {"bucket": {"name": ["inbox"]}}
    assert pattern["detail-type"] == ["Object Deleted", "Object Created"]


def test_the_pattern_of_events_is_the_user_s_own() -> None:
    assert pattern_of(Events(pattern={"source": ["shop"]})) == {"source": ["shop"]}
