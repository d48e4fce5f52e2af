"""IAM's patterns and ARNs."""

import pytest

from chalicelib.core.iam import PrincipalKind, account_of_role, matches, principal_from_arn

ROLE = "arn:aws:iam::123456789012:role"


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*batchyard-job*", "my-batchyard-job", True),
        ("*batchyard-job*", "team/a/batchyard-jobs", True),
        ("*batchyard-job*", "Batchyard-job", False),
        ("team/?", "team/a", True),
        ("team/?", "team/ab", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("", "", True),
        ("", "a", False),
        ("*", "with\nline", True),
    ],
)
def test_a_pattern_matches_as_in_iam(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


@pytest.mark.parametrize(
    "arn",
    [
        f"{ROLE}/name",
        f"{ROLE}/a/path/name",
        f"{ROLE}/a+b=c,d.e@f-g",
        ROLE.replace("aws", "aws-cn") + "/n",
    ],
)
def test_a_role_is_in_an_account(arn: str) -> None:
    assert account_of_role(arn) == "123456789012"


@pytest.mark.parametrize(
    "arn",
    [
        "name",
        "",
        f"{ROLE}/",
        f"{ROLE}/a b",
        f"{ROLE}/name\n",
        f"{ROLE}/{'x' * 65}",
        ROLE.replace("role", "user") + "/name",
        "arn:aws:iam::1234:role/name",
        "arn:aws:sts::123456789012:assumed-role/name/session",
        f"{ROLE}/Ref::role",
    ],
)
def test_what_is_no_role_has_no_account(arn: str) -> None:
    assert account_of_role(arn) is None


@pytest.mark.parametrize(
    ("arn", "kind", "name"),
    [
        ("arn:aws:iam::123456789012:root", PrincipalKind.ROOT, "root"),
        ("arn:aws:iam::123456789012:user/a/b", PrincipalKind.USER, "user/a/b"),
        ("arn:aws:sts::123456789012:assumed-role/dev/me@x", PrincipalKind.ROLE, "dev"),
        ("arn:aws-us-gov:sts::123456789012:assumed-role/dev/i-1", PrincipalKind.ROLE, "dev"),
    ],
)
def test_a_caller_is_root_a_user_or_a_role(arn: str, kind: PrincipalKind, name: str) -> None:
    principal = principal_from_arn(arn)
    assert principal is not None
    assert (principal.kind, principal.account, principal.name) == (kind, "123456789012", name)


def test_the_sessions_of_a_role_are_one_principal_and_two_roles_are_two() -> None:
    role = "arn:aws:sts::123456789012:assumed-role"
    sources = [
        found.source
        for arn in (f"{role}/dev/a", f"{role}/dev/b", f"{role}/ops/a")
        if (found := principal_from_arn(arn))
    ]
    assert sources[0] == sources[1] != sources[2]


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "an access key",
        "arn:aws:sts::123456789012:federated-user/x",
        "arn:aws:iam::1:root",
    ],
)
def test_anybody_else_is_nobody_that_iam_has_policies_of(arn: str) -> None:
    assert principal_from_arn(arn) is None
