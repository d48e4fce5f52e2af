"""Who may use which role: the stack's pattern, and iam:PassRole of the caller."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.jobs.pass_role import ALLOWED_FOR_MS, DENIED_FOR_MS, KNOWN_LIMIT
from tests.support.multinode import a_container, make_multinode_stage, node_properties
from tests.support.scenes import make_definition, make_environment, make_queue, submit
from tests.support.stack import ACCOUNT
from tests.support.triggers import document
from tests.support.triggers import put as put_trigger
from tests.support.world import ApiError, World
from tests.support.world import world as a_world

IAM = f"arn:aws:iam::{ACCOUNT}"
STS = f"arn:aws:sts::{ACCOUNT}"
JOB_ROLE = f"{IAM}:role/batchyard-job"
OWN = f"{IAM}:role/yard-execution"
ASKS = ("iam.GetRole", "iam.SimulatePrincipalPolicy")
REQUEST = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "work"}


@pytest.fixture(name="world")
def make_world() -> Iterator[World]:
    """Return a stack that passes *batchyard-job* and checks its callers, as by default."""
    with a_world(
        in_memory=True,
        job_role_pattern="*batchyard-job*",
        check_pass_role=True,
        pass_role_accounts=frozenset({"222222222222"}),
        trigger_buckets=(),
    ) as made:
        yield made


def container(**members: Any) -> dict[str, Any]:
    return {
        "image": "busybox",
        "resourceRequirements": [
            {"type": "VCPU", "value": "1"},
            {"type": "MEMORY", "value": "2048"},
        ],
        "executionRoleArn": OWN,
        **members,
    }


def register(world: World, caller: str, **members: Any) -> Any:
    request = {
        "jobDefinitionName": "work",
        "type": "container",
        "platformCapabilities": ["FARGATE"],
        "containerProperties": container(**members),
    }
    return world.api("RegisterJobDefinition", request, caller=caller)


def refusal(world: World, caller: str, **members: Any) -> ApiError:
    with pytest.raises(ApiError) as refused:
        register(world, caller, **members)
    return refused.value


def asks(world: World) -> list[str]:
    return [call for call in world.calls if call in ASKS]


def test_a_job_without_a_role_of_its_own_costs_no_question(world: World) -> None:
    make_environment(world)
    make_queue(world)
    register(world, f"{IAM}:user/nobody")
    job_id = world.api("SubmitJob", REQUEST, caller=f"{IAM}:user/nobody")["jobId"]
    assert asks(world) == []
    assert world.detail(job_id)["container"]["executionRoleArn"] == OWN
    world.run_until_idle()


def test_the_stack_s_execution_role_is_no_job_role_for_everybody(world: World) -> None:
    assert refusal(world, f"{IAM}:user/nobody", jobRoleArn=OWN).status == 403


def test_a_user_that_may_pass_the_role_registers_and_submits(world: World) -> None:
    make_environment(world)
    make_queue(world)
    user = world.iam.add_user("dev", path="/people/", passes=(JOB_ROLE,))
    register(world, user, jobRoleArn=JOB_ROLE)
    world.api("SubmitJob", REQUEST, caller=user)
    world.run_until_idle()


def test_a_caller_that_may_not_is_answered_in_iam_s_words(world: World) -> None:
    user = world.iam.add_user("dev")
    refused = refusal(world, user, jobRoleArn=JOB_ROLE)
    assert (refused.status, refused.code) == (403, "AccessDeniedException")
    assert refused.message == (
        f"User: {user} is not authorized to perform: iam:PassRole on resource: {JOB_ROLE}"
    )
    assert world.api("DescribeJobDefinitions")["jobDefinitions"] == []


def test_a_session_of_a_role_has_the_policies_of_its_role_whatever_its_path(world: World) -> None:
    world.iam.add_role("deployer", path="/a/path/", passes=(JOB_ROLE,))
    session = f"{STS}:assumed-role/deployer/somebody"
    register(world, session, jobRoleArn=JOB_ROLE)
    assert asks(world) == ["iam.GetRole", "iam.SimulatePrincipalPolicy"]
    other = f"{STS}:assumed-role/gone/somebody"
    assert refusal(world, other, jobRoleArn=JOB_ROLE).status == 403


def test_root_of_the_account_may_pass_every_role_that_the_stack_may(world: World) -> None:
    register(world, f"{IAM}:root", jobRoleArn=JOB_ROLE)
    assert asks(world) == []
    assert refusal(world, f"{IAM}:root", jobRoleArn=f"{IAM}:role/admin").status == 400


@pytest.mark.parametrize("who", ["root", "user/dev"])
def test_callers_of_other_accounts_need_to_be_listed(world: World, who: str) -> None:
    refused = refusal(world, f"arn:aws:iam::333333333333:{who}", jobRoleArn=JOB_ROLE)
    assert (refused.status, refused.code) == (403, "AccessDeniedException")
    assert "account 333333333333 is not in the stack parameter PassRoleAccounts" in refused.message
    register(world, f"arn:aws:iam::222222222222:{who}", jobRoleArn=JOB_ROLE)
    assert asks(world) == []


@pytest.mark.parametrize("caller", ["", "AKIA", f"{STS}:federated-user/x"])
def test_a_caller_that_iam_has_no_policies_of_may_pass_nothing(world: World, caller: str) -> None:
    assert refusal(world, caller, jobRoleArn=JOB_ROLE).status == 403
    register(world, caller)


def test_who_may_not_pass_the_role_of_a_definition_may_not_submit_it(world: World) -> None:
    """A path in IAM cannot name job definitions, so this is what keeps their roles from others."""
    make_environment(world)
    make_queue(world)
    register(world, f"{IAM}:root", jobRoleArn=JOB_ROLE)
    user = world.iam.add_user("dev")
    with pytest.raises(ApiError, match=r"403 AccessDeniedException: User: .*iam:PassRole"):
        world.api("SubmitJob", REQUEST, caller=user)
    assert world.api("ListJobs", {"jobQueue": "queue", "jobStatus": "RUNNABLE"}) == {
        "jobSummaryList": []
    }


def test_without_the_check_only_the_pattern_counts() -> None:
    with a_world(
        in_memory=True, job_role_pattern="*batchyard-job*", check_pass_role=False
    ) as world:
        register(world, f"{IAM}:user/nobody", jobRoleArn=JOB_ROLE)
        assert refusal(world, f"{IAM}:user/nobody", jobRoleArn=f"{IAM}:role/admin").status == 400


def test_a_role_outside_the_pattern_is_refused_with_the_pattern(world: World) -> None:
    refused = refusal(world, f"{IAM}:root", executionRoleArn=f"{IAM}:role/admin")
    assert (refused.status, refused.code) == (400, "ClientException")
    assert f"{IAM}:role/*batchyard-job* (stack parameter JobRolePattern)" in refused.message


def test_a_definition_from_before_the_pattern_was_narrowed_is_not_submitted() -> None:
    with a_world(in_memory=True) as world:
        make_environment(world)
        make_queue(world)
        make_definition(world)
        world.settings = replace(world.settings, job_role_pattern="*batchyard-job*")
        world.restart()
        with pytest.raises(ApiError, match=r"400 ClientException: .*JobRolePattern"):
            submit(world)


def test_the_roles_of_tasks_and_nodes_are_checked_too(world: World) -> None:
    admin = f"{IAM}:role/admin"
    one = {name: value for name, value in container().items() if name != "executionRoleArn"}
    task = {"executionRoleArn": OWN, "taskRoleArn": admin, "containers": [one]}
    nodes = node_properties(ranges={"0:": a_container() | {"executionRoleArn": admin}})
    for members in (
        {"type": "container", "ecsProperties": {"taskProperties": [task]}},
        {"type": "multinode", "nodeProperties": nodes},
    ):
        platform = ["FARGATE"] if "ecsProperties" in members else []
        request = {"jobDefinitionName": "work", "platformCapabilities": platform, **members}
        with pytest.raises(ApiError, match="JobRolePattern"):
            world.api("RegisterJobDefinition", request, caller=f"{IAM}:root")


def test_a_multi_node_job_is_submitted_under_its_roles() -> None:
    with a_world(in_memory=True, check_pass_role=True) as world:
        user = world.iam.add_user("tester", passes=("*",))
        make_multinode_stage(world)
        submit(world, jobDefinition="multinode")
        assert f"{user}" in world.iam.passes
        assert asks(world).count("iam.SimulatePrincipalPolicy") == 1
        world.run_until_idle()


def test_an_answer_is_asked_for_once_and_again_when_its_time_is_over(world: World) -> None:
    world.iam.add_role("deployer", passes=(JOB_ROLE,))
    for session in ("a", "b", "c"):
        register(world, f"{STS}:assumed-role/deployer/{session}", jobRoleArn=JOB_ROLE)
    assert len(asks(world)) == 2
    world.now_ms += ALLOWED_FOR_MS
    register(world, f"{STS}:assumed-role/deployer/a", jobRoleArn=JOB_ROLE)
    assert len(asks(world)) == 4


def test_a_denial_is_soon_forgotten(world: World) -> None:
    user = world.iam.add_user("dev")
    for _ in range(3):
        assert refusal(world, user, jobRoleArn=JOB_ROLE).status == 403
    assert len(asks(world)) == 1
    world.iam.passes[user] = ["*"]
    world.now_ms += DENIED_FOR_MS
    register(world, user, jobRoleArn=JOB_ROLE)


def test_a_process_keeps_a_bounded_number_of_answers(world: World) -> None:
    known = world.ports.known_permissions
    known.update({(str(n), "role"): (True, world.now_ms + 1) for n in range(KNOWN_LIMIT)})
    user = world.iam.add_user("dev", passes=("*",))
    register(world, user, jobRoleArn=JOB_ROLE)
    assert len(known) == 1


def test_an_iam_that_throttles_asks_the_caller_to_try_again(world: World) -> None:
    user = world.iam.add_user("dev", passes=("*",))
    world.iam.throttled = True
    refused = refusal(world, user, jobRoleArn=JOB_ROLE)
    assert (refused.status, refused.code) == (429, "TooManyRequestsException")
    world.iam.throttled = False
    register(world, user, jobRoleArn=JOB_ROLE)


def test_a_stack_that_may_not_ask_says_so(world: World) -> None:
    user = world.iam.add_user("dev", passes=("*",))
    world.iam.refusal = "AccessDenied"
    refused = refusal(world, user, jobRoleArn=JOB_ROLE)
    assert (refused.status, refused.code) == (400, "ClientException")
    assert "can not be checked" in refused.message


def test_an_accepted_submission_stays_accepted_when_its_caller_loses_the_role(
    world: World,
) -> None:
    make_environment(world)
    make_queue(world)
    user = world.iam.add_user("dev", passes=("*",))
    register(world, user, jobRoleArn=JOB_ROLE)
    first = world.api("SubmitJob", REQUEST, caller=user, invocation_id="one")
    world.iam.passes[user] = []
    world.restart()
    assert world.api("SubmitJob", REQUEST, caller=user, invocation_id="one") == first
    world.run_until_idle()


def test_the_maker_of_a_trigger_must_be_allowed_to_pass_the_role_of_its_jobs(
    world: World,
) -> None:
    make_environment(world)
    make_queue(world)
    register(world, f"{IAM}:root", jobRoleArn=JOB_ROLE)
    user = world.iam.add_user("tester")
    with pytest.raises(ApiError, match=r"403 AccessDeniedException: .*iam:PassRole"):
        put_trigger(world, "nightly", document())
    world.iam.passes[user] = [JOB_ROLE]
    world.restart()
    put_trigger(world, "nightly", document())
    world.run_until_idle()


def test_events_that_submit_have_no_caller_and_only_the_pattern_counts(world: World) -> None:
    make_environment(world)
    make_queue(world)
    register(world, f"{IAM}:root", jobRoleArn=JOB_ROLE)
    assert world.submit(REQUEST)["jobName"] == "job"
    assert asks(world) == []
    world.run_until_idle()
