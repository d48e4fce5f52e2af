"""What others are notified of: events of jobs, task tokens, executions."""
