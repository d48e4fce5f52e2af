"""The error of instances that can never be had as an environment asks for them."""


class UnusableResourcesError(Exception):
    """The environment's `computeResources` cannot be had; the message says what to change."""
