"""What the engine asks of the outside world, and the errors by which it is answered."""

# Limits of Step Functions on the answer to a task token.
ERROR_LIMIT, CAUSE_LIMIT = 256, 32_768  # characters of a failure
OUTPUT_LIMIT_BYTES = 262_144


class ContentionError(Exception):
    """Others kept writing the same items through every try; the caller may come back later."""


class OverlapLockLostError(Exception):
    """Another firing has taken the claim since it was read: to be read and decided again."""


class RefusedError(Exception):
    """AWS does not take what the trigger asks for; trying again does not help. Says why."""


class ClusterInUseError(Exception):
    """The cluster still has tasks or instances; its deletion may be tried again later."""
