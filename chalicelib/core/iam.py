"""IAM's texts: patterns as IAM matches them, the ARNs of roles, and who a caller is."""

import re
from dataclasses import dataclass
from enum import StrEnum

_WILDCARDS = {"*": ".*", "?": "."}
# Limits of CreateRole: a path of 512 characters, a name of 64.
_ROLE = re.compile(
    r"arn:[a-z0-9-]+:iam::(?P<account>[0-9]{12}):role/(?:[!-~]{0,510}/)?(?P<name>[\w+=,.@-]{1,64})",
    re.ASCII,
)
_CALLER = re.compile(
    r"arn:[a-z0-9-]+:(?:iam|sts)::(?P<account>[0-9]{12}):"
    r"(?:(?P<root>root)|(?P<user>user/.+)|assumed-role/(?P<role>[\w+=,.@-]{1,64})/.+)",
    re.ASCII,
)


class PrincipalKind(StrEnum):
    """Who may call. A federated user is none of these: no policy of IAM is its own."""

    ROOT = "ROOT"
    USER = "USER"
    ROLE = "ROLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The user or the role that a caller is; `name` of a role is without its path."""

    kind: PrincipalKind
    account: str
    arn: str
    name: str

    @property
    def source(self) -> str:
        """The same text for every session of a role, another for every other principal."""
        return f"{self.account}:{self.kind}:{self.name}"


def matches(pattern: str, text: str) -> bool:
    """Return whether the text fits a pattern of IAM: `*` is any text, `?` one character."""
    expression = "".join(_WILDCARDS.get(one) or re.escape(one) for one in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def account_of_role(arn: str) -> str | None:
    """Return the account of a role's ARN; None for any other text."""
    found = _ROLE.fullmatch(arn)
    return None if found is None else found["account"]


def principal_from_arn(arn: str) -> Principal | None:
    """Return who calls under this `userArn` of API Gateway; None for neither role, user nor root.

    Of a role's session, `assumed-role/NAME/SESSION`, only the role counts: its
    policies are the caller's, less what a session policy takes away, which nobody can look up.
    """
    found = _CALLER.fullmatch(arn)
    if found is None:
        return None
    if found["root"]:
        kind, name = PrincipalKind.ROOT, "root"
    elif found["user"]:
        kind, name = PrincipalKind.USER, found["user"]
    else:
        kind, name = PrincipalKind.ROLE, found["role"]
    return Principal(kind=kind, account=found["account"], arn=arn, name=name)
