"""How long one call to AWS may take: less than the shortest of our functions may run.

A call that outlives its function takes the whole batch with it, and says nothing in the log.
`tests/unit/infra/cloud/test_timeouts.py` compares these figures with the functions' time-outs.
"""

CONNECT_SECONDS = 1.0
READ_SECONDS = 5.0  # a transaction of 100 actions takes about 0.1 s
ATTEMPTS = 2
# Of botocore's standard retries before the second attempt: at most 1 s for throttling, and 5 s
# more where the service asks for it (x-amz-retry-after).
BACKOFF_SECONDS = 6.0


def longest_call_seconds() -> float:
    """Return how long one call may take with all its attempts."""
    return ATTEMPTS * (CONNECT_SECONDS + READ_SECONDS) + (ATTEMPTS - 1) * BACKOFF_SECONDS
