"""Tags of every kind of resource that has them."""

import itertools

import pytest

from tests.support.scenes import make_stage, running, submit
from tests.support.world import ApiError, World

PREFIX = "arn:aws:batch:us-east-1:123456789012"
RESOURCES = ["compute-environment/fargate", "job-queue/queue", "job-definition/work:1"]


def tags_of(world: World, arn: str) -> dict[str, str]:
    tags: dict[str, str] = world.api("ListTagsForResource", {"resourceArn": arn})["tags"]
    return tags


def tag(world: World, arn: str, **tags: str) -> None:
    assert world.api("TagResource", {"resourceArn": arn, "tags": tags}) == {}


def untag(world: World, arn: str, *keys: str) -> None:
    assert world.api("UntagResource", {"resourceArn": arn, "tagKeys": list(keys)}) == {}


def change(world: World, arn: str) -> None:
    """Add, replace and remove tags."""
    tag(world, arn, a="1", b="2")
    tag(world, arn, b="3", c="4")
    assert tags_of(world, arn) == {"a": "1", "b": "3", "c": "4"}
    untag(world, arn, "a", "b", "x")
    assert tags_of(world, arn) == {"c": "4"}


@pytest.mark.parametrize("resource", RESOURCES)
def test_tags_of_a_resource_come_and_go(world: World, resource: str) -> None:
    make_stage(world)
    change(world, f"{PREFIX}:{resource}")
    world.run_until_idle()


def test_tags_of_a_job_come_and_go_in_any_status(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    change(world, f"{PREFIX}:job/{job_id}")
    assert world.detail(job_id)["tags"]["c"] == "4"
    world.run_until_idle()


def test_a_change_of_tags_provisions_nothing(world: World) -> None:
    make_stage(world)
    before = len(world.machines.ended)
    for resource in RESOURCES:
        tag(world, f"{PREFIX}:{resource}", a="1")
    world.run_until_idle()
    assert len(world.machines.ended) == before


def test_tags_are_described_with_their_resource(world: World) -> None:
    make_stage(world)
    for resource in RESOURCES:
        tag(world, f"{PREFIX}:{resource}", a="1")
    described = [
        world.api("DescribeComputeEnvironments", {})["computeEnvironments"],
        world.api("DescribeJobQueues", {})["jobQueues"],
        world.api("DescribeJobDefinitions", {})["jobDefinitions"],
    ]
    assert [one["tags"] for (one,) in described] == [{"a": "1"}] * 3
    world.run_until_idle()


def test_no_resource_has_more_than_fifty_tags(world: World) -> None:
    make_stage(world)
    arn = f"{PREFIX}:job-queue/queue"
    tag(world, arn, **{f"key-{number}": "x" for number in range(50)})
    with pytest.raises(ApiError, match="50"):
        tag(world, arn, one_more="x")
    tag(world, arn, **{"key-1": "y"})
    assert len(tags_of(world, arn)) == 50
    world.run_until_idle()


@pytest.mark.parametrize("tags", [{"aws:a": "x"}, {"k" * 129: "x"}, {"k": "v" * 257}, {"": "x"}])
def test_a_wrong_tag_is_refused(world: World, tags: dict[str, str]) -> None:
    make_stage(world)
    with pytest.raises(ApiError) as caught:
        tag(world, f"{PREFIX}:job-queue/queue", **tags)
    assert caught.value.status == 400
    assert tags_of(world, f"{PREFIX}:job-queue/queue") == {}


@pytest.mark.parametrize(
    ("arn", "message"),
    [
        ("queue", "not valid"),
        ("arn:aws:s3:::bucket", "not valid"),
        (f"{PREFIX}:job-queue/nobody", "not found"),
        (f"{PREFIX}:job/nobody", "not found"),
        (f"{PREFIX}:job-definition/work:9", "not found"),
        (f"{PREFIX}:job-definition/work", "not valid"),
        (f"{PREFIX}:job-definition/work:x", "not valid"),
        (f"{PREFIX}:job/x:3", "not supported for children"),
        (f"{PREFIX}:job/x#3", "not supported for children"),
        (f"{PREFIX}:task-definition/work", "not of a taggable resource"),
        (f"{PREFIX.replace('us-east-1', 'eu-west-1')}:job-queue/queue", "not valid"),
        (f"{PREFIX}:job-queue/{'x' * 2000}", "not valid"),
    ],
)
def test_tags_of_what_is_not_there_are_refused(world: World, arn: str, message: str) -> None:
    make_stage(world)
    for operation, members in (
        ("ListTagsForResource", {}),
        ("TagResource", {"tags": {"a": "b"}}),
        ("UntagResource", {"tagKeys": ["a"]}),
    ):
        with pytest.raises(ApiError, match=message) as caught:
            world.api(operation, {"resourceArn": arn} | members)
        assert (caught.value.status, caught.value.code) == (400, "ClientException")


def test_two_changes_of_one_job_s_tags_keep_both(world: World) -> None:
    """A change that is made between another's read and write is not lost."""
    make_stage(world)
    job_id = submit(world)
    arn = f"{PREFIX}:job/{job_id}"
    world.run_until_idle()

    def meanwhile(call: str) -> None:
        if call in {"dynamodb.UpdateItem", "dynamodb.PutItem"}:
            world.on_call = None
            tag(world, arn, b="2")

    world.on_call = meanwhile
    tag(world, arn, a="1")
    assert tags_of(world, arn) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("resource", ["job-queue/queue", "job/{job_id}"])
def test_tags_that_others_keep_changing_are_answered_with_too_many_requests(
    world: World, resource: str
) -> None:
    make_stage(world)
    job_id = submit(world)
    arn = f"{PREFIX}:{resource.format(job_id=job_id)}"
    counter = itertools.count()

    def meanwhile(call: str) -> None:
        if call in {"dynamodb.UpdateItem", "dynamodb.PutItem"}:
            world.on_call = None
            tag(world, arn, b=str(next(counter)))
            world.on_call = meanwhile

    world.on_call = meanwhile
    with pytest.raises(ApiError) as caught:
        tag(world, arn, a="1")
    world.on_call = None
    assert (caught.value.status, caught.value.code) == (429, "TooManyRequestsException")
    assert tags_of(world, arn).keys() == {"b"}
    world.run_until_idle()
