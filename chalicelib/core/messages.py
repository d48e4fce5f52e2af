"""The kinds of message that the service sends to itself on the task-events queue."""

DEADLINE = "Deadline"
LAUNCH_FAILED = "Launch Failed"
WAKE = "Wake"
CONTINUATION = "Continuation"
EXECUTION_STOPPED = "Execution Stopped"
DELAY_LIMIT_SECONDS = 900  # the longest delay of a message in SQS
# The error of a launch whose task definition could not be registered in time: it passes by itself.
NOT_REGISTERED = "TaskDefinition.NotRegistered"
# How the reason begins with which a task is stopped that waits for an instance in vain.
NO_INSTANCE_CAME = "Task stopped by Batchyard before it had an instance"
