"""What others learn about jobs: events, answers to task tokens, ends of executions."""
