"""The errors of stores and clients that their callers handle, and the limits they share.

An adapter raises one of these where the caller has a decision to make. Every other error of
DynamoDB or AWS passes through unchanged: the delivery fails and is repeated.
"""

# Step Functions' limits on the answer to a task token.
ERROR_LIMIT, CAUSE_LIMIT = 256, 32_768  # characters of a failure
OUTPUT_LIMIT_BYTES = 262_144


class ContentionError(Exception):
    """The store was busy in every try, or others changed the same items; try again later."""


class IncompleteError(Exception):
    """A service took only part of what it was sent; the whole may be sent again."""


class OverlapLockLostError(Exception):
    """Another firing has taken the overlap lock since it was read; read it and decide again."""


class RefusedError(Exception):
    """AWS refuses what is asked for, and would refuse it again. The message says why."""


class ThrottledError(Exception):
    """AWS is too busy to answer, in all tries of the client; the same call may succeed later."""


class ClusterInUseError(Exception):
    """The cluster still has tasks or instances; its deletion may be tried again later."""


class PassingError(Exception):
    """What was asked for is not done yet, or is refused for a while: ask again later."""
