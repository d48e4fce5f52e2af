"""Environments of every kind and strategy, and changes of them, whose requests are checked in.

The requests are in `tests/unit/engine/provision/expected/<name>.json`, each as [operation, request]
with its user data as text. `python -m tests.support.group_cases` writes them anew: read the
difference before you commit it.
"""

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.group_account import (
    GroupAccount,
    drain,
    make,
    put_environment,
    remove,
    until_done,
    update,
)

FOLDER = Path(__file__).parents[1] / "unit" / "engine" / "provision" / "expected"
SMALL = ["m5.large", "m5a.large"]
Json = dict[str, Any]

CREATED: Mapping[str, Json] = {
    "ec2-best-fit": {},
    "ec2-best-fit-progressive": {"allocationStrategy": "BEST_FIT_PROGRESSIVE"},
    "ec2-best-fit-progressive-ordered": {
        "allocationStrategy": "BEST_FIT_PROGRESSIVE_ORDERED",
        "instanceTypes": ["m5a.large", "m5.large"],
    },
    "spot-best-fit": {"kind": "SPOT", "spotIamFleetRole": "arn:aws:iam::1:role/fleet"},
    "spot-best-fit-progressive": {"kind": "SPOT", "allocationStrategy": "BEST_FIT_PROGRESSIVE"},
    "spot-capacity-optimized": {"kind": "SPOT", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"},
    "spot-capacity-optimized-prioritized": {
        "kind": "SPOT",
        "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED",
        "instanceTypes": ["m5a.large", "m5.large"],
    },
    "spot-price-capacity-optimized": {
        "kind": "SPOT",
        "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED",
    },
    "spot-bid-percentage": {
        "kind": "SPOT",
        "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED",
        "bidPercentage": 60,
    },
    "ec2-all-members": {
        "allocationStrategy": "BEST_FIT_PROGRESSIVE",
        "minvCpus": 4,
        "desiredvCpus": 8,
        "ec2KeyPair": "mine",
        "placementGroup": "near",
        "tags": {"Name": "batch"},
        "launchTemplate": {
            "launchTemplateName": "theirs",
            "version": "$Latest",
            "overrides": [{"launchTemplateName": "other", "targetInstanceTypes": ["m5a.large"]}],
        },
    },
    "ec2-gpus": {"instanceTypes": ["c5.large", "g5.xlarge"]},
    "ec2-arm": {"instanceTypes": ["m6g.large"]},
    "ec2-optimal": {"instanceTypes": ["optimal"]},
}


def infrastructure(account: GroupAccount) -> None:
    """Replace a running instance, because it is to have a key pair."""
    update(account, desiredvCpus=4)
    make(account)
    update(account, ec2KeyPair="mine")
    _make_waiting(account)
    account.groups.replace("yard_ec2")
    make(account)


def terminating(account: GroupAccount) -> None:
    """Replace a running instance without regard to its jobs."""
    update(account, desiredvCpus=2)
    make(account)
    update(account, ec2KeyPair="mine", updatePolicy={"terminateJobsOnUpdate": True})
    until_done(account, make)


def disabled(account: GroupAccount) -> None:
    """Disable an environment with two instances."""
    update(account, minvCpus=2, desiredvCpus=4)
    make(account)
    update(account, state="DISABLED")
    make(account)


def deleted(account: GroupAccount) -> None:
    """Delete an environment with an instance."""
    update(account, desiredvCpus=2)
    make(account)
    until_done(account, drain)
    until_done(account, remove)


def _limits(account: GroupAccount) -> None:
    update(account, minvCpus=4, maxvCpus=512)
    make(account)


def _types(account: GroupAccount) -> None:
    update(account, instanceTypes=["m5.large", "m5.xlarge"])
    make(account)


def _subnets(account: GroupAccount) -> None:
    update(account, subnets=["subnet-2"], placementGroup="near")
    make(account)


def _strategy(account: GroupAccount) -> None:
    update(account, allocationStrategy="BEST_FIT_PROGRESSIVE_ORDERED")
    make(account)


def _make_waiting(account: GroupAccount) -> None:
    from chalicelib.ports import PassingError

    try:
        make(account)
    except PassingError:
        return
    raise AssertionError("nothing was waited for")


CHANGED: Mapping[str, Callable[[GroupAccount], None]] = {
    "update-limits": _limits,
    "update-types": _types,
    "update-subnets": _subnets,
    "update-strategy": _strategy,
    "update-infrastructure": infrastructure,
    "update-terminating-jobs": terminating,
    "update-disabled": disabled,
    "delete": deleted,
}


def account_with(**environment: Any) -> GroupAccount:
    """Return an account with two launch templates of a user's and the row of an environment."""
    account = GroupAccount()
    for name, data in (
        ("theirs", {"EbsOptimized": True, "UserData": _encoded("#!/bin/bash\necho theirs\n")}),
        (
            "other",
            {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 99}}]},
        ),
    ):
        account.ec2_fake.do_create_launch_template(
            {"LaunchTemplateName": name, "LaunchTemplateData": data}
        )
    put_environment(account, **{"instanceTypes": SMALL, **environment})
    return account


def requests_of(name: str) -> list[Any]:
    """Return the requests of a case."""
    if name in CREATED:
        account = account_with(**CREATED[name])
        make(account)
    else:
        account = account_with()
        make(account)
        account.requests.clear()
        CHANGED[name](account)
    return [[operation, _readable(request)] for operation, request in account.requests]


def expected(name: str) -> list[Any]:
    found: list[Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _readable(request: Json) -> Json:
    data = request.get("LaunchTemplateData")
    if data is None:
        return request
    text = base64.b64decode(data["UserData"]).decode().splitlines()
    return {**request, "LaunchTemplateData": {**data, "UserData": text}}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for case in (*CREATED, *CHANGED):
        text = json.dumps(requests_of(case), indent=2, default=str)
        (FOLDER / f"{case}.json").write_text(f"{text}\n")
