"""Which errors of AWS pass by themselves: the same call may succeed in a moment, or in minutes.

Every other error lasts until somebody changes the request, a permission or a quota.
"""

PASSING_CODES = frozenset(
    {
        # Throttling, under the names that services give it.
        "LimitExceeded",  # of an API's rate, unlike LimitExceededException, which is a quota
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        # A fault of the service.
        "InternalError",
        "InternalException",
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        # Another change of the same cluster, group, rule, schedule or bucket is under way.
        "ConcurrentModificationException",
        "InstanceRefreshInProgress",
        "OperationAborted",
        "ResourceInUse",
        "ResourceInUseException",
        "ScalingActivityInProgress",
        "UpdateInProgressException",
        # A cluster that was created a moment ago is not visible everywhere.
        "ClusterNotFoundException",
    }
)
# Errors that ECS reports under codes of lasting ones, known by their text.
PASSING_TEXTS = (
    "Arguments on this idempotent request are inconsistent",  # DescribeClusters is behind
    "Cluster was not ACTIVE",
    "Rate exceeded",
    "Too many concurrent attempts",
    "UPDATE_IN_PROGRESS",
    "Unable to assume the service linked role",  # ECS makes it with an account's first cluster
    "busy state",
    "not associated with the cluster",  # while PutClusterCapacityProviders is under way
)
_FAULT_OF_SERVICE = 500


def error_passes(code: str, message: str, http_status: int | None = None) -> bool:
    """Return whether an error of AWS with this code and message passes by itself."""
    if http_status is not None and http_status >= _FAULT_OF_SERVICE:
        return True
    return code in PASSING_CODES or any(text in message for text in PASSING_TEXTS)
