"""Names of what a compute environment makes in the account, each made from its ECS cluster's.

The roles of the stack may touch only these names (`infra/stack/roles.yaml`): an Auto Scaling group
or a launch template begins with `<stack>_`, a capacity provider with `batchyard-<stack>_`.
"""

import hashlib

# The tag of a launch template that says whose it is: its ARN has an id in place of its name.
STACK_TAG = "batchyard:stack"
# A capacity provider's name may not begin with aws, ecs or fargate, which a stack's name may.
_PROVIDER_PREFIX = "batchyard-"
_DOT = "."
_LONGEST = 255  # of Auto Scaling groups and capacity providers
_LONGEST_TEMPLATE = 128  # EC2, CreateLaunchTemplate
_DIGEST_CHARACTERS = 12


def group_name(cluster: str, number: int = 0) -> str:
    """Return the name of an Auto Scaling group of a cluster: its first, or a further one's."""
    suffix = _suffix(number)
    return _shortened(cluster, _LONGEST - len(suffix)) + suffix


def cluster_of_group(name: str) -> str:
    """Return the cluster whose group has that name, unless the name had to be shortened."""
    return name.partition(_DOT)[0]


def provider_of_group(name: str, cluster: str) -> str:
    """Return the name of the capacity provider of the cluster's group of that name."""
    number = name.partition(_DOT)[2]
    return provider_name(cluster, int(number) if number.isdecimal() else 0)


def template_name(cluster: str, number: int = 0) -> str:
    """Return the name of a launch template of a cluster: its first, or a further one's."""
    suffix = _suffix(number)
    return _shortened(cluster, _LONGEST_TEMPLATE - len(suffix)) + suffix


def provider_name(cluster: str, number: int = 0) -> str:
    """Return the name of a capacity provider of a cluster: its first, or a further one's.

    ECS takes no dot in it, so a digest keeps `a` with the number 1 and `a-1` apart.
    """
    suffix = ""
    if number:
        digest = hashlib.sha256(f"{cluster}{_DOT}{number}".encode()).hexdigest()
        suffix = f"-{number}-{digest[:_DIGEST_CHARACTERS]}"
    return _shortened(f"{_PROVIDER_PREFIX}{cluster}", _LONGEST - len(suffix)) + suffix


def _suffix(number: int) -> str:
    """Return what makes a further name differ from a first one: no cluster's name has a dot."""
    return f"{_DOT}{number}" if number else ""


def _shortened(name: str, limit: int) -> str:
    """Return a name within the limit; one that is cut ends with a digest, so it stays unique."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{name[: limit - _DIGEST_CHARACTERS - 1]}-{digest}"
