"""The kinds of message that Batchyard sends to itself on the task-events queue."""

DEADLINE = "Deadline"
LAUNCH_FAILED = "Launch Failed"
WAKE = "Wake"
CONTINUATION = "Walk"
EXECUTION_STOPPED = "Execution Stopped"
DELAY_LIMIT_SECONDS = 900  # the longest that SQS holds a message back
