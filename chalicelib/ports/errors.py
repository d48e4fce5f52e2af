"""The errors of stores and clients that their callers handle, and the limits they share.

An adapter raises one of these where the caller has a decision to make. Every other error of
DynamoDB or AWS passes through unchanged: the delivery fails and is repeated.
"""

# Step Functions' limits on the answer to a task token.
ERROR_LIMIT, CAUSE_LIMIT = 256, 32_768  # characters of a failure
OUTPUT_LIMIT_BYTES = 262_144


class ContentionError(Exception):
    """Other writers changed the same items during every try; the caller may try again later."""


class OverlapLockLostError(Exception):
    """Another firing has taken the overlap lock since it was read; read it and decide again."""


class RefusedError(Exception):
    """AWS refuses what the trigger asks for, and would refuse it again. The message says why."""


class ClusterInUseError(Exception):
    """The cluster still has tasks or instances; its deletion may be tried again later."""


class PassingError(Exception):
    """What was asked for is not done yet, or is refused for a while: ask again later."""
