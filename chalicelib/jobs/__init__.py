"""What can be done to a job: submit, stop, describe, and the loop that decides and commits."""
