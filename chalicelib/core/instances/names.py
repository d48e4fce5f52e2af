"""Names of what a compute environment makes in the account, each made from its ECS cluster's.

The roles of the stack may touch only these names (`infra/stack/roles.yaml`): an Auto Scaling group
or a launch template begins with `<stack>_`, a capacity provider with `batchyard-<stack>_`.
"""

import hashlib

# A capacity provider's name may not begin with aws, ecs or fargate, which a stack's name may.
_PROVIDER_PREFIX = "batchyard-"
_LONGEST = 255  # of Auto Scaling groups and capacity providers
_LONGEST_TEMPLATE = 128  # EC2, CreateLaunchTemplate
_DIGEST_CHARACTERS = 12


def group_name(cluster: str) -> str:
    """Return the name of the Auto Scaling group that scales the instances of a cluster."""
    return _shortened(cluster, _LONGEST)


def template_name(cluster: str, number: int = 0) -> str:
    """Return the name of a launch template of a cluster: its first, or a further one's."""
    suffix = f"-{number}" if number else ""
    return _shortened(cluster, _LONGEST_TEMPLATE - len(suffix)) + suffix


def provider_name(cluster: str) -> str:
    """Return the name of the capacity provider that is made for a cluster."""
    return _shortened(f"{_PROVIDER_PREFIX}{cluster}", _LONGEST)


def _shortened(name: str, limit: int) -> str:
    """Return a name within the limit; one that is cut ends with a digest, so it stays unique."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{name[: limit - _DIGEST_CHARACTERS - 1]}-{digest}"
